/* SPDX-License-Identifier: Apache-2.0 */
/* What a request that has ended adds to the counters, and the line on a limit that it went over. */
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "exchange/internal.h"

static enum limit limit_of(const struct exchange *exchange)
{
  switch (exchange->record.error) {
  case ERR_TARGET_TOO_LONG:
  case ERR_FIELD_TOO_LONG:
    return LIMIT_TARGET;
  case ERR_HEADERS_TOO_LARGE:
    return LIMIT_HEADERS;
  case ERR_REQUEST_TIMEOUT: /* a head that was read has a version */
    return exchange->request.version == 0 ? LIMIT_HEADER_TIME : LIMIT_BODY_TIME;
  case ERR_BODY_TOO_LARGE:
    return LIMIT_BODY;
  case ERR_CONNECT_TIMEOUT:
    return LIMIT_CONNECT_TIME;
  case ERR_UPSTREAM_TIMEOUT:
    return LIMIT_READ_TIME;
  case ERR_UPSTREAM_SEND_TIMEOUT:
    return LIMIT_WRITE_TIME;
  case ERR_UPSTREAM_HEAD_TOO_LARGE:
    return LIMIT_ANSWER_HEADERS;
  case ERR_DEADLINE:
    return LIMIT_HOOK_TIME;
  default:
    return LIMIT_NONE;
  }
}

/* Texts of a record end without a NUL. */
static const char *copy_text(char *into, size_t size, struct mg_text text)
{
  (void)snprintf(into, size, "%.*s", (int)text.length, text.data ? text.data : "");
  return into;
}

static void report_limit(const struct exchange *exchange, enum limit limit)
{
  char client[64];
  char host[128];
  char id[64];
  struct span id_at = exchange->request_id;
  struct mg_text id_text = { span_text(&exchange->arena, id_at), id_at.len };
  stats_limit(&exchange->all->stats.counts, limit);
  log_warn("limit_exceeded", "limit", limit_name(limit), "client",
           copy_text(client, sizeof(client), exchange_client_ip(exchange)), "host",
           copy_text(host, sizeof(host), exchange->record.host), "request",
           copy_text(id, sizeof(id), id_text));
}

/* Names, values and what stands between them. */
static uint64_t size_of_fields(const struct head *head)
{
  uint64_t size = 2;
  for (uint32_t i = 0; i < head->count; i++)
    size += head->fields[i].name.len + head->fields[i].value.len + 4;
  return size;
}

uint64_t exchange_request_bytes(const struct exchange *exchange)
{
  const struct head *head = &exchange->request;
  uint64_t first = head->method.len + head->target.len + sizeof("  HTTP/1.1\r\n") - 1;
  return first + size_of_fields(head) + exchange->record.bytes_in;
}

uint64_t exchange_response_bytes(const struct exchange *exchange)
{
  uint64_t first = sizeof("HTTP/1.1 200 \r\n") - 1;
  return first + size_of_fields(&exchange->response) + exchange->record.bytes_out;
}

double exchange_upstream_s(const struct exchange *exchange)
{
  double before = (double)(exchange->attempt_ns - exchange->started_ns) / 1e9;
  return exchange->record.attempts > 0 ? exchange->record.total_s - before : -1;
}

static uint64_t nanoseconds(double seconds)
{
  return seconds < 0 ? SERIES_NOTHING : (uint64_t)(seconds * 1e9);
}

/* A connection that was kept took no time, as nginx has it. */
static double connect_s(const struct mg_request *record)
{
  return record->connect_s < 0 && record->first_byte_s >= 0 ? 0 : record->connect_s;
}

static struct series_text series_text(struct mg_text text)
{
  return (struct series_text){ text.data, text.length };
}

static void count_series(struct exchange *exchange, struct series *series)
{
  const struct mg_request *record = &exchange->record;
  const struct mg_series_config *config = series_config(series);
  if (config->by_host && !record->host_known && !config->any_host)
    return;
  uint32_t status = config->classes ? record->status / 100 : record->status;
  struct series_key key = { .route = record->names ? record->names->series : 0,
                            .status = (uint16_t)status,
                            .method = series_method(record->method.data, record->method.length),
                            .alternative = series_text(record->alternative) };
  if (config->by_host)
    key.host = series_text(record->host);
  uint64_t sent = exchange_response_bytes(exchange);
  const uint64_t values[SERIES_HISTOGRAM_COUNT] = {
    [SERIES_CONNECT] = nanoseconds(connect_s(record)),
    [SERIES_HEADER] = nanoseconds(record->first_byte_s),
    [SERIES_REQUEST] = nanoseconds(record->total_s),
    [SERIES_RESPONSE] = nanoseconds(exchange_upstream_s(exchange)),
    [SERIES_REQUEST_SIZE] = exchange_request_bytes(exchange),
    [SERIES_RESPONSE_SIZE] = sent,
    [SERIES_BYTES_SENT] = sent,
  };
  if (series_add(series, &key, values) < 0)
    report_limit(exchange, LIMIT_SERIES);
}

void exchange_count(struct exchange *exchange)
{
  struct stats *counts = &exchange->all->stats.counts;
  const struct mg_request *record = &exchange->record;
  uint32_t class = record->status / 100;
  stat_add(counts, STAT_ANSWERS + (class < 6 ? class : 0), 1);
  stat_add(counts, STAT_BYTES_IN, record->bytes_in);
  stat_add(counts, STAT_BYTES_OUT, record->bytes_out);
  stats_observe(counts, HISTOGRAM_REQUEST, (uint64_t)(record->total_s * 1e9));
  if (record->first_byte_s >= 0)
    stats_observe(counts, HISTOGRAM_UPSTREAM, (uint64_t)(record->first_byte_s * 1e9));
  if (exchange->all->series)
    count_series(exchange, exchange->all->series);
  if (record->error == 0)
    return;
  if (record->error == ERR_CLIENT_GONE)
    stat_add(counts, STAT_CLIENTS_GONE, 1);
  enum limit limit = limit_of(exchange);
  if (limit != LIMIT_NONE)
    report_limit(exchange, limit);
}
