/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for clients that connect to us: which certificate they see is chosen anew for each handshake. */
#ifndef TLS_SERVER_H
#define TLS_SERVER_H

#include "tls/session.h"

enum tls_client_auth {
  TLS_CLIENT_AUTH_NONE,
  TLS_CLIENT_AUTH_OPTIONAL, /* asked for; a bad one does not fail the handshake */
  TLS_CLIENT_AUTH_REQUIRED
};

/* What one handshake is answered with. Borrowed: the session takes references of its own. */
struct tls_choice {
  struct mg_certificate *certificate; /* NULL: refused with unrecognized_name */
  enum tls_client_auth client_auth;
  struct tls_trust *trust; /* for client_auth; without it the handshake fails */
};

struct tls_server_settings {
  /* `name` is the client's SNI in lower case without a final dot, length 0 when it sent none. */
  void (*choose)(void *data, const char *name, size_t length, struct tls_choice *choice);
  void *data;
  const char *const *alpn; /* in the order of preference, ends with NULL; NULL: no ALPN; kept */
  int min_version;         /* 12, 13, or 0 for the default */
  int max_version;
};

struct tls_server;

/* One worker's; connections keep references, so that a change of settings touches none of them. */
int tls_server_new(struct tls_server **out, struct tls_context *context,
                   const struct tls_server_settings *settings);
void tls_server_unref(struct tls_server *server);
/* Starts the handshake on an accepted stream; on_open tells how it went. Its deadline is the caller's.
 * Bytes that came before go to stream->filter->on_raw. */
MG_MUST_USE int tls_server_start(struct tls_server *server, struct stream *stream);

#endif
