/* SPDX-License-Identifier: Apache-2.0 */
/* Heads at the gateway: what Lua sees of the request, what goes upstream, what goes back. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "exchange/internal.h"
#include "exchange/target.h"
#include "exchange/trust.h"
#include "tls/certificate.h"
#include "tls/facts.h"

static struct mg_text text_of(const struct exchange *exchange, struct span span)
{
  return (struct mg_text){ exchange->arena.data + span.at, span.len };
}

void exchange_rebase(struct exchange *exchange)
{
  if (exchange->texts_base == exchange->arena.data)
    return;
  struct mg_request *record = &exchange->record;
  struct span target = exchange->request.target;
  exchange->texts_base = exchange->arena.data;
  record->method = text_of(exchange, exchange->request.method);
  record->target = text_of(exchange, target);
  record->path = text_of(exchange, exchange->path);
  record->host = text_of(exchange, exchange->host);
  record->authority = text_of(exchange, exchange->request.host);
  record->public_authority = record->authority;
  if (exchange->forwarded_host.len > 0)
    record->public_authority = text_of(exchange, exchange->forwarded_host);
  record->client_ip = text_of(exchange, exchange->client_ip);
  record->peer_ip = text_of(exchange, exchange->peer_ip);
  const char *mark = target.len ? memchr(record->target.data, '?', target.len) : NULL;
  record->query = (struct mg_text){ 0 };
  if (mark)
    record->query =
        (struct mg_text){ mark + 1, (uint32_t)(record->target.data + target.len - mark - 1) };
}

struct mg_text exchange_client_ip(const struct exchange *exchange)
{
  const struct http_origin *origin = exchange->origin;
  if (exchange->record.client_ip.length > 0 || !origin)
    return exchange->record.client_ip;
  return (struct mg_text){ origin->ip, origin->ip_len };
}

static int read_path(struct exchange *exchange)
{
  struct span target = exchange->request.target;
  int err = buf_reserve(&exchange->arena, target.len);
  if (err < 0)
    return err;
  const char *raw = span_text(&exchange->arena, target);
  const char *mark = memchr(raw, '?', target.len);
  size_t len = mark ? (size_t)(mark - raw) : target.len;
  exchange->path = (struct span){ (uint32_t)exchange->arena.len, 1 };
  if (raw[0] != '/') { /* `*` of OPTIONS */
    return buf_put(&exchange->arena, "/", 1);
  }
  int used = target_normalise(raw, len, exchange->arena.data + exchange->arena.len);
  if (used < 0)
    return used;
  exchange->path.len = (uint32_t)used;
  exchange->arena.len += (size_t)used;
  return 0;
}

/* Host without port, lower case, without the dot of a fully qualified name. */
static int read_host(struct exchange *exchange)
{
  struct span authority = exchange->request.host;
  int err = buf_reserve(&exchange->arena, authority.len + 1u);
  if (err < 0)
    return err;
  const char *text = span_text(&exchange->arena, authority);
  uint32_t len = authority.len;
  const char *bracket = len > 0 && text[0] == '[' ? memchr(text, ']', len) : NULL;
  const char *colon =
      memchr(bracket ? bracket : text, ':', len - (bracket ? (size_t)(bracket - text) : 0));
  if (colon)
    len = (uint32_t)(colon - text);
  if (len > 1 && text[len - 1] == '.')
    len--;
  char *out = exchange->arena.data + exchange->arena.len;
  for (uint32_t i = 0; i < len; i++)
    out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
  exchange->host = (struct span){ (uint32_t)exchange->arena.len, len };
  exchange->arena.len += len;
  return 0;
}

int exchange_match_target(struct exchange *exchange, struct span target)
{
  if (exchange->received_target.len == 0)
    exchange->received_target = exchange->request.target;
  exchange->request.target = target;
  int err = read_path(exchange);
  exchange->texts_base = NULL;
  exchange_rebase(exchange);
  return err;
}

int exchange_match_host(struct exchange *exchange, const char *host, size_t len)
{
  int err = text_put(&exchange->arena, host, len, &exchange->request.host);
  if (err == 0)
    err = read_host(exchange);
  exchange->texts_base = NULL;
  exchange_rebase(exchange);
  return err;
}

/* RFC 6125 6.4.3: `*` stands for the leftmost label alone. */
static int name_covers(const char *name, struct mg_text host)
{
  size_t len = strlen(name);
  const char *dot = host.length > 0 ? memchr(host.data, '.', host.length) : NULL;
  if (name[0] == '*' && dot)
    return text_equal(name + 1, len - 1, dot, (size_t)(host.data + host.length - dot));
  return text_equal(name, len, host.data, host.length);
}

/* RFC 9110 7.4, 15.5.20: over HTTP/2 a client may send requests for any name that the certificate is
 * good for on one connection; for others it has to make another one. */
static int is_directed(const struct exchange *exchange)
{
  const struct http_origin *origin = exchange->origin;
  const struct mg_text host = exchange->record.host;
  if (exchange->request.version != 20 || !origin->tls || !origin->stream)
    return 1;
  const char *sni = tls_sni(origin->stream);
  if (!sni || text_equal(sni, strlen(sni), host.data, host.length))
    return 1;
  const struct mg_certificate *certificate = tls_certificate(origin->stream);
  for (uint32_t i = 0; i < mg_certificate_name_count(certificate); i++) {
    if (name_covers(mg_certificate_name(certificate, i), host))
      return 1;
  }
  return 0;
}

/* RFC 9113 3.1 has no upgrade to HTTP/2 any more. One that is passed on opens a way to the backend that
 * no hook sees. */
static void forget_h2c(struct exchange *exchange)
{
  struct head *head = &exchange->request;
  int at = head_find_id(head, FIELD_UPGRADE, 0);
  if (at < 0)
    return;
  struct span value = head->fields[at].value;
  if (!text_has_token(span_text(&exchange->arena, value), value.len, "h2c"))
    return;
  head->upgrade = 0;
  head_remove(head, &exchange->arena, "http2-settings", 14);
}

int fields_read(struct exchange *exchange)
{
  struct mg_request *record = &exchange->record;
  const struct http_origin *origin = exchange->origin;
  const struct head *head = &exchange->request;
  forget_h2c(exchange);
  record->version = head->version;
  record->body_length = head->body_len;
  record->upgrade = head->upgrade;
  record->stream_id = exchange->client->stream_id;
  record->tls = origin->tls;
  record->secure = origin->tls;
  record->client_port = origin->port;
  record->local_port = origin->local_port;
  int err = read_path(exchange);
  if (err == 0)
    err = read_host(exchange);
  if (err == 0)
    err = trust_read(exchange);
  exchange->texts_base = NULL;
  exchange_rebase(exchange);
  return err == 0 && !is_directed(exchange) ? ERR_MISDIRECTED : err;
}

static int add(struct exchange *exchange, const char *name, const char *value, size_t len)
{
  return head_add(&exchange->outgoing, &exchange->arena, name, strlen(name), value, len);
}

/* A value may stand in the arena that head_add grows: it is copied out first. */
static int add_span(struct exchange *exchange, const char *name, struct span value)
{
  struct span name_at;
  int err = text_put(&exchange->arena, name, strlen(name), &name_at);
  return err < 0 ? err : head_add_span(&exchange->outgoing, &exchange->arena, name_at, value);
}

static int add_upgrade(struct exchange *exchange)
{
  int at = head_find_id(&exchange->request, FIELD_UPGRADE, 0);
  if (!exchange->request.upgrade || at < 0)
    return 0;
  int err = add(exchange, "Connection", "Upgrade", 7);
  return err < 0 ? err : add_span(exchange, "Upgrade", exchange->request.fields[at].value);
}

/* RFC 9110 7.6.3. */
static int add_via(struct exchange *exchange)
{
  const char *text = exchange->request.version == 10 ? "1.0 moongate" : "1.1 moongate";
  if (exchange->request.version == 20)
    text = "2.0 moongate";
  return add(exchange, "Via", text, strlen(text));
}

/* TE is hop-by-hop, yet gRPC and trailers need `TE: trailers` told anew (RFC 9110 10.1.4). */
static int add_te(struct exchange *exchange)
{
  int at = head_find_id(&exchange->request, FIELD_TE, 0);
  if (at < 0)
    return 0;
  struct span value = exchange->request.fields[at].value;
  if (!text_has_token(span_text(&exchange->arena, value), value.len, "trailers"))
    return 0;
  int err = add(exchange, "Connection", "TE", 2);
  return err < 0 || exchange->request.upgrade ? err : add(exchange, "TE", "trailers", 8);
}

int fields_outgoing(struct exchange *exchange)
{
  struct head *head = &exchange->outgoing;
  int err = head_copy(head, &exchange->request);
  if (err < 0)
    return err;
  int had_te = head_find_id(head, FIELD_TE, 0) >= 0;
  head_strip_hop_by_hop(head, &exchange->arena);
  head_remove_id(head, FIELD_PROXY);         /* CVE-2016-5385, "httpoxy" */
  head_remove_id(head, FIELD_EXPECT);        /* the gateway answers it itself */
  if (head_find_id(head, FIELD_HOST, 0) < 0) /* RFC 9112 3.2: empty where HTTP/1.0 said none */
    err = add_span(exchange, "Host", exchange->request.host);
  else if (exchange->request.host.len > 0) /* absolute-form wins over the field */
    head->fields[head_find_id(head, FIELD_HOST, 0)].value = exchange->request.host;
  head->version = 11;
  if (err == 0)
    err = add_upgrade(exchange);
  if (err == 0 && had_te)
    err = add_te(exchange);
  if (err == 0)
    err = trust_write(exchange);
  if (err == 0 && exchange->all->config.fields & FIELDS_VIA)
    err = add_via(exchange);
  exchange_rebase(exchange);
  return err;
}

int fields_date(struct exchange *exchange)
{
  if (head_find_id(&exchange->response, FIELD_DATE, 0) >= 0)
    return 0;
  struct exchanges *all = exchange->all;
  time_t now = time(NULL);
  if (now != all->date_at) {
    struct tm utc;
    gmtime_r(&now, &utc);
    all->date_at = now;
    all->date_len = strftime(all->date, sizeof(all->date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  }
  int err = head_add(&exchange->response, &exchange->arena, "date", 4, all->date, all->date_len);
  exchange_rebase(exchange);
  return err;
}

int fields_server(struct exchange *exchange)
{
  const struct exchanges *all = exchange->all;
  if (all->server_name_len == 0 || head_find_id(&exchange->response, FIELD_SERVER, 0) >= 0)
    return 0;
  int err = head_add(&exchange->response, &exchange->arena, "server", 6, all->server_name,
                     all->server_name_len);
  exchange_rebase(exchange);
  return err;
}

int fields_response(struct exchange *exchange)
{
  struct head *head = &exchange->response;
  int at = head_find_id(head, FIELD_UPGRADE, 0);
  struct span upgrade = at >= 0 ? head->fields[at].value : (struct span){ 0 };
  head_strip_hop_by_hop(head, &exchange->arena);
  if (head->status != 101)
    return fields_date(exchange);
  int err = head_add(head, &exchange->arena, "Connection", 10, "Upgrade", 7);
  struct span name;
  if (err == 0)
    err = text_put(&exchange->arena, "Upgrade", 7, &name);
  if (err == 0)
    err = head_add_span(head, &exchange->arena, name, upgrade);
  exchange_rebase(exchange);
  return err;
}
