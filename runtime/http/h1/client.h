/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to an upstream over HTTP/1.1: one request at a time, its response back.
 *
 * ACTIVE -> IDLE -> ACTIVE ...; ACTIVE -> TUNNEL; any -> CLOSING
 * ACTIVE: an exchange owns it. IDLE: in its pool; a byte that arrives then kills it (DESIGN D16). */
#ifndef HTTP_H1_CLIENT_H
#define HTTP_H1_CLIENT_H

#include "base/list.h"
#include "http/client.h"
#include "http/h1/conn.h"

struct h1_client;

struct h1_client_owner {
  /* The response is whole and the connection may serve again: put it into a pool. */
  void (*on_idle)(struct h1_client *client);
  /* An idle connection closes: nobody may take it any more. */
  void (*on_leave)(struct h1_client *client);
  /* Leaves the pool if it is there; its memory goes when this returns. */
  void (*on_gone)(struct h1_client *client);
};

struct h1_client {
  struct h1_conn conn;
  struct list pool_node; /* of the pool, while idle */
  void *pool;            /* of the pool's owner */
  struct deadline deadline;
  struct http_client_config config;
  const struct h1_client_owner *owner;
  uint64_t opened_ms; /* by the loop's clock */
  uint32_t served;    /* requests that it has had, the present one too */
  uint8_t state;
  uint8_t reused;    /* served a request before: a failure may be a stale connection */
  uint8_t answered;  /* a byte of the present response has come */
  uint8_t head_only; /* the present request is HEAD */
  uint8_t sent;      /* the present request is whole */
  uint8_t complete;  /* the present response is whole */
  uint8_t paused;    /* the exchange does not read for now */
  uint8_t mute;      /* the upstream takes nothing more: what it has said is still read */
  uint8_t keep;      /* the response allows another request */
};

/* Takes over an open stream, for a first request; on failure it stays the caller's. */
int h1_client_start(struct h1_client **out, struct stream *stream, struct net_loop *loop,
                    const struct http_client_config *config, const struct h1_client_owner *owner,
                    const struct http_events *events, void *exchange);
/* Gives an idle connection to an exchange; it may send at once. */
void h1_client_take(struct h1_client *client, const struct http_events *events, void *exchange,
                    const struct http_client_config *config);
/* Asks the kernel whether the upstream has closed an idle connection, or sent what nobody asked for,
 * before the loop has heard of it. */
int h1_client_is_alive(const struct h1_client *client);
struct h1_client *h1_client_of(struct http_peer *peer);
void h1_client_close(struct h1_client *client);

#endif
