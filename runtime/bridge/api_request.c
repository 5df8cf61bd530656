/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and responses for Lua: thin, checked, never raising. */
#include <string.h>

#include "base/err.h"
#include "bridge/api.h"
#include "bridge/task.h"

enum {
  HEAD_REQUEST,
  HEAD_OUTGOING,
  HEAD_RESPONSE,
  HEAD_REQUEST_TRAILERS,
  HEAD_RESPONSE_TRAILERS
};

/* NULL when the request is over. */
static struct exchange *find(struct mg_request *request, uint32_t generation)
{
  struct exchange *exchange = (struct exchange *)request; /* the record comes first */
  return request->generation == generation && exchange->state != EX_FREE ? exchange : NULL;
}

static struct head *head_of(struct exchange *exchange, int32_t which)
{
  switch (which) {
  case HEAD_REQUEST:
    return &exchange->request;
  case HEAD_OUTGOING:
    return &exchange->outgoing;
  case HEAD_RESPONSE:
    return &exchange->response;
  case HEAD_REQUEST_TRAILERS:
    return &exchange->request_trailers;
  case HEAD_RESPONSE_TRAILERS:
    return &exchange->response_trailers;
  default:
    return NULL;
  }
}

static struct mg_text text_of(const struct exchange *exchange, struct span span)
{
  return (struct mg_text){ exchange->arena.data + span.at, span.len };
}

struct mg_request *mg_request_at(struct mg_vm *vm, uint32_t slot)
{
  struct exchange *exchange = exchange_at(vm->exchanges, slot);
  return exchange ? &exchange->record : NULL;
}

int32_t mg_head_get(struct mg_request *request, uint32_t generation, int32_t which,
                    const char *name, uint32_t length, uint32_t nth, struct mg_text *value)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  const struct head *head = head_of(exchange, which);
  if (!head)
    return UV_EINVAL;
  int at = head_find(head, &exchange->arena, name, length, 0);
  for (; at >= 0 && nth > 0; nth--)
    at = head_find(head, &exchange->arena, name, length, (uint32_t)at + 1);
  if (at < 0)
    return 0;
  *value = text_of(exchange, head->fields[at].value);
  return 1;
}

int32_t mg_request_header(struct mg_request *request, uint32_t generation, const char *name,
                          uint32_t length, uint32_t nth, struct mg_text *value)
{
  return mg_head_get(request, generation, HEAD_REQUEST, name, length, nth, value);
}

int32_t mg_head_count(struct mg_request *request, uint32_t generation, int32_t which)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  const struct head *head = head_of(exchange, which);
  return head ? (int32_t)head->count : UV_EINVAL;
}

int32_t mg_head_at(struct mg_request *request, uint32_t generation, int32_t which, uint32_t index,
                   struct mg_text *name, struct mg_text *value)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  const struct head *head = head_of(exchange, which);
  if (!head || index >= head->count)
    return UV_EINVAL;
  *name = text_of(exchange, head->fields[index].name);
  *value = text_of(exchange, head->fields[index].value);
  return 1;
}

/* Heads that a hook may change; fields that frame the message are the codec's alone. */
static struct head *writable(struct exchange *exchange, int32_t which, const char *name,
                             uint32_t length)
{
  if (which != HEAD_OUTGOING && which != HEAD_RESPONSE && which != HEAD_RESPONSE_TRAILERS)
    return NULL;
  enum field_id id = field_identify(name, length);
  if (id == FIELD_CONTENT_LENGTH || id == FIELD_TRANSFER_ENCODING)
    return NULL;
  /* Before there is a response, and behind it, nothing would come of it. */
  int answered = exchange->state >= EX_RESPONSE || exchange->record.status != 0;
  return answered == (which != HEAD_OUTGOING) ? head_of(exchange, which) : NULL;
}

int32_t mg_head_set(struct mg_request *request, uint32_t generation, int32_t which,
                    const char *name, uint32_t name_length, const char *value,
                    uint32_t value_length, int32_t add)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (!text_is_token(name, name_length) || !text_is_value(value, value_length))
    return ERR_BAD_FIELD;
  struct head *head = writable(exchange, which, name, name_length);
  if (!head)
    return ERR_STATE;
  if (field_identify(name, name_length) == FIELD_HOST)
    add = 0; /* two of them are a bad request (RFC 9112 3.2) */
  int err = add ? head_add(head, &exchange->arena, name, name_length, value, value_length)
                : head_set(head, &exchange->arena, name, name_length, value, value_length);
  exchange_rebase(exchange);
  return err;
}

int32_t mg_head_remove(struct mg_request *request, uint32_t generation, int32_t which,
                       const char *name, uint32_t length)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (length == 0)
    return 0;
  struct head *head = writable(exchange, which, name, length);
  return head ? head_remove(head, &exchange->arena, name, length) : ERR_STATE;
}

int32_t mg_upstream_set_target(struct mg_request *request, uint32_t generation, const char *target,
                               uint32_t length)
{
  struct exchange *exchange = find(request, generation);
  return exchange ? exchange_set_target(exchange, target, length) : ERR_STALE;
}

int32_t mg_upstream_set_method(struct mg_request *request, uint32_t generation, const char *method,
                               uint32_t length)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (!text_is_token(method, length))
    return ERR_BAD_FIELD;
  int err = text_put(&exchange->arena, method, length, &exchange->outgoing.method);
  exchange_rebase(exchange);
  return err;
}

int32_t mg_upstream_target(struct mg_request *request, uint32_t generation, struct mg_text *target)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  *target = text_of(exchange, exchange->outgoing.target);
  return 1;
}

int32_t mg_request_set_target(struct mg_request *request, uint32_t generation, const char *target,
                              uint32_t length)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  int err = exchange_set_target(exchange, target, length);
  return err < 0 ? err : exchange_match_target(exchange, exchange->outgoing.target);
}

int32_t mg_request_set_host(struct mg_request *request, uint32_t generation, const char *host,
                            uint32_t length)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (length == 0 || !text_is_value(host, length))
    return ERR_BAD_FIELD;
  return exchange_match_host(exchange, host, length);
}

int32_t mg_request_id(struct mg_request *request, uint32_t generation, struct mg_text *id)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  *id = text_of(exchange, exchange->request_id);
  return exchange->request_id.len > 0;
}

int32_t mg_client_tls(struct mg_request *request, uint32_t generation, int32_t fact,
                      struct mg_text *text)
{
  const struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  *text = exchange_tls_fact(exchange, (enum mg_tls_fact)fact);
  return text->length > 0;
}

int32_t mg_respond(struct mg_request *request, uint32_t generation, uint32_t status, int32_t source)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (status < 200 || status > 599)
    return UV_EINVAL;
  if (exchange->state > EX_RESPONSE)
    return ERR_STATE;
  exchange_answer_begin(exchange, status, (enum mg_source)source);
  return 0;
}

int32_t mg_respond_body(struct mg_request *request, uint32_t generation, const char *data,
                        uint32_t length)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  return exchange->state > EX_RESPONSE ? ERR_STATE : buf_put(&exchange->answer, data, length);
}

int32_t mg_response_set_status(struct mg_request *request, uint32_t generation, uint32_t status)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (status < 200 || status > 599)
    return UV_EINVAL;
  if (exchange->state != EX_RESPONSE)
    return ERR_STATE;
  exchange->response.status = status;
  exchange->record.status = status;
  return 0;
}

int32_t mg_response_encode(struct mg_request *request, uint32_t generation, int32_t coding,
                           int32_t level)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  return exchange_encode(exchange, coding ? ENCODER_BROTLI : ENCODER_GZIP, level);
}

int32_t mg_response_drop_body(struct mg_request *request, uint32_t generation)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (exchange->state != EX_RESPONSE)
    return ERR_STATE;
  exchange->answer.len = 0;
  exchange->body_replaced = 1;
  return 0;
}

static void on_body(void *data, int err)
{
  task_wake(data, err);
}

static void cancel_body(struct task *task)
{
  struct exchange *exchange = task->exchange;
  exchange->body_fn = NULL;
  if (exchange->state == EX_REQUEST && exchange->client)
    exchange->client->ops->read(exchange->client, 0); /* nothing bounds it any more */
}

int32_t mg_body_wait(struct mg_vm *vm, struct mg_request *request, uint32_t generation,
                     int32_t which, uint64_t max)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (exchange->state != (which ? EX_RESPONSE : EX_REQUEST) || !exchange->client)
    return ERR_STATE;
  if (!vm->current || vm->current->exchange != exchange) /* whose end would be nobody's to tell */
    return ERR_STATE;
  int err = task_wait(vm, cancel_body, exchange);
  if (err < 0)
    return err;
  if (which)
    exchange_want_response_body(exchange, max, on_body, vm->current);
  else
    exchange_want_request_body(exchange, max, on_body, vm->current);
  return 0;
}

int32_t mg_body_get(struct mg_request *request, uint32_t generation, int32_t which,
                    struct mg_text *body)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  const struct buf *from = which ? &exchange->answer : &exchange->body;
  *body = (struct mg_text){ from->data, (uint32_t)from->len };
  return 1;
}

int32_t mg_request_keep(struct mg_request *request, uint32_t generation, uint64_t max)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (exchange->state != EX_REQUEST)
    return ERR_STATE;
  exchange_keep_body(exchange, max);
  return 0;
}

int32_t mg_request_kept(struct mg_request *request, uint32_t generation, struct mg_text *body)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  *body = (struct mg_text){ exchange->kept.data, (uint32_t)exchange->kept.len };
  return exchange->request_done && exchange->kept_max > 0;
}

int32_t mg_body_set(struct mg_request *request, uint32_t generation, const char *data,
                    uint32_t length)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  if (exchange->state != EX_REQUEST || !exchange->request_done)
    return ERR_STATE;
  exchange->body.len = 0;
  return buf_put(&exchange->body, data, length);
}

int32_t mg_chunk_get(struct mg_request *request, uint32_t generation, struct mg_text *chunk)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  const struct body_hook *hook = exchange->hook;
  if (!hook)
    return ERR_STATE;
  *chunk = (struct mg_text){ hook->piece.data, (uint32_t)hook->piece.len };
  return hook->last;
}

int32_t mg_chunk_set(struct mg_request *request, uint32_t generation, const char *data,
                     uint32_t length)
{
  struct exchange *exchange = find(request, generation);
  if (!exchange)
    return ERR_STALE;
  struct body_hook *hook = exchange->hook;
  if (!hook)
    return ERR_STATE;
  if (exchange->record.keeps_length && hook == &exchange->response_hook &&
      length != hook->piece.len)
    return UV_EINVAL;
  hook->piece.len = 0;
  return buf_put(&hook->piece, data, length);
}

int32_t mg_request_gone(struct mg_request *request, uint32_t generation)
{
  const struct exchange *exchange = find(request, generation);
  return exchange ? exchange->gone : ERR_STALE;
}
