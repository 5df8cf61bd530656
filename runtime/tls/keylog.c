/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/keylog.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/platform_util.h>

#include "tls/context.h"

enum {
  RANDOM_BYTES = 32,
  SECRET_MOST = 64,
  LINE_BYTES = 256
};

static const char *label_of(mbedtls_ssl_key_export_type type)
{
  switch (type) {
  case MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET:
    return "CLIENT_RANDOM";
  case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET:
    return "CLIENT_HANDSHAKE_TRAFFIC_SECRET";
  case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_HANDSHAKE_TRAFFIC_SECRET:
    return "SERVER_HANDSHAKE_TRAFFIC_SECRET";
  case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET:
    return "CLIENT_TRAFFIC_SECRET_0";
  case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET:
    return "SERVER_TRAFFIC_SECRET_0";
  default:
    return NULL;
  }
}

static char *put_hex(char *to, const unsigned char *bytes, size_t length)
{
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < length; i++) {
    *to++ = digits[bytes[i] >> 4];
    *to++ = digits[bytes[i] & 15];
  }
  return to;
}

void keylog_write(void *context, mbedtls_ssl_key_export_type type, const unsigned char *secret,
                  size_t length, const unsigned char client_random[32],
                  const unsigned char server_random[32], mbedtls_tls_prf_types prf)
{
  const struct tls_context *self = context;
  const char *label = label_of(type);
  char line[LINE_BYTES];
  (void)server_random;
  (void)prf;
  if (!label || length > SECRET_MOST || self->keylog < 0)
    return;
  char *at = line + snprintf(line, sizeof(line), "%s ", label);
  at = put_hex(at, client_random, RANDOM_BYTES);
  *at++ = ' ';
  at = put_hex(at, secret, length);
  *at++ = '\n';
  /* In one piece: other workers write to the same file. What cannot be written is not missed. */
  ssize_t written = write(self->keylog, line, (size_t)(at - line));
  (void)written;
  mbedtls_platform_zeroize(line, sizeof(line));
}
