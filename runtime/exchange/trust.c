/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/trust.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* How much of what a proxy says is believed. */
enum belief {
  BELIEF_NONE,
  BELIEF_ADDRESS,
  BELIEF_ALL
};

static enum belief belief_in(const struct exchanges *all, const char *ip, size_t len)
{
  enum belief belief = BELIEF_NONE;
  struct cidr address;
  if (cidr_parse(ip, len, &address) < 0)
    return belief;
  for (uint32_t i = 0; i < all->trusted_count && belief < BELIEF_ALL; i++) {
    const struct trusted_proxy *proxy = &all->trusted[i];
    if (cidr_contains(&proxy->network, &address))
      belief = proxy->address_only ? BELIEF_ADDRESS : BELIEF_ALL;
  }
  return belief;
}

/* Walks the list of addresses from the right past trusted hops; the first other one is the client. An entry
 * that is no address ends the walk: nothing to the left of it can be believed. */
static void read_addresses(struct exchange *exchange, struct span list)
{
  const char *text = span_text(&exchange->arena, list);
  size_t end = list.len;
  while (end > 0) {
    size_t first = end;
    while (first > 0 && text[first - 1] != ',')
      first--;
    size_t from = first;
    size_t to = end;
    while (from < to && (text[from] == ' ' || text[from] == '\t'))
      from++;
    while (to > from && (text[to - 1] == ' ' || text[to - 1] == '\t'))
      to--;
    struct cidr address;
    if (cidr_parse(text + from, to - from, &address) < 0)
      return;
    exchange->client_ip = (struct span){ list.at + (uint32_t)from, (uint32_t)(to - from) };
    if (first == 0 || belief_in(exchange->all, text + from, to - from) == BELIEF_NONE)
      return;
    end = first - 1;
  }
}

/* The first element of a list field: the hop next to the client wrote it. */
static struct span first_of(const struct exchange *exchange, enum field_id id)
{
  int at = head_find_id(&exchange->request, id, 0);
  if (at < 0)
    return (struct span){ 0 };
  struct span value = exchange->request.fields[at].value;
  const char *text = span_text(&exchange->arena, value);
  const char *comma = value.len > 0 ? memchr(text, ',', value.len) : NULL;
  if (comma)
    value.len = (uint32_t)(comma - text);
  while (value.len > 0 && text[value.len - 1] == ' ')
    value.len--;
  return value;
}

/* The last field of that name: proxies add behind what came. */
static void read_client(struct exchange *exchange)
{
  const struct exchanges *all = exchange->all;
  const struct head *head = &exchange->request;
  const char *name = all->address_field;
  size_t len = all->address_field_len;
  int last = -1;
  for (int at = head_find(head, &exchange->arena, name, len, 0); at >= 0;
       at = head_find(head, &exchange->arena, name, len, (uint32_t)at + 1))
    last = at;
  if (last >= 0)
    read_addresses(exchange, head->fields[last].value);
}

int trust_read(struct exchange *exchange)
{
  const struct http_origin *origin = exchange->origin;
  int err = text_put(&exchange->arena, origin->ip, origin->ip_len, &exchange->peer_ip);
  exchange->client_ip = exchange->peer_ip;
  if (err < 0 || exchange->all->trusted_count == 0)
    return err;
  enum belief belief = belief_in(exchange->all, origin->ip, origin->ip_len);
  if (belief != BELIEF_NONE)
    read_client(exchange);
  if (belief != BELIEF_ALL)
    return 0;
  exchange->trusted = 1;
  exchange->forwarded_proto = first_of(exchange, FIELD_X_FORWARDED_PROTO);
  exchange->forwarded_host = first_of(exchange, FIELD_X_FORWARDED_HOST);
  struct span proto = exchange->forwarded_proto;
  if (proto.len > 0)
    exchange->record.secure =
        (uint32_t)text_equal(span_text(&exchange->arena, proto), proto.len, "https", 5);
  return 0;
}

static int put(struct exchange *exchange, enum field_id id, const char *name, const char *value,
               size_t len)
{
  head_remove_id(&exchange->outgoing, id);
  return head_add(&exchange->outgoing, &exchange->arena, name, strlen(name), value, len);
}

/* As put, unless a trusted proxy has said it already. */
static int put_own(struct exchange *exchange, enum field_id id, const char *name, const char *value,
                   size_t len)
{
  if (exchange->trusted && head_find_id(&exchange->outgoing, id, 0) >= 0)
    return 0;
  return put(exchange, id, name, value, len);
}

static int put_span(struct exchange *exchange, enum field_id id, const char *name,
                    struct span value)
{
  struct span name_at;
  head_remove_id(&exchange->outgoing, id);
  int err = text_put(&exchange->arena, name, strlen(name), &name_at);
  return err < 0 ? err : head_add_span(&exchange->outgoing, &exchange->arena, name_at, value);
}

/* "what came, peer" where what came is to be kept, else the client alone. */
static int put_forwarded_for(struct exchange *exchange)
{
  const struct http_origin *origin = exchange->origin;
  const struct head *head = &exchange->request;
  int keep = exchange->all->config.fields & FIELDS_FORWARDED_APPEND;
  int at = keep ? head_find_id(head, FIELD_X_FORWARDED_FOR, 0) : -1;
  if (at < 0)
    return put_span(exchange, FIELD_X_FORWARDED_FOR, "X-Forwarded-For", exchange->client_ip);
  struct buf *arena = &exchange->arena;
  struct span list = { (uint32_t)arena->len, 0 };
  int err = 0;
  for (; at >= 0 && err == 0; at = head_find_id(head, FIELD_X_FORWARDED_FOR, (uint32_t)at + 1)) {
    struct span value = head->fields[at].value;
    err = buf_reserve(arena, value.len + 2u);
    if (err == 0)
      err = buf_put(arena, span_text(arena, value), value.len);
    if (err == 0)
      err = buf_put(arena, ", ", 2);
  }
  if (err == 0)
    err = buf_put(arena, origin->ip, origin->ip_len);
  if (err < 0)
    return err;
  list.len = (uint32_t)arena->len - list.at;
  return put_span(exchange, FIELD_X_FORWARDED_FOR, "X-Forwarded-For", list);
}

static int put_forwarded(struct exchange *exchange)
{
  const struct mg_request *record = &exchange->record;
  const struct exchange_config *config = &exchange->all->config;
  const char *scheme = record->secure ? "https" : "http";
  const char *port = config->port_texts[record->secure ? 1 : 0];
  int err = put_forwarded_for(exchange);
  if (err == 0)
    err = put_own(exchange, FIELD_X_FORWARDED_PROTO, "X-Forwarded-Proto", scheme, strlen(scheme));
  struct span host =
      exchange->forwarded_host.len > 0 ? exchange->forwarded_host : exchange->request.host;
  if (err == 0 && host.len > 0)
    err = put_span(exchange, FIELD_X_FORWARDED_HOST, "X-Forwarded-Host", host);
  if (err == 0 && exchange->forwarded_host.len > 0)
    err = put_span(exchange, FIELD_HOST, "Host", host); /* the name that the client asked for */
  if (err == 0)
    err = put_own(exchange, FIELD_X_FORWARDED_PORT, "X-Forwarded-Port", port, strlen(port));
  return err;
}

static int put_scheme(struct exchange *exchange)
{
  struct span proto = exchange->forwarded_proto;
  if (proto.len > 0) {
    int err = put_span(exchange, FIELD_X_FORWARDED_SCHEME, "X-Forwarded-Scheme", proto);
    return err < 0 ? err : put_span(exchange, FIELD_X_SCHEME, "X-Scheme", proto);
  }
  const char *scheme = exchange->record.secure ? "https" : "http";
  int err = put(exchange, FIELD_X_FORWARDED_SCHEME, "X-Forwarded-Scheme", scheme, strlen(scheme));
  return err < 0 ? err : put(exchange, FIELD_X_SCHEME, "X-Scheme", scheme, strlen(scheme));
}

/* splitmix64; an identifier to find a request by, not a secret. */
static uint64_t next_random(struct exchanges *all)
{
  uint64_t z = all->seed += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static int put_request_id(struct exchange *exchange)
{
  int at = head_find_id(&exchange->outgoing, FIELD_X_REQUEST_ID, 0);
  if (at >= 0) {
    exchange->request_id = exchange->outgoing.fields[at].value;
    return 0;
  }
  char id[33];
  (void)snprintf(id, sizeof(id), "%016llx%016llx", (unsigned long long)next_random(exchange->all),
                 (unsigned long long)next_random(exchange->all));
  int err = head_add(&exchange->outgoing, &exchange->arena, "X-Request-ID", 12, id, 32);
  if (err == 0)
    exchange->request_id = exchange->outgoing.fields[exchange->outgoing.count - 1].value;
  return err;
}

int trust_write(struct exchange *exchange)
{
  uint32_t fields = exchange->all->config.fields;
  int err = 0;
  if (fields & FIELDS_FORWARDED)
    err = put_forwarded(exchange);
  if (err == 0 && fields & FIELDS_REAL_IP)
    err = put_span(exchange, FIELD_X_REAL_IP, "X-Real-IP", exchange->client_ip);
  if (err == 0 && fields & FIELDS_SCHEME)
    err = put_scheme(exchange);
  if (err == 0 && fields & FIELDS_REQUEST_ID)
    err = put_request_id(exchange);
  if (err == 0 && fields & FIELDS_ORIGINAL_URI) {
    struct span name;
    head_remove(&exchange->outgoing, &exchange->arena, "X-Original-URI", 14);
    err = text_put(&exchange->arena, "X-Original-URI", 14, &name);
    if (err == 0)
      err = head_add_span(&exchange->outgoing, &exchange->arena, name, exchange->request.target);
  }
  return err;
}
