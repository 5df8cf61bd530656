/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to endpoints: kept, shared over HTTP/2, or made. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "http/h1/client.h"
#include "tls/facts.h"
#include "upstream/internal.h"

enum {
  ANSWER_HEAD_BYTES = 64 * 1024,
  H2_STREAMS = 100, /* that a connection is taken to let open: RFC 9113 6.5.2 asks for no less */
  H2_WAITERS_MAX = H2_STREAMS,
  H2_WINDOW_BYTES = 256 * 1024,
  H2_CONNECTION_WINDOW_BYTES = 4 << 20,
  H2_TABLE_BYTES = 4096
};

static void tell(const struct pool *pool)
{
  stat_set(pool->stats, STAT_UPSTREAM_BUSY, pool->open_count - pool->idle_count);
  stat_set(pool->stats, STAT_UPSTREAM_IDLE, pool->idle_count);
}

static void count_idle(struct endpoint *endpoint, int by)
{
  endpoint->idle_count += (uint32_t)by;
  endpoint->pool->idle_count += (uint32_t)by;
  tell(endpoint->pool);
}

static void leave(struct endpoint *endpoint, struct h1_client *client)
{
  if (list_empty(&client->pool_node))
    return;
  list_remove(&client->pool_node);
  count_idle(endpoint, -1);
}

/* Whether a connection has had all the requests, or the time, that it may have. */
static int is_spent(const struct pool *pool, uint32_t served, uint64_t opened_ms)
{
  const struct pool_config *config = &pool->config;
  return (config->requests > 0 && served >= config->requests) ||
         (config->life_ms > 0 && uv_now(pool->loop->uv) - opened_ms >= config->life_ms);
}

/* Whether a connection that has nothing to do is one more than are kept. */
static int is_unwanted(const struct endpoint *endpoint)
{
  const struct pool *pool = endpoint->pool;
  return pool->draining || endpoint->uses == 0 || endpoint->idle_count >= pool->config.idle_count;
}

static void on_idle(struct h1_client *client)
{
  struct endpoint *endpoint = client->pool;
  if (is_unwanted(endpoint) || is_spent(endpoint->pool, client->served, client->opened_ms)) {
    h1_client_close(client);
    return;
  }
  list_push(&endpoint->idle, &client->pool_node);
  count_idle(endpoint, 1);
}

static void on_leave(struct h1_client *client)
{
  leave(client->pool, client);
}

static void count_open(struct endpoint *endpoint, int by)
{
  endpoint->open_count += (uint32_t)by;
  endpoint->pool->open_count += (uint32_t)by;
  tell(endpoint->pool);
}

static void on_gone(struct h1_client *client)
{
  count_open(client->pool, -1);
}

static const struct h1_client_owner owner = { on_idle, on_leave, on_gone };

/* Nobody waits for room: where there is none, another connection is made. How much there is on the next
 * one, before it says so itself, is known from the last. */
static void on_link_room(struct h2_client *client, uint32_t streams)
{
  const struct h2_link *link = h2_client_data(client);
  link->endpoint->streams = streams;
}

static void set_idle(struct h2_link *link, int is_idle)
{
  if (link->is_idle == is_idle)
    return;
  link->is_idle = (uint8_t)is_idle;
  count_idle(link->endpoint, is_idle ? 1 : -1);
}

static void on_link_use(struct h2_client *client, int is_idle)
{
  struct h2_link *link = h2_client_data(client);
  if (is_idle && is_unwanted(link->endpoint))
    h2_client_leave(client);
  else
    set_idle(link, is_idle);
}

static void on_link_limit(struct h2_client *client, enum limit limit)
{
  const struct h2_link *link = h2_client_data(client);
  stats_limit(link->endpoint->pool->stats, limit);
  log_warn("limit_exceeded", "limit", limit_name(limit), "endpoint", link->endpoint->name);
}

static void on_link_leave(struct h2_client *client)
{
  struct h2_link *link = h2_client_data(client);
  list_remove(&link->node);
}

static void on_link_gone(struct h2_client *client)
{
  struct h2_link *link = h2_client_data(client);
  set_idle(link, 0);
  list_remove(&link->pool_node);
  count_open(link->endpoint, -1);
  free(link);
}

static const struct h2_client_owner link_owner = { on_link_room, on_link_use, on_link_limit,
                                                   on_link_leave, on_link_gone };

void endpoint_close_idle(struct endpoint *endpoint)
{
  while (!list_empty(&endpoint->idle)) {
    struct h1_client *client = LIST_ENTRY(endpoint->idle.next, struct h1_client, pool_node);
    leave(endpoint, client);
    h1_client_close(client);
  }
  while (!list_empty(&endpoint->links)) /* each leaves the list */
    h2_client_leave(LIST_ENTRY(endpoint->links.next, struct h2_link, node)->client);
}

/* A tunnel may be silent as long as a response, or longer; 0: for ever. */
static struct http_client_config config_of(const struct endpoint *endpoint,
                                           const struct pool_request *request)
{
  uint64_t tunnel_ms = endpoint->pool->config.tunnel_ms;
  if (tunnel_ms > 0 && tunnel_ms < request->response_ms)
    tunnel_ms = request->response_ms;
  return (struct http_client_config){
    .limits = { .head_bytes = request->head_bytes ? request->head_bytes : ANSWER_HEAD_BYTES,
                .fields = 200 },
    .read_bytes = request->read_bytes,
    .send_ms = request->send_ms,
    .response_ms = request->response_ms,
    .idle_ms = endpoint->pool->config.idle_ms,
    .tunnel_ms = tunnel_ms,
  };
}

static struct h1_client *take_idle(struct endpoint *endpoint, enum pool_want want)
{
  while (want != POOL_FRESH && !list_empty(&endpoint->idle)) {
    struct h1_client *client = LIST_ENTRY(endpoint->idle.next, struct h1_client, pool_node);
    leave(endpoint, client);
    if (want == POOL_ANY || h1_client_is_alive(client))
      return client;
    h1_client_close(client);
  }
  return NULL;
}

/* A connection over HTTP/2 that has room for one more request. */
static struct h2_client *find_link(const struct endpoint *endpoint)
{
  const struct list *next;
  for (const struct list *node = endpoint->links.next; node != &endpoint->links; node = next) {
    struct h2_client *client = LIST_ENTRY(node, struct h2_link, node)->client;
    next = node->next; /* one that leaves is taken out of the list */
    if (is_spent(endpoint->pool, h2_client_served(client), h2_client_opened_ms(client)))
      h2_client_leave(client);
    else if (h2_client_has_room(client))
      return client;
  }
  return NULL;
}

/* new connections */

static int dial_endpoint(struct endpoint *endpoint, struct dial **out);

static int is_h2(const struct endpoint *endpoint)
{
  return endpoint->protocol == POOL_HTTP2 ||
         (endpoint->protocol == POOL_AUTO && endpoint->speaks_h2);
}

static void serve_h1(struct endpoint *endpoint, struct dial *dial, struct stream *stream)
{
  struct dial_waiter *waiter = dial_first(dial);
  struct h1_client *client;
  struct http_peer *peer = &waiter->peer;
  if (h1_client_start(&client, stream, endpoint->pool->loop, &waiter->config, &owner, peer->events,
                      peer->owner) < 0) {
    dial_fail(dial, ERR_NO_MEMORY);
    return;
  }
  client->pool = endpoint;
  count_open(endpoint, 1);
  dial_serve(waiter, &client->conn.peer);
}

static int start_link(struct endpoint *endpoint, struct stream *stream, struct h2_link **out)
{
  const struct pool_config *config = &endpoint->pool->config;
  uint32_t streams = endpoint->streams ? endpoint->streams : H2_STREAMS;
  const struct h2_client_settings settings = { .streams = streams,
                                               .stream_window = H2_WINDOW_BYTES,
                                               .connection_window = H2_CONNECTION_WINDOW_BYTES,
                                               .table_bytes = H2_TABLE_BYTES,
                                               .idle_ms = config->idle_ms,
                                               .ping_ms = config->ping_ms,
                                               .ping_wait_ms = config->ping_wait_ms };
  struct h2_link *link = calloc(1, sizeof(*link));
  if (!link)
    return UV_ENOMEM;
  link->endpoint = endpoint;
  list_push(&endpoint->links, &link->node);
  if (h2_client_start(&link->client, stream, endpoint->pool->loop, &settings, &link_owner, link) <
      0) {
    list_remove(&link->node);
    free(link);
    return UV_ENOMEM;
  }
  list_push(&endpoint->pool->links, &link->pool_node);
  count_open(endpoint, 1);
  *out = link;
  return 0;
}

static void serve_h2(struct endpoint *endpoint, struct dial *dial, struct stream *stream)
{
  struct h2_link *link;
  if (start_link(endpoint, stream, &link) < 0) {
    dial_fail(dial, ERR_NO_MEMORY);
    return;
  }
  struct h2_client *client;
  struct dial_waiter *waiter = dial_first(dial);
  for (; waiter && (client = find_link(endpoint)) != NULL; waiter = dial_first(dial)) {
    struct http_peer *peer;
    if (h2_client_request(client, &waiter->config, waiter->peer.events, waiter->peer.owner, &peer) <
        0)
      break;
    dial_serve(waiter, peer);
  }
}

/* The rest waits for another connection. */
static void move_rest(struct endpoint *endpoint, struct dial *dial)
{
  while (dial_first(dial)) {
    struct dial *other;
    if (endpoint->dial && dial_count(endpoint->dial) < H2_WAITERS_MAX) {
      other = endpoint->dial;
    } else if (dial_endpoint(endpoint, &other) < 0) {
      dial_fail(dial, ERR_CONNECT);
      return;
    }
    dial_move(dial_first(dial), other);
  }
}

static void on_dialled(struct dial *dial, struct stream *stream)
{
  struct endpoint *endpoint = dial_data(dial);
  const char *alpn = tls_alpn(stream);
  int agreed = alpn && strcmp(alpn, "h2") == 0;
  if (endpoint->protocol == POOL_HTTP2 && endpoint->secure && !agreed) {
    dial_fail(dial, ERR_UPSTREAM_PROTOCOL);
    return;
  }
  endpoint->speaks_h2 = (uint8_t)agreed;
  if (agreed || endpoint->protocol == POOL_HTTP2)
    serve_h2(endpoint, dial, stream);
  else
    serve_h1(endpoint, dial, stream);
  move_rest(endpoint, dial);
}

static void on_dial_gone(struct dial *dial)
{
  struct endpoint *endpoint = dial_data(dial);
  if (endpoint->dial == dial)
    endpoint->dial = NULL;
  count_open(endpoint, -1);
}

static const struct dial_owner dial_owner = { on_dialled, on_dial_gone };

static int dial_endpoint(struct endpoint *endpoint, struct dial **out)
{
  const struct dial_target target = { .addr = (const struct sockaddr *)&endpoint->addr,
                                      .secure = endpoint->secure,
                                      .secure_data = endpoint->secure_data };
  int err = dial_start(out, endpoint->pool->loop, &target, &dial_owner, endpoint);
  if (err < 0)
    return err;
  count_open(endpoint, 1);
  stat_add(endpoint->pool->stats, STAT_CONNECTS, 1);
  if (is_h2(endpoint))
    endpoint->dial = *out;
  return 0;
}

static int wait_for_dial(struct endpoint *endpoint, const struct http_client_config *config,
                         uint64_t connect_ms, const struct http_events *events, void *exchange,
                         struct http_peer **out)
{
  struct dial *dial = endpoint->dial;
  if (!dial || dial_count(dial) >= H2_WAITERS_MAX) {
    int err = dial_endpoint(endpoint, &dial);
    if (err < 0)
      return err;
  }
  return dial_wait(dial, config, connect_ms, events, exchange, out);
}

int pool_take(struct pool *pool, int number, const struct pool_request *request,
              const struct http_events *events, void *exchange, enum pool_want want,
              struct http_peer **out, int *fresh)
{
  if (number < 0 || (uint32_t)number >= pool->count)
    return ERR_NO_ENDPOINT;
  struct endpoint *endpoint = pool->endpoints[number];
  const struct http_client_config config = config_of(endpoint, request);
  *fresh = 0;
  struct h1_client *client = take_idle(endpoint, want);
  if (client) {
    h1_client_take(client, events, exchange, &config);
    *out = &client->conn.peer;
    return 0;
  }
  struct h2_client *link = want == POOL_FRESH ? NULL : find_link(endpoint);
  if (link)
    return h2_client_request(link, &config, events, exchange, out);
  *fresh = 1;
  return wait_for_dial(endpoint, &config, request->connect_ms, events, exchange, out);
}
