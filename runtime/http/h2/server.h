/* SPDX-License-Identifier: Apache-2.0 */
/* A client's HTTP/2 connection (RFC 9113): many exchanges at a time, each with a stream of its own that
 * is its http_peer. */
#ifndef HTTP_H2_SERVER_H
#define HTTP_H2_SERVER_H

#include "http/server.h"

/* Takes over an open stream; on failure it stays the caller's. `data` is what has come of it, the
 * client's preface first. May end: the stream. */
int h2_server_start(struct stream *stream, struct net_loop *loop,
                    const struct http_server_config *config, const struct http_server_owner *owner,
                    const struct http_origin *origin, char *data, size_t len);

#endif
