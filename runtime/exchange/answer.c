/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of an answer: the gateway's own or the upstream's, its head and its body. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "exchange/internal.h"

void answer_error(struct exchange *exchange, int err)
{
  char text[128];
  int parsed = exchange->state >= EX_REQUEST;
  uint32_t status = (uint32_t)err_status(err);
  exchange->record.error = err;
  if (!parsed) /* nothing that a response hook could look at */
    exchange->record.stages &= 1u << MG_STAGE_LOG;
  forward_drop(exchange);
  exchange_answer_begin(exchange, status, MG_SOURCE_GATEWAY);
  int len = snprintf(text, sizeof(text), "%u %s\n", status, err_text(err));
  err = head_add(&exchange->response, &exchange->arena, "content-type", 12,
                 "text/plain; charset=utf-8", 25);
  if (err == 0)
    err = buf_put(&exchange->answer, text, (size_t)len);
  exchange_rebase(exchange);
  exchange_enter(exchange, EX_RESPONSE);
  exchange->response_done = 1;
  exchange->response_held = 1;
  if (err < 0)
    exchange_finish(exchange, 0);
  else if (exchange->record.stages & 1u << MG_STAGE_RESPONSE)
    exchange_stage(exchange, MG_STAGE_RESPONSE);
  else
    answer_send(exchange);
}

/* A short request body that is on its way is read first, so that the connection can be kept. One that
 * waits for 100 Continue will not come. */
static int must_drain(const struct exchange *exchange)
{
  int64_t len = exchange->request.body_len;
  return exchange->record.source != MG_SOURCE_UPSTREAM && !exchange->request_done && len > 0 &&
         len <= DRAIN_BYTES && (!exchange->request.expect_continue || exchange->continued) &&
         exchange->state == EX_RESPONSE && exchange->record.error == 0;
}

static void start_tunnel(struct exchange *exchange)
{
  struct http_peer *client = exchange->client;
  struct http_peer *upstream = exchange->upstream;
  exchange_enter(exchange, EX_TUNNEL);
  exchange->response_held = 0;
  if (upstream->ops->tunnel(upstream, NULL, 0) < 0 || client->ops->tunnel(client, NULL, 0) < 0)
    exchange_finish(exchange, 0);
}

/* How long the body is that goes to the client: -1 not known, 0 none. */
static int64_t body_length(const struct exchange *exchange)
{
  const struct head *head = &exchange->response;
  if (exchange->record.source != MG_SOURCE_UPSTREAM || exchange->body_replaced)
    return (int64_t)exchange->answer.len;
  if (head->body_len != 0 && exchange->record.stages & 1u << MG_STAGE_RESPONSE_BODY)
    return -1;
  return head->body_len;
}

void answer_send(struct exchange *exchange)
{
  struct http_peer *client = exchange->client;
  struct head *head = &exchange->response;
  if (must_drain(exchange)) {
    exchange->draining = 1;
    client->ops->read(client, 1);
    return;
  }
  if (exchange->record.source != MG_SOURCE_UPSTREAM && fields_date(exchange) < 0) {
    exchange_finish(exchange, 0);
    return;
  }
  exchange->record.status = head->status;
  int64_t len = body_length(exchange);
  if (len != head->body_len || exchange->body_replaced)
    head_remove_id(head, FIELD_CONTENT_LENGTH);
  head->body_len = len;
  int own = exchange->record.source != MG_SOURCE_UPSTREAM || exchange->body_replaced;
  exchange_enter(exchange, EX_ANSWER);
  if (client->ops->send_head(client, head, &exchange->arena, len != 0) < 0) {
    exchange_finish(exchange, 0);
    return;
  }
  if (head->status == 101 && !own) {
    start_tunnel(exchange);
    return;
  }
  if (own)
    exchange->response_done = 1;
  exchange->response_held = 0;
  struct buf held = exchange->answer;
  exchange->answer = (struct buf){ 0 };
  uint32_t generation = exchange->record.generation;
  if (held.len > 0)
    answer_body(exchange, held.data, held.len);
  buf_fini(&held);
  if (exchange->record.generation == generation && exchange->state == EX_ANSWER) {
    if (exchange->response_done)
      answer_end(exchange);
    else
      forward_pace(exchange);
  }
}

static void pass(struct exchange *exchange, const char *data, size_t len)
{
  struct http_peer *client = exchange->client;
  exchange->record.bytes_out += len;
  if (client->ops->send_body(client, data, len) < 0)
    exchange_finish(exchange, 0);
  else
    forward_pace(exchange);
}

static void hook(struct exchange *exchange, const char *data, size_t len)
{
  exchange->chunk_data = data;
  exchange->chunk_len = len;
  exchange->chunk_last = exchange->response_done;
  exchange->chunk_replaced = 0;
  exchange->chunk.len = 0;
  exchange_stage(exchange, MG_STAGE_RESPONSE_BODY);
}

/* The body hook has seen the piece: what it made of it goes out, then what came meanwhile. */
static void after_hook(struct exchange *exchange)
{
  int last = exchange->chunk_last;
  const char *data = exchange->chunk_replaced ? exchange->chunk.data : exchange->chunk_data;
  size_t len = exchange->chunk_replaced ? exchange->chunk.len : exchange->chunk_len;
  uint32_t generation = exchange->record.generation;
  exchange->chunk_data = NULL;
  exchange->hooked_last = (uint8_t)last;
  if (len > 0)
    pass(exchange, data, len);
  if (exchange->record.generation != generation || exchange->state != EX_ANSWER)
    return;
  buf_fini(&exchange->held_chunk);
  struct buf more = exchange->answer;
  exchange->answer = (struct buf){ 0 };
  if (last || (more.len == 0 && exchange->response_done && exchange->hooked_last)) {
    buf_fini(&more);
    answer_end(exchange);
  } else if (more.len > 0 || exchange->response_done) {
    exchange->held_chunk = more; /* its bytes live until the hook has seen them */
    hook(exchange, more.data ? more.data : "", more.len);
  } else {
    struct http_peer *client = exchange->client;
    if (client->ops->flush(client) < 0)
      exchange_finish(exchange, 0);
    else
      forward_pace(exchange);
  }
}

void answer_body(struct exchange *exchange, const char *data, size_t len)
{
  if (!(exchange->record.stages & 1u << MG_STAGE_RESPONSE_BODY)) {
    pass(exchange, data, len);
  } else if (!data) {
    after_hook(exchange);
  } else if (exchange->chunk_data) {
    if (buf_put(&exchange->answer, data, len) < 0)
      exchange_finish(exchange, 0);
    else
      forward_pace(exchange);
  } else if (buf_put(&exchange->held_chunk, data, len) < 0) {
    exchange_finish(exchange, 0);
  } else {
    hook(exchange, exchange->held_chunk.data, exchange->held_chunk.len);
  }
}

void answer_end(struct exchange *exchange)
{
  struct http_peer *client = exchange->client;
  if (exchange->record.stages & 1u << MG_STAGE_RESPONSE_BODY && !exchange->hooked_last) {
    if (!exchange->chunk_data)
      hook(exchange, "", 0);
    return; /* after_hook comes back here */
  }
  int own = exchange->record.source != MG_SOURCE_UPSTREAM;
  const struct head *trailers = own ? NULL : &exchange->response_trailers;
  if (client->ops->send_end(client, trailers, &exchange->arena) < 0)
    exchange_finish(exchange, 0);
  else
    exchange_finish(exchange, 1);
}

void answer_abort(struct exchange *exchange, int err)
{
  exchange->record.error = err;
  if (exchange->state < EX_ANSWER && !exchange->waiting)
    answer_error(exchange, err);
  else
    exchange_finish(exchange, 0);
}
