/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to an upstream over HTTP/2 (RFC 9113): many requests at a time, each the http_peer of one
 * exchange.
 *
 * OPEN -> LEAVING -> CLOSING -> GONE; OPEN -> CLOSING
 * OPEN: takes requests while it has room. LEAVING: the upstream sent GOAWAY, its pool lets go, or its
 * ids are used up; the requests it has go on. CLOSING: GOAWAY and what was queued
 * go out, then libuv is waited for. GONE: so long as somebody
 * looks at an answer that is whole. */
#ifndef HTTP_H2_CLIENT_H
#define HTTP_H2_CLIENT_H

#include "base/list.h"
#include "base/stats.h"
#include "http/client.h"
#include "net/loop.h"
#include "net/stream.h"

struct h2_client;

struct h2_client_owner {
  /* How many streams the upstream lets open at a time, each time that it says so. */
  void (*on_room)(struct h2_client *client, uint32_t streams);
  /* Requests that it has: the first has come, or the last has ended. */
  void (*on_use)(struct h2_client *client, int is_idle);
  /* A limit of the connection was gone over: to be counted and logged. */
  void (*on_limit)(struct h2_client *client, enum limit limit);
  /* It takes no further request: OPEN is over. Told once, before on_gone. */
  void (*on_leave)(struct h2_client *client);
  /* Its memory goes when this returns. */
  void (*on_gone)(struct h2_client *client);
};

struct h2_client_settings {
  uint32_t streams; /* at a time, until the upstream says how many; at least 1 */
  uint32_t stream_window;
  uint32_t connection_window;
  uint32_t table_bytes;
  uint64_t idle_ms;      /* without a request; 0: no limit */
  uint64_t ping_ms;      /* silence while requests wait, after which a PING asks; 0: never */
  uint64_t ping_wait_ms; /* for its answer; then the connection is dead */
};

/* Takes over an open stream; on failure it stays the caller's. `data` is the owner's, h2_client_data
 * gives it. */
int h2_client_start(struct h2_client **out, struct stream *stream, struct net_loop *loop,
                    const struct h2_client_settings *settings, const struct h2_client_owner *owner,
                    void *data);
void *h2_client_data(const struct h2_client *client);
/* 1 while it is OPEN and the upstream lets one more stream open (RFC 9113 5.1.2). */
int h2_client_has_room(const struct h2_client *client);
/* A request of `exchange`, which may send at once; only with room. ERR_NO_MEMORY or 0. */
int h2_client_request(struct h2_client *client, const struct http_client_config *config,
                      const struct http_events *events, void *exchange, struct http_peer **out);
/* Requests that it has had. */
uint32_t h2_client_served(const struct h2_client *client);
/* By the loop's clock. */
uint64_t h2_client_opened_ms(const struct h2_client *client);
/* Takes no further request and closes after the last one. */
void h2_client_leave(struct h2_client *client);
/* At once; requests that it has fail. Not from what it tells. */
void h2_client_close(struct h2_client *client);

#endif
