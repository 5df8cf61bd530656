/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"

enum {
  IDLE_PER_ENDPOINT = 320,
  IDLE_MS = 60000,
  TUNNEL_MS = 3600000,
  ENDPOINTS_MAX = 1 << 20
};

struct endpoint {
  struct pool *pool;
  struct sockaddr_storage addr;
  int (*secure)(struct stream *stream, void *data);
  void *secure_data;
  struct list idle;
  uint32_t idle_count;
  char name[64];
};

struct pool {
  struct net_loop *loop;
  struct stats *stats;
  struct endpoint **endpoints;
  uint32_t count;
  uint32_t cap;
  uint32_t open_count;
  uint32_t idle_count;
  uint8_t draining;
};

static void tell(const struct pool *pool)
{
  stat_set(pool->stats, STAT_UPSTREAM_BUSY, pool->open_count - pool->idle_count);
  stat_set(pool->stats, STAT_UPSTREAM_IDLE, pool->idle_count);
}

static void leave(struct endpoint *endpoint, struct h1_client *client)
{
  if (list_empty(&client->pool_node))
    return;
  list_remove(&client->pool_node);
  endpoint->idle_count--;
  endpoint->pool->idle_count--;
  tell(endpoint->pool);
}

static void on_idle(struct h1_client *client)
{
  struct endpoint *endpoint = client->pool;
  if (endpoint->pool->draining || endpoint->idle_count >= IDLE_PER_ENDPOINT) {
    h1_client_close(client);
    return;
  }
  list_push(&endpoint->idle, &client->pool_node);
  endpoint->idle_count++;
  endpoint->pool->idle_count++;
  tell(endpoint->pool);
}

static void on_gone(struct h1_client *client)
{
  struct endpoint *endpoint = client->pool;
  leave(endpoint, client);
  endpoint->pool->open_count--;
  tell(endpoint->pool);
}

static const struct h1_client_owner owner = { on_idle, on_gone };

int pool_new(struct pool **out, struct net_loop *loop, struct stats *stats)
{
  struct pool *pool = calloc(1, sizeof(*pool));
  if (!pool)
    return UV_ENOMEM;
  pool->loop = loop;
  pool->stats = stats;
  *out = pool;
  return 0;
}

void pool_drain(struct pool *pool)
{
  pool->draining = 1;
  for (uint32_t i = 0; i < pool->count; i++) {
    struct endpoint *endpoint = pool->endpoints[i];
    while (!list_empty(&endpoint->idle)) {
      struct h1_client *client = LIST_ENTRY(endpoint->idle.next, struct h1_client, pool_node);
      leave(endpoint, client);
      h1_client_close(client);
    }
  }
}

void pool_free(struct pool *pool)
{
  for (uint32_t i = 0; i < pool->count; i++)
    free(pool->endpoints[i]);
  free(pool->endpoints);
  free(pool);
}

static int parse_address(const char *address, uint16_t port, struct sockaddr_storage *out)
{
  int err = uv_ip4_addr(address, port, (struct sockaddr_in *)out);
  return err < 0 ? uv_ip6_addr(address, port, (struct sockaddr_in6 *)out) : 0;
}

static int grow(struct pool *pool)
{
  if (pool->count < pool->cap)
    return 0;
  uint32_t cap = pool->cap ? pool->cap * 2 : 16;
  if (cap > ENDPOINTS_MAX)
    return ERR_LIMIT;
  struct endpoint **endpoints = realloc(pool->endpoints, cap * sizeof(struct endpoint *));
  if (!endpoints)
    return UV_ENOMEM;
  pool->endpoints = endpoints;
  pool->cap = cap;
  return 0;
}

int pool_endpoint(struct pool *pool, const char *address, uint16_t port,
                  int (*secure)(struct stream *stream, void *data), void *secure_data)
{
  char name[64];
  (void)snprintf(name, sizeof(name), strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, port);
  /* Linear: this runs when a snapshot is adopted, and Lua keeps the number. */
  for (uint32_t i = 0; i < pool->count; i++) {
    const struct endpoint *known = pool->endpoints[i];
    if (known->secure_data == secure_data && strcmp(known->name, name) == 0)
      return (int)i;
  }
  struct sockaddr_storage addr;
  memset(&addr, 0, sizeof(addr));
  int err = parse_address(address, port, &addr);
  if (err == 0)
    err = grow(pool);
  if (err < 0)
    return err;
  struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
  if (!endpoint)
    return UV_ENOMEM;
  endpoint->pool = pool;
  endpoint->addr = addr;
  endpoint->secure = secure;
  endpoint->secure_data = secure_data;
  list_init(&endpoint->idle);
  memcpy(endpoint->name, name, sizeof(name));
  pool->endpoints[pool->count] = endpoint;
  return (int)pool->count++;
}

static struct h1_client_config config_of(const struct endpoint *endpoint,
                                         const struct pool_timeouts *timeouts)
{
  return (struct h1_client_config){
    .limits = { .head_bytes = 64 * 1024, .target_bytes = 0, .fields = 200 },
    .connect_ms = timeouts->connect_ms,
    .send_ms = timeouts->send_ms,
    .response_ms = timeouts->response_ms,
    .idle_ms = IDLE_MS,
    .tunnel_ms = TUNNEL_MS,
    .secure = endpoint->secure,
    .secure_data = endpoint->secure_data,
  };
}

int pool_take(struct pool *pool, int number, const struct pool_timeouts *timeouts,
              const struct http_events *events, void *exchange, int want_fresh,
              struct http_peer **out, int *fresh)
{
  CHECK(number >= 0 && (uint32_t)number < pool->count);
  struct endpoint *endpoint = pool->endpoints[number];
  struct h1_client_config config = config_of(endpoint, timeouts);
  struct h1_client *client = NULL;
  *fresh = want_fresh || list_empty(&endpoint->idle);
  if (!*fresh) {
    client = LIST_ENTRY(endpoint->idle.next, struct h1_client, pool_node);
    leave(endpoint, client);
    h1_client_take(client, events, exchange, &config);
    *out = &client->conn.peer;
    return 0;
  }
  int err = h1_client_open(&client, pool->loop, &config, &owner,
                           (const struct sockaddr *)&endpoint->addr, events, exchange);
  if (client) {
    client->pool = endpoint;
    pool->open_count++;
    tell(pool);
  }
  if (err < 0)
    return ERR_CONNECT;
  *out = &client->conn.peer;
  return 0;
}

const char *pool_name(const struct pool *pool, int endpoint)
{
  return endpoint >= 0 && (uint32_t)endpoint < pool->count ? pool->endpoints[endpoint]->name : "";
}
