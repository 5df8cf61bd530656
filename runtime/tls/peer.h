/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer's certificate says, in the words of nginx's variables ($ssl_client_s_dn …). */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include <stddef.h>

#include "net/stream.h"

enum tls_peer_fact {
  TLS_PEER_VERIFY,  /* "SUCCESS", "FAILED:reason" with OpenSSL's reasons, "NONE": no certificate */
  TLS_PEER_SUBJECT, /* RFC 2253, as OpenSSL writes it: "CN=a,O=b" */
  TLS_PEER_ISSUER,
  TLS_PEER_SERIAL, /* upper-case hexadecimal */
  TLS_PEER_SHA1,   /* of the certificate, lower-case hexadecimal */
  TLS_PEER_SHA256,
  TLS_PEER_PEM
};

/* Writes a fact with a final NUL; what does not fit is UV_ENOBUFS. The length; 0 where the peer has shown
 * no certificate, or there is no TLS (but TLS_PEER_VERIFY is "NONE" then). */
int tls_peer(const struct stream *stream, enum tls_peer_fact fact, char *out, size_t size);
/* 1: all that is wrong with the certificate is that no authority here vouches for it, which nginx lets
 * pass with optional_no_ca. */
int tls_peer_is_only_unknown(const struct stream *stream);

#endif
