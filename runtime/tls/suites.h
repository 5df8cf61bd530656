/* SPDX-License-Identifier: Apache-2.0 */
/* Cipher suites and groups by the names that OpenSSL, nginx and their users have for them. */
#ifndef TLS_SUITES_H
#define TLS_SUITES_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct mbedtls_ssl_config;

enum {
  TLS_SUITES_MOST = 16,
  TLS_GROUPS_MOST = 8
};

/* In the order of preference, each list ends with 0. */
struct tls_suites {
  int ids[TLS_SUITES_MOST];
  uint16_t groups[TLS_GROUPS_MOST];
};

/* Those of a host of its own: made once, counted, never changed, for any thread. */
struct mg_suites;

/* Reads a list in the form of OpenSSL's (names between `:`, `,` or spaces; also `HIGH`, `ECDHE+AESGCM`,
 * `!CHACHA20`). All suites of TLS 1.3 are on, unless the list names one. NULL or "" is the default.
 * Names that mean nothing here go to `unknown`, with spaces between, cut to fit.
 * ERR_TLS_CONFIG: nothing is left. */
MG_MUST_USE int tls_suites_read(struct tls_suites *self, const char *names, char *unknown,
                                size_t size);
/* The same for groups: `X25519:P-256`, `prime256v1`; NULL, "" or "auto" is the default. */
MG_MUST_USE int tls_groups_read(struct tls_suites *self, const char *names, char *unknown,
                                size_t size);
/* `names` as of tls_suites_read; where nothing of TLS 1.2 is left in them only TLS 1.3 is spoken.
 * `client_order`: of those of TLS 1.2, the client's first choice counts. One reference is the caller's.
 * NULL: there is no memory. */
struct mg_suites *mg_suites_new(const char *names, int32_t client_order);
/* Returns its argument. */
struct mg_suites *mg_suites_ref(struct mg_suites *self);
/* NULL is permitted. */
void mg_suites_unref(struct mg_suites *self);
/* Puts them into a configuration, which refers to them from then on. */
void suites_configure(const struct mg_suites *self, struct mbedtls_ssl_config *config);
/* Whose first choice counts, of suites of TLS 1.2: the client's, or ours. */
void tls_suites_prefer(struct mbedtls_ssl_config *config, int client_order);

/* The name that OpenSSL and nginx give a cipher suite; NULL for 0 and suites that are not ours. */
const char *tls_suite_name(int id);

#endif
