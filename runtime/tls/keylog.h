/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets of connections for tools that read what was captured, in NSS's key log format. Only where
 * tls_context_log_keys asked for it. */
#ifndef TLS_KEYLOG_H
#define TLS_KEYLOG_H

#include <mbedtls/ssl.h>

/* For mbedtls_ssl_set_export_keys_cb; `context` is a struct tls_context. */
void keylog_write(void *context, mbedtls_ssl_key_export_type type, const unsigned char *secret,
                  size_t length, const unsigned char client_random[32],
                  const unsigned char server_random[32], mbedtls_tls_prf_types prf);

#endif
