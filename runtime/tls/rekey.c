/* SPDX-License-Identifier: Apache-2.0 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* before any header of mbedTLS's */
#include "tls/rekey.h"

#include <string.h>

#include <mbedtls/cipher.h>
#include <mbedtls/platform_util.h>

#include <mbedtls-library/ssl_misc.h>
#include <mbedtls-library/ssl_tls13_keys.h>

enum {
  KEY_UPDATE = 24,
  KEY_UPDATE_BYTES = 5, /* with the head of the message */
  REQUESTED = 1,        /* of the last of these */
  USELESS_MOST = 32     /* without data between */
};

/* The secrets and keys of one direction. */
struct direction {
  unsigned char *secret;
  unsigned char *iv;
  mbedtls_cipher_context_t *cipher;
  unsigned char *counter;
  mbedtls_operation_t operation;
};

static int expand(psa_algorithm_t hash, const unsigned char *secret, const char *label,
                  unsigned char *out, size_t length)
{
  return mbedtls_ssl_tls13_hkdf_expand_label(hash, secret, PSA_HASH_LENGTH(hash),
                                             (const unsigned char *)label, strlen(label), NULL, 0,
                                             out, length);
}

static int set_key(const struct direction *self, const mbedtls_cipher_info_t *info,
                   const unsigned char *key)
{
  mbedtls_cipher_free(self->cipher);
  mbedtls_cipher_init(self->cipher);
  int err = mbedtls_cipher_setup(self->cipher, info);
  return err != 0 ? err
                  : mbedtls_cipher_setkey(self->cipher, key,
                                          (int)mbedtls_cipher_info_get_key_bitlen(info),
                                          self->operation);
}

/* RFC 8446 7.2, and counted from 0 again. */
static int renew(const mbedtls_ssl_context *ssl, const struct direction *self)
{
  const mbedtls_ssl_ciphersuite_t *suite =
      mbedtls_ssl_ciphersuite_from_id(ssl->session->ciphersuite);
  const mbedtls_cipher_info_t *info =
      mbedtls_cipher_info_from_type((mbedtls_cipher_type_t)suite->cipher);
  psa_algorithm_t hash = mbedtls_md_psa_alg_from_type((mbedtls_md_type_t)suite->mac);
  unsigned char next[MBEDTLS_TLS1_3_MD_MAX_SIZE];
  unsigned char key[MBEDTLS_SSL_MAX_KEY_LENGTH];
  int err = expand(hash, self->secret, "traffic upd", next, PSA_HASH_LENGTH(hash));
  if (err == 0)
    err = expand(hash, next, "key", key, mbedtls_cipher_info_get_key_bitlen(info) / 8);
  if (err == 0)
    err = expand(hash, next, "iv", self->iv, ssl->transform_application->ivlen);
  if (err == 0)
    err = set_key(self, info, key);
  if (err == 0) {
    memcpy(self->secret, next, PSA_HASH_LENGTH(hash));
    memset(self->counter, 0, MBEDTLS_SSL_SEQUENCE_NUMBER_LEN);
  }
  mbedtls_platform_zeroize(next, sizeof(next));
  mbedtls_platform_zeroize(key, sizeof(key));
  return err;
}

static int renew_in(mbedtls_ssl_context *ssl)
{
  mbedtls_ssl_tls13_application_secrets *secrets = &ssl->session->app_secrets;
  mbedtls_ssl_transform *transform = ssl->transform_application;
  int is_server = ssl->conf->endpoint == MBEDTLS_SSL_IS_SERVER;
  const struct direction in = {
    .secret = is_server ? secrets->client_application_traffic_secret_N
                        : secrets->server_application_traffic_secret_N,
    .iv = transform->iv_dec,
    .cipher = &transform->cipher_ctx_dec,
    .counter = ssl->in_ctr,
    .operation = MBEDTLS_DECRYPT,
  };
  return renew(ssl, &in);
}

static int renew_out(mbedtls_ssl_context *ssl)
{
  mbedtls_ssl_tls13_application_secrets *secrets = &ssl->session->app_secrets;
  mbedtls_ssl_transform *transform = ssl->transform_application;
  int is_server = ssl->conf->endpoint == MBEDTLS_SSL_IS_SERVER;
  const struct direction out = {
    .secret = is_server ? secrets->server_application_traffic_secret_N
                        : secrets->client_application_traffic_secret_N,
    .iv = transform->iv_enc,
    .cipher = &transform->cipher_ctx_enc,
    .counter = ssl->cur_out_ctr,
    .operation = MBEDTLS_ENCRYPT,
  };
  return renew(ssl, &out);
}

/* Says so with the old keys. */
static int answer(mbedtls_ssl_context *ssl)
{
  static const unsigned char message[KEY_UPDATE_BYTES] = { KEY_UPDATE, 0, 0, 1, 0 };
  memcpy(ssl->out_msg, message, sizeof(message));
  ssl->out_msglen = sizeof(message);
  ssl->out_msgtype = MBEDTLS_SSL_MSG_HANDSHAKE;
  int err = mbedtls_ssl_write_record(ssl, 1);
  return err != 0 ? err : renew_out(ssl);
}

/* The last message of its record, as one is that changes keys (RFC 8446 5.1). */
static int is_key_update(const mbedtls_ssl_context *ssl)
{
  return ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3 && ssl->transform_application &&
         ssl->in_msgtype == MBEDTLS_SSL_MSG_HANDSHAKE && ssl->in_hslen == KEY_UPDATE_BYTES &&
         ssl->in_msglen == KEY_UPDATE_BYTES && ssl->in_msg[0] == KEY_UPDATE &&
         ssl->in_msg[KEY_UPDATE_BYTES - 1] <= REQUESTED;
}

int rekey_take(struct tls_session *session)
{
  mbedtls_ssl_context *ssl = &session->ssl;
  if (!is_key_update(ssl) || ++session->key_updates > USELESS_MOST)
    return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
  int is_asked = ssl->in_msg[KEY_UPDATE_BYTES - 1] == REQUESTED;
  int err = renew_in(ssl);
  return err == 0 && is_asked ? answer(ssl) : err;
}
