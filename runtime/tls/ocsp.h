/* SPDX-License-Identifier: Apache-2.0 */
/* OCSP (RFC 6960), by libcrypto: the response that came with a chain, what an issuer's responder is
 * asked about one, and whether an answer is its own. Chains are PEM, the end's certificate first,
 * borrowed. */
#ifndef TLS_OCSP_H
#define TLS_OCSP_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

/* Seconds since 1970, in which a response says that a certificate is good. */
struct ocsp_period {
  int64_t from_s;
  int64_t until_s; /* INT64_MAX: it does not say */
};

/* Puts the first good response among the chain's blocks, DER, into a buffer that is empty, and leaves that
 * empty where there is none. NULL, or why those that are there are no good; static. Its signature is held
 * against the issuer, where the chain has that; its time is not looked at. */
const char *ocsp_find(const char *pem, uint32_t length, struct buf *response,
                      struct ocsp_period *period);

/* 1: the responder's URL, and the request in DER, are in the buffers, which were empty. 0: nobody answers
 * for the certificate, or its issuer is not in the chain. UV_ENOMEM. */
MG_MUST_USE int ocsp_question(const char *pem, uint32_t length, struct buf *url,
                              struct buf *request);
/* An answer in DER: signed by the issuer or whom it has charged with that, good, and valid now. NULL, or
 * why it cannot be believed; static. */
const char *ocsp_check(const char *pem, uint32_t length, const char *answer, uint32_t answer_length,
                       struct ocsp_period *period);

#endif
