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
  client->tunnel_ms = exchange->record.read_ms;
  if (upstream->ops->tunnel(upstream, NULL, 0) < 0 || client->ops->tunnel(client, NULL, 0) < 0)
    exchange_finish(exchange, 0);
}

/* How long the body is that goes to the client: -1 not known, 0 none. */
static int64_t body_length(const struct exchange *exchange)
{
  const struct head *head = &exchange->response;
  int own = exchange->record.source != MG_SOURCE_UPSTREAM || exchange->body_replaced;
  int64_t len = own ? (int64_t)exchange->answer.len : head->body_len;
  int changes =
      exchange->record.stages & 1u << MG_STAGE_RESPONSE_BODY && !exchange->record.keeps_length;
  return len != 0 && (changes || exchange->encoder) ? -1 : len;
}

int exchange_encode(struct exchange *exchange, enum encoder_coding coding, int level)
{
  if (exchange->state != EX_RESPONSE || exchange->encoder)
    return ERR_STATE;
  exchange->encoder = encoder_new(coding, level, body_length(exchange));
  return exchange->encoder ? 0 : ERR_NO_MEMORY;
}

static int send_piece(struct exchange *exchange, const char *data, size_t len)
{
  struct http_peer *client = exchange->client;
  exchange->record.bytes_out += len;
  return client->ops->send_body(client, data, len);
}

/* What comes of a piece in the body's coding. Where nobody knows how long the body gets, somebody may
 * wait for each piece. */
static int send_encoded(struct exchange *exchange, const char *data, size_t len, int last)
{
  struct buf out = { 0 };
  int streams = exchange->record.source == MG_SOURCE_UPSTREAM && exchange->answer_streams;
  enum encoder_step step = streams ? ENCODER_FLUSH : ENCODER_GO_ON;
  int err = encoder_put(exchange->encoder, data, len, last ? ENCODER_FINISH : step, &out);
  if (err == 0 && out.len > 0)
    err = send_piece(exchange, out.data, out.len);
  buf_fini(&out);
  return err;
}

static void pass(struct exchange *exchange, const char *data, size_t len)
{
  int err =
      exchange->encoder ? send_encoded(exchange, data, len, 0) : send_piece(exchange, data, len);
  if (err < 0)
    exchange_finish(exchange, 0);
  else
    forward_pace(exchange);
}

/* What was held while the head was looked at, and the end if it is there. */
static void send_held(struct exchange *exchange)
{
  struct buf held = exchange->answer;
  uint32_t generation = exchange->record.generation;
  exchange->answer = (struct buf){ 0 };
  if (held.len > 0)
    pass(exchange, held.data, held.len);
  buf_fini(&held);
  if (!exchange_lives(exchange, generation))
    return;
  if (exchange->response_done)
    answer_end(exchange);
  else
    forward_pace(exchange);
}

/* What hooks have not seen to. */
static int add_own(struct exchange *exchange)
{
  int err = fields_server(exchange);
  if (err == 0 && exchange->record.source != MG_SOURCE_UPSTREAM)
    err = fields_date(exchange);
  if (err == 0 && exchange->record.source != MG_SOURCE_UPSTREAM && exchange->record.grpc)
    err = grpc_answer(exchange);
  return err;
}

/* The length of a body that is not there stands in answers to HEAD and in 304 alone (RFC 9110 8.6): a hook
 * may have asked the upstream by another method, or changed its status. */
static int keeps_length(const struct exchange *exchange, int64_t len)
{
  const struct head *head = &exchange->response;
  int at = head_find_id(head, FIELD_CONTENT_LENGTH, 0);
  if (len != 0 || at < 0 || head->status == 304 ||
      head_is_of_head(&exchange->request, &exchange->arena))
    return 1;
  struct span value = head->fields[at].value;
  return text_equal(span_text(&exchange->arena, value), value.len, "0", 1);
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
  if (add_own(exchange) < 0) {
    exchange_finish(exchange, 0);
    return;
  }
  exchange->record.status = head->status;
  exchange->answer_streams = head->body_len < 0;
  int64_t len = body_length(exchange);
  if (len != head->body_len || exchange->body_replaced || !keeps_length(exchange, len))
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
  if (exchange->record.stages & 1u << MG_STAGE_RESPONSE_BODY)
    answer_pump(exchange);
  else
    send_held(exchange);
}

void answer_hooked(struct exchange *exchange)
{
  struct body_hook *hook = &exchange->response_hook;
  hook->done = hook->last;
  if (hook->piece.len > 0)
    pass(exchange, hook->piece.data, hook->piece.len);
}

static void end(struct exchange *exchange)
{
  struct http_peer *client = exchange->client;
  int own = exchange->record.source != MG_SOURCE_UPSTREAM;
  const struct head *trailers = own ? NULL : &exchange->response_trailers;
  int err = exchange->encoder ? send_encoded(exchange, NULL, 0, 1) : 0;
  if (err == 0)
    err = client->ops->send_end(client, trailers, &exchange->arena);
  exchange_finish(exchange, err == 0);
}

/* Whether the body hook has not seen all that there is. */
static int is_behind(const struct exchange *exchange)
{
  return exchange->answer.len > 0 || (exchange->response_done && !exchange->response_hook.done);
}

/* Moves what the body hook sees next from the answer to its piece. UV_ENOMEM, or 0. */
static int take_piece(struct exchange *exchange)
{
  struct body_hook *hook = &exchange->response_hook;
  struct buf *answer = &exchange->answer;
  size_t most = exchange->record.piece_bytes;
  hook->piece.len = 0;
  if (most > 0 && answer->len > most) {
    int err = buf_put(&hook->piece, answer->data, most);
    buf_drop(answer, most);
    hook->last = 0;
    return err;
  }
  struct buf piece = *answer;
  *answer = hook->piece;
  hook->piece = piece;
  hook->last = exchange->response_done;
  return 0;
}

void answer_pump(struct exchange *exchange)
{
  struct http_peer *client = exchange->client;
  struct body_hook *hook = &exchange->response_hook;
  uint32_t generation = exchange->record.generation;
  while (!exchange->waiting && is_behind(exchange)) {
    if (take_piece(exchange) < 0) {
      exchange_finish(exchange, 0);
      return;
    }
    exchange->hook = hook;
    exchange_stage(exchange, MG_STAGE_RESPONSE_BODY);
    if (!exchange_lives(exchange, generation))
      return;
  }
  if (!exchange->waiting && hook->done)
    end(exchange);
  else if (client->ops->flush(client) < 0) /* what was passed does not wait for the next piece */
    exchange_finish(exchange, 0);
  else
    forward_pace(exchange);
}

void answer_body(struct exchange *exchange, const char *data, size_t len)
{
  if (!(exchange->record.stages & 1u << MG_STAGE_RESPONSE_BODY))
    pass(exchange, data, len);
  else if (buf_put(&exchange->answer, data, len) < 0)
    exchange_finish(exchange, 0);
  else
    answer_pump(exchange);
}

void answer_end(struct exchange *exchange)
{
  if (exchange->record.stages & 1u << MG_STAGE_RESPONSE_BODY && !exchange->response_hook.done)
    answer_pump(exchange);
  else
    end(exchange);
}

void answer_abort(struct exchange *exchange, int err)
{
  exchange->record.error = err;
  if (exchange->state < EX_ANSWER && !exchange->waiting)
    answer_error(exchange, err);
  else
    exchange_finish(exchange, 0);
}
