/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of clients that come under a name: made once, counted, never changed, for any thread. */
#ifndef TLS_CLIENT_AUTH_H
#define TLS_CLIENT_AUTH_H

#include <stdint.h>

struct tls_choice;
struct mg_client_auth;

/* `pem`: authorities, with what they have revoked among them. `any`: a certificate of an authority that
 * is not among them will do as well, and there need not be any. One reference is the caller's. NULL:
 * `error` says what is wrong. */
struct mg_client_auth *mg_client_auth_new(const char *pem, uint32_t length, int32_t any,
                                          int32_t depth, char *error, uint32_t error_size);
/* Asks for nothing, whatever the wildcard above the name asks for. NULL: no memory. */
struct mg_client_auth *mg_client_auth_none(void);
/* Returns its argument. */
struct mg_client_auth *mg_client_auth_ref(struct mg_client_auth *auth);
/* NULL is permitted. */
void mg_client_auth_unref(struct mg_client_auth *auth);
void client_auth_choose(const struct mg_client_auth *auth, struct tls_choice *choice);

#endif
