/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's new connections, up to the codec: where they come from, the PROXY protocol, TLS. */
#ifndef ACCEPT_H
#define ACCEPT_H

#include "worker.h"

/* struct listener's on_connection; its data is the struct worker. */
void accept_connection(struct listener *listener);
/* struct http_server_owner's on_limit, of a worker's `owner`. */
void accept_limit(struct http_server *server, enum limit limit);
/* For who takes an arrival's stream over: the arrival is gone, the connection counts on. */
void accept_leave(struct http_server *arrival);
/* Makes worker->tls, which chooses certificates out of the snapshot that new requests get. */
MG_MUST_USE int accept_init(struct worker *worker);

#endif
