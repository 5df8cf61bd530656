/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to an upstream that is being made, and the requests that wait for it, each behind a
 * http_peer of its own. What it becomes is its owner's business. */
#ifndef UPSTREAM_DIAL_H
#define UPSTREAM_DIAL_H

#include "base/list.h"
#include "http/client.h"
#include "net/loop.h"
#include "net/stream.h"

struct dial;

struct dial_owner {
  /* It stands, TLS too: a codec takes the stream, or it is closed afterwards. Each that waits is served,
   * moved or failed; the dial is gone when this returns. */
  void (*on_open)(struct dial *dial, struct stream *stream);
  /* Nobody else may wait: it stands, has failed, or has nobody left. Comes before on_open. */
  void (*on_gone)(struct dial *dial);
};

struct dial_target {
  const struct sockaddr *addr; /* an IP address or a unix socket */
  /* NULL: plain. Starts TLS on a connected stream; on_open of the stream tells how it went. */
  int (*secure)(struct stream *stream, void *data);
  void *secure_data;
};

/* A request that waits. */
struct dial_waiter {
  struct http_peer peer; /* first */
  struct list node;      /* of the dial */
  struct dial *dial;     /* NULL once it no longer waits */
  struct deadline deadline;
  struct http_client_config config; /* for the codec */
};

/* ERR_CONNECT, ERR_NO_MEMORY or 0. on_open or on_gone follows, never from within. */
int dial_start(struct dial **out, struct net_loop *loop, const struct dial_target *target,
               const struct dial_owner *owner, void *data);
void *dial_data(const struct dial *dial);
uint32_t dial_count(const struct dial *dial);
/* One more waits; on_ready or on_abort of `events` follows. */
int dial_wait(struct dial *dial, const struct http_client_config *config, uint64_t connect_ms,
              const struct http_events *events, void *exchange, struct http_peer **out);
/* The first that waits, or NULL; dial_serve takes it out. */
struct dial_waiter *dial_first(struct dial *dial);
/* Its request goes on with `peer`, which is its owner's from now on. */
void dial_serve(struct dial_waiter *waiter, struct http_peer *peer);
/* It waits for another one from now on. */
void dial_move(struct dial_waiter *waiter, struct dial *to);
/* All that wait, and have not been served, are told. */
void dial_fail(struct dial *dial, int err);

#endif
