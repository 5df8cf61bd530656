/* SPDX-License-Identifier: Apache-2.0 */
/* The table of endpoints: each has a number while somebody uses it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/err.h"
#include "upstream/internal.h"

enum {
  IDLE_PER_ENDPOINT = 320,
  IDLE_MS = 60000,
  TUNNEL_MS = 3600000,
  PING_MS = 30000,
  PING_WAIT_MS = 10000,
  ENDPOINTS_MAX = 1 << 20,
  REUSE_MS = 600000
};

static const char UNIX[] = "unix:";

int pool_new(struct pool **out, struct net_loop *loop, struct stats *stats)
{
  struct pool *pool = calloc(1, sizeof(*pool));
  if (!pool)
    return UV_ENOMEM;
  pool->loop = loop;
  pool->stats = stats;
  list_init(&pool->released);
  list_init(&pool->links);
  pool->config = (struct pool_config){ .idle_count = IDLE_PER_ENDPOINT,
                                       .idle_ms = IDLE_MS,
                                       .tunnel_ms = TUNNEL_MS,
                                       .ping_ms = PING_MS,
                                       .ping_wait_ms = PING_WAIT_MS };
  *out = pool;
  return 0;
}

void pool_configure(struct pool *pool, const struct pool_config *config)
{
  pool->config = *config;
}

void pool_drain(struct pool *pool)
{
  pool->draining = 1;
  for (uint32_t i = 0; i < pool->count; i++)
    endpoint_close_idle(pool->endpoints[i]);
  for (struct list *node = pool->links.next; node != &pool->links; node = node->next)
    h2_client_close(LIST_ENTRY(node, struct h2_link, pool_node)->client);
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
  return &pool->buckets[(hash ^ hash >> 32) % ENDPOINT_BUCKETS];
}

static struct endpoint *find(struct pool *pool, const char *name, enum pool_protocol protocol,
                             const void *secure_data)
{
  struct endpoint *endpoint = *bucket_of(pool, name, secure_data);
  while (endpoint && (endpoint->secure_data != secure_data || endpoint->protocol != protocol ||
                      strcmp(endpoint->name, name) != 0))
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
                  enum pool_protocol protocol, int (*secure)(struct stream *stream, void *data),
                  void *secure_data)
{
  char name[ENDPOINT_NAME_BYTES];
  struct sockaddr_storage addr = { 0 };
  if (is_unix(address))
    (void)snprintf(name, sizeof(name), "%s", address);
  else
    (void)snprintf(name, sizeof(name), strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, port);
  struct endpoint *endpoint = find(pool, name, protocol, secure_data);
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
                                 .protocol = protocol,
                                 .secure = secure,
                                 .secure_data = secure_data,
                                 .chain = *bucket,
                                 .number = endpoint->number,
                                 .uses = 1 };
  list_init(&endpoint->idle);
  list_init(&endpoint->links);
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
  endpoint_close_idle(endpoint);
}

const char *pool_name(const struct pool *pool, int endpoint)
{
  return endpoint >= 0 && (uint32_t)endpoint < pool->count ? pool->endpoints[endpoint]->name : "";
}
