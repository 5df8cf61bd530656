/* SPDX-License-Identifier: Apache-2.0 */
/* TLS to upstreams: one configuration for all connections to endpoints of one kind. */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include "tls/session.h"

/* Borrowed; what is needed later is copied or counted. */
struct tls_client_settings {
  int verify;                         /* 1: the chain, and the name where there is one */
  struct tls_trust *trust;            /* for verify */
  int depth;                          /* intermediates that a chain may have; < 0: no limit */
  struct mg_certificate *certificate; /* shown to the upstream; NULL: none */
  const char *server_name;            /* sent as SNI; NULL or an address: none */
  const char *verify_name;            /* NULL: server_name */
  const char *const *alpn;            /* as of tls_server_settings; kept */
  int min_version;                    /* 12, 13, or 0 for the default */
  int max_version;
  const char *suites; /* as of tls_server_settings */
};

struct tls_client_config;

/* One worker's. It keeps the last session, which the next connection resumes, within an hour of the
 * last look at the upstream's certificate; no other configuration sees it. ERR_TLS_CONFIG: verify
 * without trust, a bad version, a name that is too long. */
int tls_client_config_new(struct tls_client_config **out, struct tls_context *context,
                          const struct tls_client_settings *settings);
struct tls_client_config *tls_client_config_ref(struct tls_client_config *config);
void tls_client_config_unref(struct tls_client_config *config);
/* Starts the handshake on a connected stream; on_open tells how it went. Of the kind that
 * dial_target.secure wants, `config` being its secure_data, a struct tls_client_config. */
MG_MUST_USE int tls_client_start(struct stream *stream, void *config);

#endif
