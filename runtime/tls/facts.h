/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the TLS on a stream. peer.h has what the peer's certificate says. */
#ifndef TLS_FACTS_H
#define TLS_FACTS_H

#include <stddef.h>

struct mg_certificate;
struct stream;

/* NULL where there is none. To be had until on_closed returns. */
const char *tls_version(const struct stream *stream); /* "TLSv1.3" */
const char *tls_cipher(const struct stream *stream);  /* OpenSSL's name */
const char *tls_sni(const struct stream *stream); /* lower case, as the client sent it otherwise */
const char *tls_alpn(const struct stream *stream);
/* 1: the session is an earlier one. */
int tls_resumed(const struct stream *stream);
/* The server's own certificate. */
const struct mg_certificate *tls_certificate(const struct stream *stream);
/* Why a session failed, or what it waits for while its handshake is not done, one line for the log;
 * empty when all is well. */
void tls_failure(const struct stream *stream, char *text, size_t size);

#endif
