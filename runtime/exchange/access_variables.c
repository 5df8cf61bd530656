/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of the access log: what each is of an exchange. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "exchange/access_format.h"
#include "exchange/internal.h"

static const struct mg_text absent = { NULL, 0 };

static struct mg_text constant(const char *text)
{
  return (struct mg_text){ text, (uint32_t)strlen(text) };
}

static struct mg_text in_arena(const struct access_line *line, struct span span)
{
  const struct buf *arena = &line->exchange->arena;
  return span.len > 0 ? (struct mg_text){ arena->data + span.at, span.len } : absent;
}

struct mg_text access_header(const struct access_line *line, const struct head *head,
                             const char *name, uint32_t len)
{
  int at = head_find(head, &line->exchange->arena, name, len, 0);
  if (at < 0)
    return absent;
  struct span value = head->fields[at].value;
  return (struct mg_text){ span_text(&line->exchange->arena, value), value.len };
}

/* numbers, into the line's scratch */

struct mg_text access_number(struct access_line *line, uint64_t value, uint32_t digits)
{
  char *end = line->scratch + sizeof(line->scratch);
  char *at = end;
  for (; value > 0 || digits > 0; value /= 10) {
    *--at = (char)('0' + value % 10);
    digits -= digits > 0;
  }
  return (struct mg_text){ at, (uint32_t)(end - at) };
}

/* Seconds with three decimals. */
struct mg_text access_seconds(struct access_line *line, double value)
{
  if (value < 0)
    return absent;
  uint64_t ms = (uint64_t)llround(value * 1000);
  struct mg_text text = access_number(line, ms, 4);
  char *dot = line->scratch + sizeof(line->scratch) - 4;
  memmove(line->scratch + (text.data - line->scratch) - 1, text.data, text.length - 3);
  *dot = '.';
  return (struct mg_text){ text.data - 1, text.length + 1 };
}

/* the client */

static struct mg_text remote_addr(struct access_line *line)
{
  struct mg_text ip = exchange_client_ip(line->exchange);
  return ip.length > 0 ? ip : absent;
}

static struct mg_text realip_remote_addr(struct access_line *line)
{
  const struct mg_text ip = line->exchange->record.peer_ip;
  return ip.length > 0 ? ip : remote_addr(line);
}

static struct mg_text remote_port(struct access_line *line)
{
  uint32_t port = line->exchange->record.client_port;
  return port > 0 ? access_number(line, port, 1) : absent;
}

static int base64_value(char c)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(digits, c) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* The user of HTTP Basic, whoever checks the password; cut where it is too long. */
static struct mg_text remote_user(struct access_line *line)
{
  struct mg_text value = access_header(line, &line->exchange->request, "authorization", 13);
  if (value.length < 7 || !text_equal(value.data, 6, "basic ", 6))
    return absent;
  uint32_t bits = 0;
  unsigned held = 0;
  uint32_t len = 0;
  for (uint32_t i = 6; i < value.length && len < sizeof(line->scratch); i++) {
    int digit = base64_value(value.data[i]);
    if (digit < 0)
      break;
    bits = bits << 6 | (uint32_t)digit;
    held += 6;
    if (held < 8)
      continue;
    held -= 8;
    char c = (char)(bits >> held & 0xff);
    if (c == ':')
      break;
    line->scratch[len++] = c;
  }
  return len > 0 ? (struct mg_text){ line->scratch, len } : absent;
}

#define TLS_VARIABLE(variable, fact)                                                               \
  static struct mg_text variable(struct access_line *line)                                         \
  {                                                                                                \
    struct mg_text text = exchange_tls_fact(line->exchange, fact);                                 \
    return text.length > 0 ? text : absent;                                                        \
  }
TLS_VARIABLE(ssl_protocol, MG_TLS_VERSION)
TLS_VARIABLE(ssl_cipher, MG_TLS_CIPHER)
TLS_VARIABLE(ssl_server_name, MG_TLS_SNI)
TLS_VARIABLE(ssl_alpn_protocol, MG_TLS_ALPN)
TLS_VARIABLE(ssl_client_fingerprint, MG_TLS_FINGERPRINT)
TLS_VARIABLE(ssl_client_i_dn, MG_TLS_ISSUER)
TLS_VARIABLE(ssl_client_s_dn, MG_TLS_SUBJECT)
TLS_VARIABLE(ssl_client_serial, MG_TLS_SERIAL)
TLS_VARIABLE(ssl_client_verify, MG_TLS_VERIFY)
TLS_VARIABLE(ssl_session_reused, MG_TLS_RESUMED)

/* As nginx: h2 over TLS, h2c, or nothing. */
static struct mg_text http2(struct access_line *line)
{
  const struct mg_request *record = &line->exchange->record;
  return record->version == 20 ? constant(record->tls ? "h2" : "h2c") : absent;
}

static struct mg_text stream_id(struct access_line *line)
{
  uint32_t id = line->exchange->record.stream_id;
  return id > 0 ? access_number(line, id, 1) : absent;
}

/* time */

struct mg_text access_time_local(struct access_line *line)
{
  return constant(line->log->local);
}

struct mg_text access_time_iso8601(struct access_line *line)
{
  return constant(line->log->iso8601);
}

struct mg_text access_msec(struct access_line *line)
{
  return access_seconds(line, (double)line->now.tv_sec + (double)line->now.tv_nsec / 1e9);
}

/* the request */

struct mg_text access_method(struct access_line *line)
{
  return in_arena(line, line->exchange->request.method);
}

struct mg_text access_target(struct access_line *line)
{
  const struct exchange *exchange = line->exchange;
  struct span received = exchange->received_target;
  return in_arena(line, received.len > 0 ? received : exchange->request.target);
}

struct mg_text access_protocol(struct access_line *line)
{
  switch (line->exchange->request.version) {
  case 10:
    return constant("HTTP/1.0");
  case 11:
    return constant("HTTP/1.1");
  case 20:
    return constant("HTTP/2.0");
  default:
    return absent;
  }
}

static struct mg_text uri(struct access_line *line)
{
  return line->exchange->record.path;
}

static struct mg_text args(struct access_line *line)
{
  return line->exchange->record.query;
}

static struct mg_text is_args(struct access_line *line)
{
  return line->exchange->record.query.length > 0 ? constant("?") : constant("");
}

static struct mg_text host(struct access_line *line)
{
  return line->exchange->record.host;
}

static struct mg_text http_host(struct access_line *line)
{
  return in_arena(line, line->exchange->request.host);
}

static struct mg_text scheme(struct access_line *line)
{
  return constant(line->exchange->record.secure ? "https" : "http");
}

static struct mg_text https(struct access_line *line)
{
  return line->exchange->record.secure ? constant("on") : constant("");
}

static struct mg_text server_port(struct access_line *line)
{
  return access_number(line, line->exchange->record.local_port, 1);
}

static struct mg_text content_type(struct access_line *line)
{
  return access_header(line, &line->exchange->request, "content-type", 12);
}

static struct mg_text content_length(struct access_line *line)
{
  return access_header(line, &line->exchange->request, "content-length", 14);
}

static struct mg_text request_id(struct access_line *line)
{
  return in_arena(line, line->exchange->request_id);
}

static struct mg_text request_length(struct access_line *line)
{
  return access_number(line, exchange_request_bytes(line->exchange), 1);
}

static struct mg_text request_time(struct access_line *line)
{
  return access_seconds(line, line->exchange->record.total_s);
}

/* the answer */

static struct mg_text status(struct access_line *line)
{
  return access_number(line, line->exchange->record.status, 3);
}

static struct mg_text body_bytes_sent(struct access_line *line)
{
  return access_number(line, line->exchange->record.bytes_out, 1);
}

static struct mg_text bytes_sent(struct access_line *line)
{
  return access_number(line, exchange_response_bytes(line->exchange), 1);
}

/* the upstream: of the last attempt */

static int was_tried(const struct access_line *line)
{
  return line->exchange->record.attempts > 0;
}

static struct mg_text upstream_addr(struct access_line *line)
{
  const struct exchange *exchange = line->exchange;
  return was_tried(line) ? constant(pool_name(exchange->all->pool, exchange->record.endpoint))
                         : absent;
}

static struct mg_text upstream_status(struct access_line *line)
{
  const struct mg_request *record = &line->exchange->record;
  if (record->upstream_status > 0)
    return access_number(line, record->upstream_status, 3);
  /* as nginx: what the failure of the attempt was answered with */
  return was_tried(line) && record->status >= 500 ? access_number(line, record->status, 3) : absent;
}

static struct mg_text upstream_response_time(struct access_line *line)
{
  return access_seconds(line, exchange_upstream_s(line->exchange));
}

static struct mg_text upstream_connect_time(struct access_line *line)
{
  return access_seconds(line, line->exchange->record.connect_s);
}

static struct mg_text upstream_header_time(struct access_line *line)
{
  return access_seconds(line, line->exchange->record.first_byte_s);
}

static struct mg_text upstream_response_length(struct access_line *line)
{
  const struct mg_request *record = &line->exchange->record;
  if (!was_tried(line))
    return absent;
  return access_number(line, record->source == MG_SOURCE_UPSTREAM ? record->bytes_out : 0, 1);
}

/* the route */

static struct mg_text of_route(const struct access_line *line, size_t field)
{
  const struct mg_request *record = &line->exchange->record;
  if (!record->names)
    return absent;
  const struct mg_name *name =
      (const struct mg_name *)(const void *)((const char *)record->names + field);
  return name->length > 0 ? (struct mg_text){ (const char *)record->route + name->at, name->length }
                          : absent;
}

#define ROUTE_VARIABLE(variable, field)                                                            \
  static struct mg_text variable(struct access_line *line)                                         \
  {                                                                                                \
    return of_route(line, offsetof(struct mg_route_names, field));                                 \
  }
ROUTE_VARIABLE(ingress_name, ingress)
ROUTE_VARIABLE(route_namespace, space)
ROUTE_VARIABLE(service_name, service)
ROUTE_VARIABLE(service_port, port)
ROUTE_VARIABLE(proxy_upstream_name, upstream)
ROUTE_VARIABLE(location_path, path)
ROUTE_VARIABLE(route_id, id)

static struct mg_text alternative(struct access_line *line)
{
  struct mg_text name = line->exchange->record.alternative;
  return name.length > 0 ? name : absent;
}

/* the rest */

struct mg_text access_hostname(struct access_line *line)
{
  size_t size = sizeof(line->scratch);
  return uv_os_gethostname(line->scratch, &size) == 0
             ? (struct mg_text){ line->scratch, (uint32_t)size }
             : absent;
}

struct mg_text access_pid(struct access_line *line)
{
  return access_number(line, (uint64_t)getpid(), 1);
}

static struct mg_text pipe_mark(struct access_line *line)
{
  (void)line;
  return constant("."); /* nginx: p for a request that came behind another */
}

struct mg_text access_nothing(struct access_line *line)
{
  (void)line;
  return absent;
}

/* The trace and the span that the service is told of, unless that is the caller's word, passed on. */
static struct mg_text traceparent(struct access_line *line)
{
  enum {
    LENGTH = 55 /* version-trace-span-flags, of 2, 32, 16 and 2 digits */
  };
  const struct exchange *exchange = line->exchange;
  struct mg_text own = access_header(line, &exchange->outgoing, "traceparent", 11);
  struct mg_text given = access_header(line, &exchange->request, "traceparent", 11);
  int is_passed =
      given.length == own.length && own.length > 0 && memcmp(given.data, own.data, own.length) == 0;
  return own.length == LENGTH && !is_passed ? own : absent;
}

static struct mg_text part_of(struct mg_text text, uint32_t at, uint32_t length)
{
  return text.length > 0 ? (struct mg_text){ text.data + at, length } : absent;
}

static struct mg_text trace_id(struct access_line *line)
{
  return part_of(traceparent(line), 3, 32);
}

static struct mg_text span_id(struct access_line *line)
{
  return part_of(traceparent(line), 36, 16);
}

/* X(name, function). access_nothing: a name of nginx's that has no value here. */
#define VARIABLE_LIST(X)                                                                           \
  X(args, args)                                                                                    \
  X(best_http_host, http_host)                                                                     \
  X(body_bytes_sent, body_bytes_sent)                                                              \
  X(bytes_sent, bytes_sent)                                                                        \
  X(connection, access_nothing)                                                                    \
  X(connection_requests, access_nothing)                                                           \
  X(content_length, content_length)                                                                \
  X(content_type, content_type)                                                                    \
  X(document_uri, uri)                                                                             \
  X(host, host)                                                                                    \
  X(hostname, access_hostname)                                                                     \
  X(http2, http2)                                                                                  \
  X(http2_stream_id, stream_id)                                                                    \
  X(http_host, http_host)                                                                          \
  X(https, https)                                                                                  \
  X(ingress_name, ingress_name)                                                                    \
  X(is_args, is_args)                                                                              \
  X(location_path, location_path)                                                                  \
  X(msec, access_msec)                                                                             \
  X(namespace, route_namespace)                                                                    \
  X(opentelemetry_context_traceparent, traceparent)                                                \
  X(opentelemetry_span_id, span_id)                                                                \
  X(opentelemetry_trace_id, trace_id)                                                              \
  X(pass_access_scheme, scheme)                                                                    \
  X(pass_server_port, server_port)                                                                 \
  X(pid, access_pid)                                                                               \
  X(pipe, pipe_mark)                                                                               \
  X(proxy_alternative_upstream_name, alternative)                                                  \
  X(proxy_protocol_addr, access_nothing)                                                           \
  X(proxy_upstream_name, proxy_upstream_name)                                                      \
  X(query_string, args)                                                                            \
  X(realip_remote_addr, realip_remote_addr)                                                        \
  X(remote_addr, remote_addr)                                                                      \
  X(remote_port, remote_port)                                                                      \
  X(remote_user, remote_user)                                                                      \
  X(req_id, request_id)                                                                            \
  X(request_id, request_id)                                                                        \
  X(request_length, request_length)                                                                \
  X(request_method, access_method)                                                                 \
  X(request_time, request_time)                                                                    \
  X(request_uri, access_target)                                                                    \
  X(route_id, route_id)                                                                            \
  X(scheme, scheme)                                                                                \
  X(server_addr, access_nothing)                                                                   \
  X(server_name, host)                                                                             \
  X(server_port, server_port)                                                                      \
  X(server_protocol, access_protocol)                                                              \
  X(service_name, service_name)                                                                    \
  X(service_port, service_port)                                                                    \
  X(ssl_alpn_protocol, ssl_alpn_protocol)                                                          \
  X(ssl_cipher, ssl_cipher)                                                                        \
  X(ssl_client_fingerprint, ssl_client_fingerprint)                                                \
  X(ssl_client_i_dn, ssl_client_i_dn)                                                              \
  X(ssl_client_s_dn, ssl_client_s_dn)                                                              \
  X(ssl_client_serial, ssl_client_serial)                                                          \
  X(ssl_client_verify, ssl_client_verify)                                                          \
  X(ssl_protocol, ssl_protocol)                                                                    \
  X(ssl_server_name, ssl_server_name)                                                              \
  X(ssl_session_reused, ssl_session_reused)                                                        \
  X(status, status)                                                                                \
  X(the_real_ip, remote_addr)                                                                      \
  X(time_iso8601, access_time_iso8601)                                                             \
  X(time_local, access_time_local)                                                                 \
  X(upstream_addr, upstream_addr)                                                                  \
  X(upstream_connect_time, upstream_connect_time)                                                  \
  X(upstream_header_time, upstream_header_time)                                                    \
  X(upstream_response_length, upstream_response_length)                                            \
  X(upstream_response_time, upstream_response_time)                                                \
  X(upstream_status, upstream_status)                                                              \
  X(uri, uri)

const struct access_named access_variables[] = {
#define X(name, fn) { #name, fn },
  VARIABLE_LIST(X)
#undef X
      { NULL, NULL },
};
