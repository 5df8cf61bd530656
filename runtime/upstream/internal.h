/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of upstream/ share: endpoints.c keeps the table of endpoints, pool.c their
 * connections. */
#ifndef UPSTREAM_INTERNAL_H
#define UPSTREAM_INTERNAL_H

#include "base/list.h"
#include "http/h2/client.h"
#include "upstream/dial.h"
#include "upstream/pool.h"

enum {
  ENDPOINT_BUCKETS = 4096,
  ENDPOINT_NAME_BYTES = 128 /* "unix:" and a path, or an address and a port */
};

/* A connection over HTTP/2. */
struct h2_link {
  struct list node;      /* of the endpoint, while it takes requests */
  struct list pool_node; /* of the pool */
  struct endpoint *endpoint;
  struct h2_client *client;
  uint8_t is_idle; /* and counted as such */
};

struct endpoint {
  struct pool *pool;
  struct sockaddr_storage addr;
  enum pool_protocol protocol;
  int (*secure)(struct stream *stream, void *data);
  void *secure_data;
  struct list idle;       /* of h1_client */
  struct list links;      /* of h2_link */
  struct dial *dial;      /* one that becomes a link, as far as we know */
  struct list node;       /* of pool->released, while nobody has its number */
  struct endpoint *chain; /* the next one with that hash */
  uint64_t released_ms;
  uint32_t number;
  uint32_t uses;
  uint32_t open_count;
  uint32_t idle_count;
  uint32_t streams;  /* that it let open at a time, the last time it said; 0: it has not */
  uint8_t speaks_h2; /* POOL_AUTO: the last connection did */
  char name[ENDPOINT_NAME_BYTES];
};

struct pool {
  struct net_loop *loop;
  struct stats *stats;
  struct endpoint **endpoints;
  struct endpoint *buckets[ENDPOINT_BUCKETS];
  struct list released; /* the longest ago last */
  struct list links;    /* of h2_link, those too that take no further request */
  struct pool_config config;
  uint32_t count;
  uint32_t cap;
  uint32_t open_count;
  uint32_t idle_count;
  uint8_t draining;
};

/* Nobody wants its connections any more: those in use close when they are released. */
void endpoint_close_idle(struct endpoint *endpoint);

#endif
