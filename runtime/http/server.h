/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection, whichever codec reads it: h1/server.h and h2/server.h begin with it. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/list.h"
#include "base/stats.h"
#include "http/message.h"
#include "net/loop.h"
#include "net/stream.h"

struct http_server_timeouts {
  uint64_t head_ms;
  uint64_t body_ms;
  uint64_t keep_alive_ms;
  uint64_t send_ms;
  uint64_t tunnel_ms;
};

/* Of one HTTP/2 connection. A rate is a bucket of `burst` that fills by `rate` a second; a connection
 * that empties one ends with ENHANCE_YOUR_CALM (RFC 9113 10.5). */
struct h2_limits {
  uint32_t streams;           /* at a time */
  uint32_t stream_window;     /* bytes of a request's body on their way, at first */
  uint32_t connection_window; /* bytes of all of them; also what they may take in memory */
  uint32_t table_bytes;       /* of HPACK's dynamic table */
  uint32_t continuations;     /* frames behind one HEADERS */
  uint32_t reset_burst;       /* streams that the client takes back, or has us reset */
  uint32_t reset_rate;
  uint32_t
      control_burst; /* SETTINGS, PING, PRIORITY, empty DATA: frames that cost and bring nothing */
  uint32_t control_rate;
};

struct http_server_config {
  struct http_limits limits;
  struct http_server_timeouts timeouts; /* keep_alive_ms 0: a connection serves one request */
  uint32_t requests;                    /* that a connection serves; 0: no limit */
  struct h2_limits h2;
};

struct http_server;
struct http_server_ops {
  /* No further request: an idle connection closes now, others after their answers. */
  void (*drain)(struct http_server *server);
  void (*close)(struct http_server *server);
};

struct http_server_owner {
  const struct http_events *events;
  /* The connection is closed and its memory gone when this returns. */
  void (*on_gone)(struct http_server *server);
  /* A limit of the connection itself, not of a request, was gone over: to be counted and logged. */
  void (*on_limit)(struct http_server *server, enum limit limit);
  void *data;       /* http_peer.context of its connections */
  struct list *all; /* every connection that lives */
};

/* Freed by its codec after on_gone. `config` and `owner` outlive it. */
struct http_server {
  const struct http_server_ops *ops;
  struct stream *stream;
  struct net_loop *loop;
  const struct http_server_config *config;
  const struct http_server_owner *owner;
  struct list node; /* of owner->all */
  struct deadline deadline;
  struct http_origin origin;
};

/* A connection that ends is read on for a while, that what was sent last is not lost to a reset. */
enum {
  HTTP_SERVER_LINGER_MS = 5000,
  HTTP_SERVER_LINGER_BYTES = 1 << 20
};

/* Whether a connection has had all the requests that it may serve. */
static inline int http_server_is_spent(const struct http_server *server, uint32_t served)
{
  const struct http_server_config *config = server->config;
  return config->timeouts.keep_alive_ms == 0 ||
         (config->requests > 0 && served >= config->requests);
}

/* How long this tunnel may be silent; 0: for ever. */
static inline uint64_t http_server_tunnel_ms(const struct http_server_timeouts *timeouts,
                                             const struct http_peer *peer)
{
  uint64_t limit_ms = timeouts->tunnel_ms;
  return limit_ms > 0 && limit_ms < peer->tunnel_ms ? peer->tunnel_ms : limit_ms;
}

/* Closing takes effect later, from the loop: the ring stays as it is meanwhile. */
void http_server_drain_all(struct list *all);
void http_server_close_all(struct list *all);

#endif
