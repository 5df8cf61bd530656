/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for clients that connect to us: how one is answered is chosen anew for each handshake, from its
 * hello. */
#ifndef TLS_SERVER_H
#define TLS_SERVER_H

#include "tls/hello.h"
#include "tls/session.h"

/* Each asks for a certificate but NONE. Only REQUIRED fails the handshake; with the others peer.h tells
 * what came of it, which is how nginx does it for `on` as well: a page can say what is wrong. */
enum tls_client_auth {
  TLS_CLIENT_AUTH_NONE,
  TLS_CLIENT_AUTH_OPTIONAL,
  TLS_CLIENT_AUTH_OPTIONAL_NO_CA, /* there need not be a trust to hold it against */
  TLS_CLIENT_AUTH_REQUIRED
};

/* What one handshake is answered with. Borrowed: the session takes references of its own. A session
 * whose client is asked for a certificate is never resumed: each is looked at anew. */
struct tls_choice {
  struct mg_certificate *certificate; /* NULL: refused with unrecognized_name */
  enum tls_client_auth client_auth;
  struct tls_trust *trust;  /* for client_auth; without it the handshake fails */
  struct mg_suites *suites; /* NULL: those of the settings */
  int depth;                /* intermediates that a client's chain may have; < 0: no limit */
};

struct tls_server_settings {
  /* `name` is the client's SNI in lower case without a final dot, length 0 when it sent none. */
  void (*choose)(void *data, const char *name, size_t length, struct tls_choice *choice);
  /* What is to become of a client; called once, before `choose`, which is not asked where a certificate
   * is put into `choice`. TLS_WAIT: tls_server_resume follows. May close the stream. NULL: TLS_GO. */
  enum tls_verdict (*hello)(void *data, struct stream *stream, const struct tls_hello *hello,
                            struct tls_choice *choice);
  /* For TLS_PASS: takes the stream over, plain, with all the bytes that came. May end: the stream. */
  void (*pass)(void *data, struct stream *stream, char *bytes, size_t length);
  void *data;
  const char *const *alpn; /* in the order of preference, ends with NULL; NULL: no ALPN; kept */
  int min_version;         /* 12, 13, or 0 for the default */
  int max_version;
  const char *suites; /* see suites.h; what is not known there is left out */
  const char *groups;
  int client_order;            /* 1: of suites of TLS 1.2, the client's first choice counts */
  struct tls_tickets *tickets; /* NULL: nothing is resumed */
};

struct tls_server;

/* One worker's; connections keep references, so that a change of settings touches none of them.
 * UV_ENOMEM, ERR_TLS_CONFIG. */
int tls_server_new(struct tls_server **out, struct tls_context *context,
                   const struct tls_server_settings *settings);
void tls_server_unref(struct tls_server *server);
/* Starts the handshake on an accepted stream; on_open tells how it went. Its deadline is the caller's.
 * Bytes that came before go to stream->filter->on_raw. */
MG_MUST_USE int tls_server_start(struct tls_server *server, struct stream *stream);
/* Ends the wait of a TLS_WAIT. `choice` may be NULL: `choose` is asked. Nothing happens where nobody
 * waits. May end: the stream. */
void tls_server_resume(struct stream *stream, enum tls_verdict verdict,
                       const struct tls_choice *choice);
/* The hello of a stream that waits, valid until the next call or the next hello. 1, or 0: there is none. */
int tls_server_hello(const struct stream *stream, struct tls_hello *hello);

#endif
