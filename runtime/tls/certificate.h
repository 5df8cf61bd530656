/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate chain with its private key, read once, shared by all threads and never changed; and
 * sets of trusted certificates, likewise. */
#ifndef TLS_CERTIFICATE_H
#define TLS_CERTIFICATE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

enum {
  TLS_STATUS_BYTES = 4 /* of a CertificateStatus, before its response */
};

struct mbedtls_x509_crt;
struct mbedtls_x509_crl;
struct mbedtls_pk_context;
struct mg_certificate;
struct tls_trust;

/* Reads a chain, the end's certificate first, and the key of that one, both PEM and borrowed. A response
 * of OCSP may stand among the certificates, as a block OCSP RESPONSE. One reference is the caller's.
 * NULL: `error` says which of them is wrong, and why. */
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
/* Until when its response of OCSP is sent along, in seconds since 1970; INT64_MAX: for ever; 0: it has none
 * that can be. */
int64_t mg_certificate_response_until(const struct mg_certificate *certificate);
/* Why the response that came with it is not sent along, one line; empty: nothing is wrong. */
const char *mg_certificate_response_fault(const struct mg_certificate *certificate);
/* A fact as text (an enum of bridge/api_tls.h), cut where `out` ends; returns its length. */
uint32_t mg_certificate_fact(const struct mg_certificate *certificate, int32_t fact, char *out,
                             uint32_t size);

/* For mbedTLS, which wants them writable and does not write. */
struct mbedtls_x509_crt *certificate_chain(const struct mg_certificate *certificate);
struct mbedtls_pk_context *certificate_key(const struct mg_certificate *certificate);
/* The response of OCSP to send along at this time, DER; NULL: there is none, or it has ended. */
const struct buf *certificate_response(const struct mg_certificate *certificate, int64_t now_s);

/* Certificates that peers' chains may end in, PEM, with lists of revoked certificates (CRL) among them.
 * With length 0 those of the system. As above. */
struct tls_trust *tls_trust_new(const char *pem, uint32_t length, char *error, uint32_t error_size);
struct tls_trust *tls_trust_ref(struct tls_trust *trust);
void tls_trust_unref(struct tls_trust *trust);
struct mbedtls_x509_crt *tls_trust_chain(const struct tls_trust *trust);
/* NULL: there is none. To mbedTLS an authority that has none here revokes nothing. */
struct mbedtls_x509_crl *tls_trust_crl(const struct tls_trust *trust);
/* Whether there is a list for what issued `certificate`, where there are lists at all; who is trusted
 * needs none. */
int tls_trust_has_list(const struct tls_trust *trust, const struct mbedtls_x509_crt *certificate);

#endif
