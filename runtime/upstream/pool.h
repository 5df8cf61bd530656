/* SPDX-License-Identifier: Apache-2.0 */
/* Kept upstream connections of one worker, by endpoint. An endpoint (address, port, TLS) is interned
 * once and named by a small number, so that a request neither parses nor hashes an address. */
#ifndef UPSTREAM_POOL_H
#define UPSTREAM_POOL_H

#include "base/stats.h"
#include "http/client.h"
#include "net/loop.h"
#include "net/stream.h"

struct pool;

struct pool_request {
  uint64_t connect_ms;
  uint64_t send_ms;
  uint64_t response_ms;
  uint32_t head_bytes; /* of the head of the answer; 0: the usual limit */
  uint32_t read_bytes; /* that one read of the answer may bring; 0: no limit of its own */
};

/* What is kept of connections between requests. */
struct pool_config {
  uint32_t idle_count; /* for each endpoint */
  uint32_t requests;   /* that a connection may have; 0: no limit */
  uint64_t idle_ms;
  uint64_t life_ms;   /* after which it has no further request; 0: no limit */
  uint64_t tunnel_ms; /* how long a tunnel may be silent */
  /* Over HTTP/2: silence after which a PING asks whether the endpoint lives, and how long its answer may
   * take. 0: never, no limit. */
  uint64_t ping_ms;
  uint64_t ping_wait_ms;
};

/* What is spoken with an endpoint. */
enum pool_protocol {
  POOL_HTTP1,
  POOL_HTTP2, /* with prior knowledge (RFC 9113 3.3); over TLS it has to be agreed on by ALPN */
  POOL_AUTO   /* over TLS: what ALPN says, HTTP/1.1 where it says nothing */
};

/* `stats` (kept) is told how many connections there are. */
int pool_new(struct pool **out, struct net_loop *loop, struct stats *stats);
/* At the end, when there are no requests any more: closes what is kept. */
void pool_drain(struct pool *pool);
void pool_free(struct pool *pool);
void pool_configure(struct pool *pool, const struct pool_config *config);
/* The number of an endpoint, which is the caller's until pool_release; UV_EINVAL when `address` is
 * neither an IP address nor `unix:/path`, which has no port. `protocol`, `secure` and its data (NULL:
 * plain; it starts TLS) are part of what makes an endpoint. */
int pool_endpoint(struct pool *pool, const char *address, uint16_t port,
                  enum pool_protocol protocol, int (*secure)(struct stream *stream, void *data),
                  void *secure_data);
/* Undoes one pool_endpoint. A number that nobody has is given to another endpoint after ten minutes:
 * longer than a request of an old snapshot takes to choose. */
void pool_release(struct pool *pool, int endpoint);
/* Which connection does. */
enum pool_want {
  POOL_ANY,
  POOL_ALIVE, /* a kept one is looked at first: for requests that must not be sent twice */
  POOL_FRESH
};

/* A peer on a connection that stands, or one that waits for a new connection: `*fresh` tells, and
 * on_ready or on_abort follows. */
MG_MUST_USE int pool_take(struct pool *pool, int endpoint, const struct pool_request *request,
                          const struct http_events *events, void *exchange, enum pool_want want,
                          struct http_peer **out, int *fresh);
/* "address:port" of an endpoint, or "unix:/path", borrowed; "" for an unknown number. */
const char *pool_name(const struct pool *pool, int endpoint);

#endif
