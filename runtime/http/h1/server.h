/* SPDX-License-Identifier: Apache-2.0 */
/* A client's HTTP/1.1 connection: requests in, answers out, in order.
 *
 * IDLE -> HEAD -> BODY -> ANSWERING -> IDLE ...; ANSWERING -> TUNNEL; any -> LINGER -> CLOSING
 * IDLE: nothing of a request has come. HEAD: a head is incomplete. BODY: an exchange lives and reads
 * its body. ANSWERING: the request is whole, its answer is not. TUNNEL: raw bytes. LINGER: the answer
 * is out, what the client still sends is dropped. CLOSING: waiting for libuv only. */
#ifndef HTTP_H1_SERVER_H
#define HTTP_H1_SERVER_H

#include "http/h1/conn.h"
#include "http/server.h"

/* Takes over an open stream; on failure it stays the caller's. `data` is what has come of it already.
 * May end: the stream. */
int h1_server_start(struct stream *stream, struct net_loop *loop,
                    const struct http_server_config *config, const struct http_server_owner *owner,
                    const struct http_origin *origin, char *data, size_t len);

#endif
