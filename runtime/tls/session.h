/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on one stream, either side: the filter between socket and HTTP. server.h and client.h start it.
 *
 * HANDSHAKE -> OPEN -> ENDED; HANDSHAKE, OPEN -> FAILED
 * HANDSHAKE: on_open has not been told. OPEN: both ways are open. ENDED: the peer said close_notify,
 * we may still write. FAILED: on_open or on_end was told an error; only the close is left.
 *
 * An end without close_notify is ERR_TLS_TRUNCATED: a message that the end delimits may be cut. */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include <mbedtls/ssl.h>

#include "base/compiler.h"
#include "base/list.h"
#include "net/stream.h"
#include "tls/certificate.h"
#include "tls/context.h"

enum tls_session_state {
  TLS_HANDSHAKE,
  TLS_OPEN,
  TLS_ENDED,
  TLS_FAILED,
  TLS_STATE_COUNT
};

struct tls_session;

/* What differs between the sides. */
struct tls_side {
  /* Once the handshake is done; 0, or the code that it fails with. May be NULL. */
  int (*on_handshake)(struct tls_session *session);
  void (*release)(void *owner);
};

/* On the heap; freed with its stream. */
struct tls_session {
  mbedtls_ssl_context ssl;
  struct stream *stream;
  struct tls_context *context;
  const struct tls_side *side;
  void *owner;                        /* struct tls_server or tls_client_config: one reference */
  struct mg_certificate *certificate; /* ours, on the server's side: one reference */
  struct tls_trust *trust;  /* that a client's certificate is held against: one reference */
  char *name;               /* SNI; NULL: none */
  struct tls_waiter waiter; /* bytes are held and the owner reads again */
  const char *raw;          /* what the socket brought, not yet taken by mbedTLS */
  size_t raw_len;
  struct buf held; /* the same, kept while the owner does not read */
  int failure;     /* the code of mbedTLS that the session failed with */
  uint32_t faults; /* MBEDTLS_X509_BADCERT_*, beside those that mbedTLS keeps */
  enum tls_session_state state;
  uint8_t refused; /* choose gave no certificate */
  uint8_t wanted;  /* the owner reads */
  uint8_t pumping; /* bytes are being taken; the end of that decides whether to read on */
};

/* Makes a session on an open stream; `owner` is released with it, in failure too. The caller then sets
 * what the handshake needs and calls stream_start_filter with tls_filter. */
MG_MUST_USE int tls_session_new(struct tls_session **out, struct stream *stream,
                                struct tls_context *context, const mbedtls_ssl_config *config,
                                const struct tls_side *side, void *owner);
/* For a session that no stream has yet. */
void tls_session_free(struct tls_session *session);
extern const struct stream_filter tls_filter;

/* What is known of a stream's TLS; NULL where there is none. To be had until on_closed returns. */
const char *tls_version(const struct stream *stream); /* "TLSv1.3" */
const char *tls_cipher(const struct stream *stream);  /* OpenSSL's name */
const char *tls_sni(const struct stream *stream); /* lower case, as the client sent it otherwise */
const char *tls_alpn(const struct stream *stream);
/* The server's own certificate. */
const struct mg_certificate *tls_certificate(const struct stream *stream);
/* Why a session failed, one line for the log; empty when it did not. */
void tls_failure(const struct stream *stream, char *text, size_t size);

#endif
