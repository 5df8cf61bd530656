/* SPDX-License-Identifier: Apache-2.0 */
/* A client's HTTP/1.1 connection: requests in, answers out, in order.
 *
 * IDLE -> HEAD -> BODY -> ANSWERING -> IDLE ...; ANSWERING -> TUNNEL; any -> LINGER -> CLOSING
 * IDLE: nothing of a request has come. HEAD: a head is incomplete. BODY: an exchange lives and reads
 * its body. ANSWERING: the request is whole, its answer is not. TUNNEL: raw bytes. LINGER: the answer
 * is out, what the client still sends is dropped. CLOSING: waiting for libuv only. */
#ifndef HTTP_H1_SERVER_H
#define HTTP_H1_SERVER_H

#include "base/list.h"
#include "http/h1/conn.h"

struct h1_server_timeouts {
  uint64_t head_ms;
  uint64_t body_ms;
  uint64_t keep_alive_ms;
  uint64_t send_ms;
  uint64_t tunnel_ms;
};

struct h1_server_config {
  struct http_limits limits;
  struct h1_server_timeouts timeouts; /* keep_alive_ms 0: a connection serves one request */
  uint32_t requests;                  /* that a connection serves; 0: no limit */
};

struct h1_server;
struct h1_server_owner {
  const struct http_events *events;
  /* The connection is closed and its memory gone when this returns. */
  void (*on_gone)(struct h1_server *server);
  void *data;       /* http_peer.context of its connections */
  struct list *all; /* every connection that lives, for h1_server_drain_all */
};

/* Embedded in nothing: the connection frees itself after on_gone. `config` and `owner` outlive it. */
int h1_server_open(struct h1_server **out, struct net_loop *loop,
                   const struct h1_server_config *config, const struct h1_server_owner *owner,
                   uv_stream_t *listener);
/* As h1_server_open, on a connected unix socket that is taken over, in failure too. */
int h1_server_open_fd(struct h1_server **out, struct net_loop *loop,
                      const struct h1_server_config *config, const struct h1_server_owner *owner,
                      int fd);
struct stream *h1_server_stream(struct h1_server *server);
/* Filled by the caller before h1_server_start. */
struct http_origin *h1_server_origin(struct h1_server *server);
struct h1_server *h1_server_of(struct http_peer *peer);
/* The deadline of a request's head runs from now on, whatever comes before it. */
void h1_server_arm(struct h1_server *server);
/* Begins to read requests; after a filter's handshake when there is one. */
void h1_server_start(struct h1_server *server);
/* Bytes that came before start (after a PROXY header, say). May end: server. */
void h1_server_feed(struct h1_server *server, char *data, size_t len);
/* No further request: idle connections close now, others after their answer. */
void h1_server_drain_all(struct list *all);
void h1_server_close(struct h1_server *server);
void h1_server_close_all(struct list *all);

#endif
