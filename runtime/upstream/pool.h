/* SPDX-License-Identifier: Apache-2.0 */
/* Kept upstream connections of one worker, by endpoint. An endpoint (address, port, TLS) is interned
 * once and named by a small number, so that a request neither parses nor hashes an address. */
#ifndef UPSTREAM_POOL_H
#define UPSTREAM_POOL_H

#include "base/stats.h"
#include "http/h1/client.h"

struct pool;

struct pool_timeouts {
  uint64_t connect_ms;
  uint64_t send_ms;
  uint64_t response_ms;
};

/* What is kept of connections between requests. */
struct pool_config {
  uint32_t idle_count; /* for each endpoint */
  uint32_t requests;   /* that a connection may have; 0: no limit */
  uint64_t idle_ms;
  uint64_t life_ms;   /* after which it has no further request; 0: no limit */
  uint64_t tunnel_ms; /* how long a tunnel may be silent */
};

/* `stats` (kept) is told how many connections there are. */
int pool_new(struct pool **out, struct net_loop *loop, struct stats *stats);
/* Closes what is idle; connections in use close when they are released. */
void pool_drain(struct pool *pool);
void pool_free(struct pool *pool);
void pool_configure(struct pool *pool, const struct pool_config *config);
/* The number of an endpoint, which is the caller's until pool_release; UV_EINVAL when `address` is
 * neither an IP address nor `unix:/path`, which has no port. `secure` and its data (NULL: plain) start TLS and are part of what makes an endpoint. */
int pool_endpoint(struct pool *pool, const char *address, uint16_t port,
                  int (*secure)(struct stream *stream, void *data), void *secure_data);
/* Undoes one pool_endpoint. A number that nobody has is given to another endpoint after ten minutes:
 * longer than a request of an old snapshot takes to choose. */
void pool_release(struct pool *pool, int endpoint);
/* Which connection does. */
enum pool_want {
  POOL_ANY,
  POOL_ALIVE, /* a kept one is looked at first: for requests that must not be sent twice */
  POOL_FRESH
};

/* An idle connection, or a new one: `*fresh` tells. For a new one on_ready or on_abort follows. */
MG_MUST_USE int pool_take(struct pool *pool, int endpoint, const struct pool_timeouts *timeouts,
                          const struct http_events *events, void *exchange, enum pool_want want,
                          struct http_peer **out, int *fresh);
/* "address:port" of an endpoint, or "unix:/path", borrowed; "" for an unknown number. */
const char *pool_name(const struct pool *pool, int endpoint);

#endif
