/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/err.h"

enum {
  IDLE_PER_ENDPOINT = 320,
  IDLE_MS = 60000,
  TUNNEL_MS = 3600000,
  ENDPOINTS_MAX = 1 << 20,
  BUCKETS = 4096,
  REUSE_MS = 600000,
  NAME_BYTES = 128 /* "unix:" and a path, or an address and a port */
};

static const char UNIX[] = "unix:";

struct endpoint {
  struct pool *pool;
  struct sockaddr_storage addr;
  int (*secure)(struct stream *stream, void *data);
  void *secure_data;
  struct list idle;
  struct list node;       /* of pool->released, while nobody has its number */
  struct endpoint *chain; /* the next one with that hash */
  uint64_t released_ms;
  uint32_t number;
  uint32_t uses;
  uint32_t open_count;
  uint32_t idle_count;
  char name[NAME_BYTES];
};

struct pool {
  struct net_loop *loop;
  struct stats *stats;
  struct endpoint **endpoints;
  struct endpoint *buckets[BUCKETS];
  struct list released; /* the longest ago last */
  struct pool_config config;
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

/* Whether the connection has had all the requests, or the time, that it may have. */
static int is_spent(const struct pool *pool, const struct h1_client *client)
{
  const struct pool_config *config = &pool->config;
  return (config->requests > 0 && client->served >= config->requests) ||
         (config->life_ms > 0 && uv_now(pool->loop->uv) - client->opened_ms >= config->life_ms);
}

static void on_idle(struct h1_client *client)
{
  struct endpoint *endpoint = client->pool;
  const struct pool *pool = endpoint->pool;
  if (pool->draining || endpoint->uses == 0 || endpoint->idle_count >= pool->config.idle_count ||
      is_spent(pool, client)) {
    h1_client_close(client);
    return;
  }
  list_push(&endpoint->idle, &client->pool_node);
  endpoint->idle_count++;
  endpoint->pool->idle_count++;
  tell(endpoint->pool);
}

static void on_leave(struct h1_client *client)
{
  leave(client->pool, client);
}

static void on_gone(struct h1_client *client)
{
  struct endpoint *endpoint = client->pool;
  endpoint->open_count--;
  endpoint->pool->open_count--;
  tell(endpoint->pool);
}

static const struct h1_client_owner owner = { on_idle, on_leave, on_gone };

int pool_new(struct pool **out, struct net_loop *loop, struct stats *stats)
{
  struct pool *pool = calloc(1, sizeof(*pool));
  if (!pool)
    return UV_ENOMEM;
  pool->loop = loop;
  pool->stats = stats;
  list_init(&pool->released);
  pool->config = (struct pool_config){ .idle_count = IDLE_PER_ENDPOINT,
                                       .idle_ms = IDLE_MS,
                                       .tunnel_ms = TUNNEL_MS };
  *out = pool;
  return 0;
}

void pool_configure(struct pool *pool, const struct pool_config *config)
{
  pool->config = *config;
}

static void close_idle(struct endpoint *endpoint)
{
  while (!list_empty(&endpoint->idle)) {
    struct h1_client *client = LIST_ENTRY(endpoint->idle.next, struct h1_client, pool_node);
    leave(endpoint, client);
    h1_client_close(client);
  }
}

void pool_drain(struct pool *pool)
{
  pool->draining = 1;
  for (uint32_t i = 0; i < pool->count; i++)
    close_idle(pool->endpoints[i]);
}

void pool_free(struct pool *pool)
{
  for (uint32_t i = 0; i < pool->count; i++)
    free(pool->endpoints[i]);
  free(pool->endpoints);
  free(pool);
}

static int is_unix(const char *address)
{
  return strncmp(address, UNIX, sizeof(UNIX) - 1) == 0;
}

static int parse_path(const char *path, struct sockaddr_un *out)
{
  size_t len = strlen(path);
  if (path[0] != '/' || len >= sizeof(out->sun_path))
    return UV_EINVAL;
  out->sun_family = AF_UNIX;
  memcpy(out->sun_path, path, len + 1);
  return 0;
}

static int parse_address(const char *address, uint16_t port, struct sockaddr_storage *out)
{
  if (is_unix(address))
    return parse_path(address + sizeof(UNIX) - 1, (struct sockaddr_un *)out);
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

/* FNV-1a, over the name and the TLS that goes with it. */
static struct endpoint **bucket_of(struct pool *pool, const char *name, const void *secure_data)
{
  uint64_t hash = 14695981039346656037u ^ (uint64_t)(uintptr_t)secure_data;
  for (; *name; name++)
    hash = (hash ^ (unsigned char)*name) * 1099511628211u;
  return &pool->buckets[(hash ^ hash >> 32) % BUCKETS];
}

static struct endpoint *find(struct pool *pool, const char *name, const void *secure_data)
{
  struct endpoint *endpoint = *bucket_of(pool, name, secure_data);
  while (endpoint && (endpoint->secure_data != secure_data || strcmp(endpoint->name, name) != 0))
    endpoint = endpoint->chain;
  return endpoint;
}

static void unchain(struct pool *pool, struct endpoint *endpoint)
{
  struct endpoint **at = bucket_of(pool, endpoint->name, endpoint->secure_data);
  while (*at != endpoint)
    at = &(*at)->chain;
  *at = endpoint->chain;
}

/* One that nobody has had for long enough, without connections. */
static struct endpoint *take_released(struct pool *pool)
{
  if (list_empty(&pool->released))
    return NULL;
  struct endpoint *endpoint = LIST_ENTRY(pool->released.prev, struct endpoint, node);
  if (endpoint->open_count > 0 || uv_now(pool->loop->uv) - endpoint->released_ms < REUSE_MS)
    return NULL;
  list_remove(&endpoint->node);
  unchain(pool, endpoint);
  return endpoint;
}

static int add_endpoint(struct pool *pool, struct endpoint **out)
{
  int err = grow(pool);
  if (err < 0)
    return err;
  struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
  if (!endpoint)
    return UV_ENOMEM;
  endpoint->number = pool->count;
  pool->endpoints[pool->count++] = endpoint;
  *out = endpoint;
  return 0;
}

int pool_endpoint(struct pool *pool, const char *address, uint16_t port,
                  int (*secure)(struct stream *stream, void *data), void *secure_data)
{
  char name[NAME_BYTES];
  struct sockaddr_storage addr = { 0 };
  if (is_unix(address))
    (void)snprintf(name, sizeof(name), "%s", address);
  else
    (void)snprintf(name, sizeof(name), strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, port);
  struct endpoint *endpoint = find(pool, name, secure_data);
  if (endpoint) {
    list_remove(&endpoint->node);
    endpoint->uses++;
    return (int)endpoint->number;
  }
  int err = parse_address(address, port, &addr);
  if (err < 0)
    return err;
  endpoint = take_released(pool);
  if (!endpoint)
    err = add_endpoint(pool, &endpoint);
  if (err < 0)
    return err;
  struct endpoint **bucket = bucket_of(pool, name, secure_data);
  *endpoint = (struct endpoint){ .pool = pool,
                                 .addr = addr,
                                 .secure = secure,
                                 .secure_data = secure_data,
                                 .chain = *bucket,
                                 .number = endpoint->number,
                                 .uses = 1 };
  list_init(&endpoint->idle);
  list_init(&endpoint->node);
  memcpy(endpoint->name, name, sizeof(name));
  *bucket = endpoint;
  return (int)endpoint->number;
}

void pool_release(struct pool *pool, int number)
{
  if (number < 0 || (uint32_t)number >= pool->count || pool->endpoints[number]->uses == 0)
    return;
  struct endpoint *endpoint = pool->endpoints[number];
  if (--endpoint->uses > 0)
    return;
  endpoint->released_ms = uv_now(pool->loop->uv);
  list_push(&pool->released, &endpoint->node);
  close_idle(endpoint);
}

static struct h1_client_config config_of(const struct endpoint *endpoint,
                                         const struct pool_timeouts *timeouts)
{
  return (struct h1_client_config){
    .limits = { .head_bytes = 64 * 1024, .target_bytes = 0, .fields = 200 },
    .connect_ms = timeouts->connect_ms,
    .send_ms = timeouts->send_ms,
    .response_ms = timeouts->response_ms,
    .idle_ms = endpoint->pool->config.idle_ms,
    .tunnel_ms = endpoint->pool->config.tunnel_ms,
    .secure = endpoint->secure,
    .secure_data = endpoint->secure_data,
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

int pool_take(struct pool *pool, int number, const struct pool_timeouts *timeouts,
              const struct http_events *events, void *exchange, enum pool_want want,
              struct http_peer **out, int *fresh)
{
  if (number < 0 || (uint32_t)number >= pool->count)
    return ERR_NO_ENDPOINT;
  struct endpoint *endpoint = pool->endpoints[number];
  struct h1_client_config config = config_of(endpoint, timeouts);
  struct h1_client *client = take_idle(endpoint, want);
  *fresh = !client;
  if (client) {
    h1_client_take(client, events, exchange, &config);
    *out = &client->conn.peer;
    return 0;
  }
  int err = h1_client_open(&client, pool->loop, &config, &owner,
                           (const struct sockaddr *)&endpoint->addr, events, exchange);
  if (client) {
    client->pool = endpoint;
    endpoint->open_count++;
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
