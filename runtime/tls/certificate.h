/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate chain with its private key, read once, shared by all threads and never changed; and
 * sets of trusted certificates, likewise. */
#ifndef TLS_CERTIFICATE_H
#define TLS_CERTIFICATE_H

#include <stdint.h>

#include "base/compiler.h"

struct mbedtls_x509_crt;
struct mbedtls_pk_context;
struct mg_certificate;
struct tls_trust;

/* Reads a chain, the end's certificate first, and the key of that one, both PEM and borrowed. One
 * reference is the caller's. NULL: `error` says which of them is wrong, and why. */
struct mg_certificate *mg_certificate_new(const char *pem, uint32_t length, const char *key,
                                          uint32_t key_length, char *error, uint32_t error_size);
/* Returns its argument. */
struct mg_certificate *mg_certificate_ref(struct mg_certificate *certificate);
/* NULL is permitted. */
void mg_certificate_unref(struct mg_certificate *certificate);
/* DNS names that it is good for, lower case: those of subjectAltName, else the common name. */
uint32_t mg_certificate_name_count(const struct mg_certificate *certificate);
const char *mg_certificate_name(const struct mg_certificate *certificate, uint32_t index);
/* When it ends, in seconds since 1970. */
int64_t mg_certificate_not_after(const struct mg_certificate *certificate);

/* For mbedTLS, which wants them writable and does not write. */
struct mbedtls_x509_crt *certificate_chain(const struct mg_certificate *certificate);
struct mbedtls_pk_context *certificate_key(const struct mg_certificate *certificate);

/* Certificates that peers' chains may end in, PEM. With length 0 those of the system. As above. */
struct tls_trust *tls_trust_new(const char *pem, uint32_t length, char *error, uint32_t error_size);
struct tls_trust *tls_trust_ref(struct tls_trust *trust);
void tls_trust_unref(struct tls_trust *trust);
struct mbedtls_x509_crt *tls_trust_chain(const struct tls_trust *trust);

#endif
