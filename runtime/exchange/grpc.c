/* SPDX-License-Identifier: Apache-2.0 */
/* What a gateway has to know of gRPC over HTTP/2: errors are told in fields behind a 200, and a call
 * may have a deadline. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "exchange/internal.h"
#include "http/h1/writer.h"

/* Codes of gRPC. */
enum {
  GRPC_UNKNOWN = 2,
  GRPC_DEADLINE_EXCEEDED = 4,
  GRPC_PERMISSION_DENIED = 7,
  GRPC_RESOURCE_EXHAUSTED = 8,
  GRPC_UNIMPLEMENTED = 12,
  GRPC_INTERNAL = 13,
  GRPC_UNAVAILABLE = 14,
  GRPC_UNAUTHENTICATED = 16
};

static const char TYPE[] = "application/grpc";

/* application/grpc, or that with `+proto` and the like. */
static int is_grpc(const struct exchange *exchange)
{
  const struct head *head = &exchange->request;
  int at = head_find(head, &exchange->arena, "content-type", 12, 0);
  if (at < 0 || head->fields[at].value.len < sizeof(TYPE) - 1)
    return 0;
  struct span value = head->fields[at].value;
  const char *text = span_text(&exchange->arena, value);
  char next = value.len > sizeof(TYPE) - 1 ? text[sizeof(TYPE) - 1] : ';';
  return text_equal(text, sizeof(TYPE) - 1, TYPE, sizeof(TYPE) - 1) && (next == '+' || next == ';');
}

/* `grpc-timeout`: at most eight digits and a unit. Milliseconds, rounded up; 0: none that is valid. */
static uint64_t timeout_ms(const struct exchange *exchange)
{
  static const struct {
    char unit;
    uint64_t ns;
  } units[] = { { 'H', 3600000000000 }, { 'M', 60000000000 }, { 'S', 1000000000 },
                { 'm', 1000000 },       { 'u', 1000 },        { 'n', 1 } };
  int at = head_find(&exchange->request, &exchange->arena, "grpc-timeout", 12, 0);
  if (at < 0)
    return 0;
  struct span value = exchange->request.fields[at].value;
  const char *text = span_text(&exchange->arena, value);
  if (value.len < 2 || value.len > 9)
    return 0;
  uint64_t number = 0;
  for (uint32_t i = 0; i + 1 < value.len; i++) {
    if (text[i] < '0' || text[i] > '9')
      return 0;
    number = number * 10 + (uint64_t)(text[i] - '0');
  }
  for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
    if (units[i].unit == text[value.len - 1])
      return units[i].ns >= 1000000 ? number * (units[i].ns / 1000000)
                                    : (number * units[i].ns + 999999) / 1000000;
  }
  return 0;
}

/* Where the head of an answer is out, or about to be, the client's own clock ends the call. */
static void on_deadline(struct deadline *deadline)
{
  struct exchange *exchange = LIST_ENTRY(deadline, struct exchange, deadline);
  if (exchange->state < EX_ANSWER && !exchange->draining)
    exchange_break_off(exchange, ERR_GRPC_DEADLINE);
}

void grpc_read(struct exchange *exchange)
{
  if (exchange->request.upgrade || !is_grpc(exchange))
    return;
  exchange->record.grpc = 1;
  uint64_t ms = timeout_ms(exchange);
  if (ms == 0)
    return;
  struct deadlines *deadlines = &exchange->all->loop->deadlines;
  deadline_add(deadlines, &exchange->deadline, on_deadline);
  deadline_set(deadlines, &exchange->deadline, ms);
}

/* As gRPC's clients take a status of HTTP, but where more is known. */
static unsigned code_of(const struct exchange *exchange)
{
  switch (exchange->record.error) {
  case ERR_GRPC_DEADLINE:
  case ERR_UPSTREAM_TIMEOUT:
  case ERR_UPSTREAM_SEND_TIMEOUT:
    return GRPC_DEADLINE_EXCEEDED;
  case ERR_BODY_TOO_LARGE:
  case ERR_HEADERS_TOO_LARGE:
  case ERR_UPSTREAM_HEAD_TOO_LARGE:
    return GRPC_RESOURCE_EXHAUSTED;
  }
  switch (exchange->response.status) {
  case 400:
    return GRPC_INTERNAL;
  case 401:
    return GRPC_UNAUTHENTICATED;
  case 403:
    return GRPC_PERMISSION_DENIED;
  case 404:
    return GRPC_UNIMPLEMENTED;
  case 429:
  case 502:
  case 503:
  case 504:
    return GRPC_UNAVAILABLE;
  default:
    return GRPC_UNKNOWN;
  }
}

int grpc_answer(struct exchange *exchange)
{
  struct head *head = &exchange->response;
  if (head->status < 300 || head_find(head, &exchange->arena, "grpc-status", 11, 0) >= 0)
    return 0;
  char code[4];
  int digits = snprintf(code, sizeof(code), "%u", code_of(exchange));
  int err = exchange->record.error;
  const char *message = err ? err_text(err) : http_reason(head->status);
  head->status = 200;
  exchange->answer.len = 0;
  int result = head_set(head, &exchange->arena, "content-type", 12, TYPE, sizeof(TYPE) - 1);
  if (result == 0)
    result = head_add(head, &exchange->arena, "grpc-status", 11, code, (size_t)digits);
  if (result == 0 && message[0])
    result = head_add(head, &exchange->arena, "grpc-message", 12, message, strlen(message));
  exchange_rebase(exchange);
  return result < 0 ? ERR_NO_MEMORY : 0;
}
