/* SPDX-License-Identifier: Apache-2.0 */
/* States of an exchange and the client's side of it. */
#include "exchange/exchange.h"

#include "base/check.h"
#include "base/err.h"
#include "exchange/access_log.h"
#include "exchange/internal.h"

enum {
  LAST_WORD_MS = 2000 /* as long as Chromium waits for the end of a WebSocket */
};

static const uint16_t moves[EX_STATE_COUNT] = {
  [EX_FREE] = 1 << EX_HEAD,
  [EX_HEAD] = 1 << EX_REQUEST | 1 << EX_RESPONSE | 1 << EX_LOG,
  [EX_REQUEST] = 1 << EX_UPSTREAM | 1 << EX_RESPONSE | 1 << EX_LOG,
  [EX_UPSTREAM] = 1 << EX_RETRY | 1 << EX_RESPONSE | 1 << EX_LOG,
  [EX_RETRY] = 1 << EX_UPSTREAM | 1 << EX_RESPONSE | 1 << EX_LOG,
  [EX_RESPONSE] = 1 << EX_RETRY | 1 << EX_RESPONSE | 1 << EX_ANSWER | 1 << EX_LOG,
  [EX_ANSWER] = 1 << EX_TUNNEL | 1 << EX_LOG,
  [EX_TUNNEL] = 1 << EX_LOG,
  [EX_LOG] = 1 << EX_FREE,
};

void exchange_enter(struct exchange *exchange, enum exchange_state to)
{
  CHECK(moves[exchange->state] & 1 << to);
  if (exchange->state == EX_HEAD || to == EX_HEAD) {
    struct exchange_stats *stats = &exchange->all->stats;
    stats->heads += to == EX_HEAD ? 1 : -1;
    stat_set(&stats->counts, STAT_HEADS, stats->heads);
  }
  exchange->state = (uint8_t)to;
}

void exchange_end_body_wait(struct exchange *exchange, int err)
{
  exchange_body_fn *fn = exchange->body_fn;
  exchange->body_fn = NULL;
  if (fn)
    fn(exchange->body_data, err);
}

void exchange_finish(struct exchange *exchange, int keep)
{
  forward_drop(exchange);
  if (exchange->texts_base)
    exchange_rebase(exchange); /* it may end in the middle of a head */
  exchange->record.total_s = (double)(uv_hrtime() - exchange->started_ns) / 1e9;
  exchange_enter(exchange, EX_LOG);
  struct http_peer *client = exchange->client;
  deadline_remove(&exchange->deadline);
  exchange_count(exchange);
  if (exchange->all->access_log)
    access_log_write(exchange->all->access_log, exchange);
  exchange->client = NULL;
  uint32_t generation = exchange->record.generation;
  if (!exchange->waiting) {
    if (exchange->record.stages & 1u << MG_STAGE_LOG)
      exchange_stage(exchange, MG_STAGE_LOG);
    else
      exchange_end(exchange);
  } else if (exchange->record.generation == generation) {
    exchange_end_body_wait(exchange,
                           ERR_CLIENT_GONE); /* the stage ends, then the log stage follows */
  }
  if (exchange->record.generation == generation)
    exchange->origin = NULL;
  if (client)
    client->ops->release(client, keep); /* last: the next request may begin within */
}

/* stages */

static void act(struct exchange *exchange, enum mg_stage stage, enum exchange_verdict verdict);

void exchange_stage(struct exchange *exchange, enum mg_stage stage)
{
  CHECK(!exchange->waiting);
  enum exchange_verdict verdict = exchange->all->run(exchange->all->data, exchange, stage);
  if (verdict == VERDICT_WAIT) {
    exchange->waiting = exchange->has_waited = 1;
    exchange->waiting_stage = (uint8_t)stage;
    return;
  }
  act(exchange, stage, verdict);
}

/* What came while a stage waited; the side that did not wait has its turn first. */
static void catch_up(struct exchange *exchange, enum mg_stage stage)
{
  uint32_t generation = exchange->record.generation;
  if (exchange->head_waits && !exchange->waiting)
    forward_head(exchange);
  if (stage != MG_STAGE_REQUEST_BODY && exchange_lives(exchange, generation) && !exchange->waiting)
    forward_request(exchange);
  if (exchange_lives(exchange, generation) && !exchange->waiting && exchange->state == EX_ANSWER) {
    struct http_peer *client = exchange->client;
    if (exchange->record.stages & 1u << MG_STAGE_RESPONSE_BODY)
      answer_pump(exchange);
    else if (client->ops->flush(client) < 0) /* no turn of the upstream's has to follow */
      exchange_finish(exchange, 0);
    else
      forward_pace(exchange);
  }
  if (stage == MG_STAGE_REQUEST_BODY && exchange_lives(exchange, generation) && !exchange->waiting)
    forward_request(exchange);
}

void exchange_resume(struct exchange *exchange, enum exchange_verdict verdict)
{
  CHECK(exchange->waiting);
  exchange->waiting = 0;
  enum mg_stage stage = exchange->waiting_stage;
  uint32_t generation = exchange->record.generation;
  int err = exchange->pending_err;
  exchange->pending_err = 0;
  if (err && exchange->state < EX_ANSWER)
    answer_error(exchange, err);
  else if (exchange->state != EX_LOG || stage == MG_STAGE_LOG)
    act(exchange, stage, verdict);
  else if (exchange->record.stages & 1u << MG_STAGE_LOG)
    exchange_stage(exchange, MG_STAGE_LOG); /* the client left while the stage waited */
  else
    exchange_end(exchange);
  if (exchange_lives(exchange, generation))
    catch_up(exchange, stage);
}

/* A hook has made the answer, whatever an upstream says. */
static void answer_of_hook(struct exchange *exchange)
{
  exchange->head_waits = 0;
  forward_drop(exchange);
  exchange_enter(exchange, EX_RESPONSE);
  exchange->response_done = 1;
  exchange->response_held = 1;
}

/* Whether the body is to be whole first, as HTTP/1.0 wants it, which knows no chunks; for one that was
 * too long for that, and is tried again, it is too late. */
static int gathers(const struct exchange *exchange)
{
  const struct mg_request *record = &exchange->record;
  int wanted = record->buffer_request || (record->http10 && record->body_length < 0);
  return wanted && !exchange->request_done && exchange->state == EX_REQUEST &&
         exchange->body.len <= GATHER_BYTES;
}

static void act_on_request(struct exchange *exchange, enum exchange_verdict verdict)
{
  struct http_peer *client = exchange->client;
  if (verdict == VERDICT_ABORT) {
    exchange_finish(exchange, 0);
  } else if (verdict == VERDICT_ANSWER) {
    answer_of_hook(exchange);
    if (exchange->record.stages & 1u << MG_STAGE_RESPONSE)
      exchange_stage(exchange, MG_STAGE_RESPONSE);
    else
      answer_send(exchange);
  } else if (exchange->record.body_limit > 0 &&
             exchange->record.body_length > exchange->record.body_limit) {
    answer_error(exchange, ERR_BODY_TOO_LARGE);
  } else if (exchange->record.endpoint < 0) {
    answer_error(exchange, exchange->record.error ? exchange->record.error : ERR_NO_ENDPOINT);
  } else if (gathers(exchange)) {
    forward_continue(exchange);
    client->ops->read(client, 1); /* forward_start follows from on_complete */
  } else {
    forward_start(exchange);
  }
}

static void act_on_response(struct exchange *exchange, enum exchange_verdict verdict)
{
  if (verdict == VERDICT_ABORT) {
    exchange_finish(exchange, 0);
  } else if (verdict == VERDICT_FAIL) {
    exchange->record.stages &= ~(1u << MG_STAGE_RESPONSE); /* it has had its chance */
    answer_error(exchange, ERR_SCRIPT);
  } else {
    if (verdict == VERDICT_ANSWER)
      answer_of_hook(exchange);
    answer_send(exchange);
  }
}

static void fail_body(struct exchange *exchange, enum exchange_verdict verdict)
{
  if (verdict != VERDICT_ABORT)
    exchange->record.error = ERR_SCRIPT;
  exchange_finish(exchange, 0);
}

static void act(struct exchange *exchange, enum mg_stage stage, enum exchange_verdict verdict)
{
  switch (stage) {
  case MG_STAGE_REQUEST:
  case MG_STAGE_RETRY:
    act_on_request(exchange, verdict);
    break;
  case MG_STAGE_RESPONSE:
    act_on_response(exchange, verdict);
    break;
  case MG_STAGE_REQUEST_BODY:
    exchange->hook = NULL;
    if (verdict == VERDICT_ANSWER)
      act_on_request(exchange, verdict);
    else if (verdict != VERDICT_GO_ON || forward_hooked(exchange) < 0)
      fail_body(exchange, verdict);
    break;
  case MG_STAGE_RESPONSE_BODY:
    exchange->hook = NULL;
    if (verdict != VERDICT_GO_ON)
      fail_body(exchange, verdict);
    else
      answer_hooked(exchange);
    break;
  case MG_STAGE_LOG:
    exchange_end(exchange);
    break;
  case MG_STAGE_COUNT:
    CHECK(0);
  }
}

/* the client's codec */

static struct exchange *of(struct http_peer *peer)
{
  return peer->owner;
}

static const struct http_message *on_begin(struct http_peer *peer)
{
  struct exchange *exchange = exchange_take(peer->context);
  if (!exchange)
    return NULL;
  exchange->client = peer;
  exchange->origin = peer->origin;
  peer->owner = exchange;
  exchange->message =
      (struct http_message){ &exchange->arena, &exchange->request, &exchange->request_trailers };
  return &exchange->message;
}

static void start(struct exchange *exchange)
{
  int err = fields_read(exchange);
  if (err == 0)
    err = fields_outgoing(exchange);
  grpc_read(exchange);
  exchange_enter(exchange, EX_REQUEST);
  if (err < 0)
    answer_error(exchange, err);
  else
    exchange_stage(exchange, MG_STAGE_REQUEST);
}

/* Whether somebody takes the bytes of the request's body now. */
static int takes_body(const struct exchange *exchange)
{
  return exchange->upstream_ready || exchange->body_fn || exchange->draining ||
         (!exchange->waiting && gathers(exchange));
}

/* A request without a body starts when it is whole, so that its answer finds the connection ready for
 * the next one. */
static void on_head(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  if (exchange->request.body_len == 0)
    return;
  uint32_t generation = exchange->record.generation;
  exchange->has_waited = 1; /* for what is left of the body */
  exchange->feeding = 1;
  start(exchange);
  /* Stopping costs system calls: only where the rest of the body has to wait. */
  if (exchange_lives(exchange, generation) && !takes_body(exchange))
    peer->ops->read(peer, 0);
}

static int over_limit(const struct exchange *exchange)
{
  const struct mg_request *record = &exchange->record;
  return record->body_limit > 0 && record->bytes_in > (uint64_t)record->body_limit;
}

void exchange_break_off(struct exchange *exchange, int err)
{
  struct http_peer *client = exchange->client;
  client->ops->read(client, 0);
  exchange->pending_err = err;
  if (exchange->body_fn)
    exchange_end_body_wait(exchange, err);
  else if (!exchange->waiting)
    answer_error(exchange, err);
}

/* A copy that became too long, or has no memory, is none. */
static void keep(struct exchange *exchange, const char *data, size_t len)
{
  if (exchange->kept_max == 0 || len == 0)
    return;
  if (exchange->kept.len + len <= exchange->kept_max && buf_put(&exchange->kept, data, len) == 0)
    return;
  buf_fini(&exchange->kept);
  exchange->kept_max = 0;
}

void exchange_keep_body(struct exchange *exchange, size_t max)
{
  exchange->kept.len = 0;
  exchange->kept_max = max;
  keep(exchange, exchange->body.data, exchange->body.len);
}

static void on_body(struct http_peer *peer, const char *data, size_t len)
{
  struct exchange *exchange = of(peer);
  exchange->record.bytes_in += len;
  if (exchange->draining || (exchange->state >= EX_RESPONSE && !exchange->upstream))
    return; /* nobody will read it */
  if (over_limit(exchange) && exchange->state < EX_ANSWER) {
    exchange_break_off(exchange, ERR_BODY_TOO_LARGE);
    return;
  }
  exchange->feeding = 1;
  keep(exchange, data, len);
  if (forward_pass(exchange, data, len))
    return;
  if (buf_put(&exchange->body, data, len) < 0) {
    answer_abort(exchange, ERR_NO_MEMORY);
    return;
  }
  if (exchange->body_fn && exchange->state <= EX_REQUEST &&
      exchange->body.len > exchange->body_max) {
    peer->ops->read(peer, 0);
    exchange_end_body_wait(exchange, ERR_BODY_TOO_LARGE);
    return;
  }
  if (exchange->upstream_ready) {
    forward_request(exchange);
  } else if (exchange->state == EX_REQUEST && !exchange->waiting &&
             exchange->body.len > GATHER_BYTES) {
    peer->ops->read(peer, 0);
    forward_start(exchange);
  }
}

static void on_complete(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  exchange->request_done = 1;
  exchange->feeding = 0;
  head_strip_trailers(&exchange->request_trailers);
  if (exchange->state == EX_HEAD) {
    start(exchange);
    return;
  }
  exchange_rebase(exchange); /* there may be trailers */
  if (exchange->body_fn && exchange->state == EX_REQUEST) {
    exchange_end_body_wait(exchange, 0);
  } else if (exchange->state == EX_REQUEST && !exchange->waiting) {
    forward_start(exchange); /* the body was to be gathered first */
  } else if (exchange->upstream_ready) {
    forward_request(exchange);
  } else if (exchange->draining) {
    exchange->draining = 0;
    answer_send(exchange);
  }
}

static void on_abort(struct http_peer *peer, int err)
{
  struct exchange *exchange = of(peer);
  exchange->record.error = err;
  if (exchange->draining && err != ERR_CLIENT_GONE) {
    exchange->draining = 0; /* the answer stands, whatever becomes of the body */
    answer_send(exchange);
    return;
  }
  if (err == ERR_CLIENT_GONE || exchange->state >= EX_ANSWER) {
    exchange->gone = 1;
    if (exchange->record.status == 0)
      exchange->record.status = (uint32_t)err_status(ERR_CLIENT_GONE);
    exchange_finish(exchange, 0);
    return;
  }
  exchange_break_off(exchange, err);
}

static void on_drained(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  if (exchange->upstream)
    forward_pace(exchange);
}

static void on_turn(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  exchange->feeding = 0;
  exchange_rebase(exchange);
  forward_turn(exchange);
}

static void on_tunnel(struct http_peer *peer, const char *data, size_t len)
{
  struct exchange *exchange = of(peer);
  struct http_peer *upstream = exchange->upstream;
  exchange->record.bytes_in += len;
  if (!upstream || upstream->ops->tunnel(upstream, data, len) < 0)
    exchange_finish(exchange, 0);
  else if (upstream->ops->queued(upstream) > HIGH_WATER_BYTES)
    peer->ops->read(peer, 0);
}

/* What waits to go upstream still does. */
static void end_tunnel(struct exchange *exchange)
{
  if (exchange->upstream)
    exchange->upstream->ops->tunnel_end(exchange->upstream);
  exchange_finish(exchange, 1);
}

static void on_last_word(struct deadline *deadline)
{
  end_tunnel(LIST_ENTRY(deadline, struct exchange, deadline));
}

/* Browsers end their side of a WebSocket of HTTP/2 together with its frame Close, while over TCP the
 * client waits for the server's (RFC 6455 7.1.1). The server's Close is still to come: it may end first,
 * if it does so soon. One that sees its TCP connection end might not send it. */
static void on_tunnel_end(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  struct http_peer *upstream = exchange->upstream;
  if (peer->stream_id == 0 || !upstream) {
    end_tunnel(exchange);
    return;
  }
  if (upstream->stream_id > 0)
    upstream->ops->tunnel_end(upstream);
  struct deadlines *deadlines = &exchange->all->loop->deadlines;
  deadline_remove(&exchange->deadline);
  deadline_add(deadlines, &exchange->deadline, on_last_word);
  deadline_set(deadlines, &exchange->deadline, LAST_WORD_MS);
}

const struct http_events exchange_client_events = {
  .on_begin = on_begin,
  .on_head = on_head,
  .on_body = on_body,
  .on_complete = on_complete,
  .on_abort = on_abort,
  .on_drained = on_drained,
  .on_turn = on_turn,
  .on_tunnel = on_tunnel,
  .on_tunnel_end = on_tunnel_end,
};

/* for hooks */

void exchange_answer_begin(struct exchange *exchange, uint32_t status, enum mg_source source)
{
  head_clear(&exchange->response);
  head_clear(&exchange->response_trailers);
  exchange->response.status = status;
  exchange->response.version = 11;
  exchange->answer.len = 0;
  exchange->record.status = status;
  exchange->record.source = source;
}

void exchange_want_request_body(struct exchange *exchange, size_t max, exchange_body_fn *fn,
                                void *data)
{
  struct http_peer *client = exchange->client;
  if (exchange->request_done || exchange->body.len > max) {
    fn(data, exchange->body.len > max ? ERR_BODY_TOO_LARGE : 0);
    return;
  }
  exchange->body_fn = fn;
  exchange->body_data = data;
  exchange->body_max = max;
  forward_continue(exchange);
  client->ops->read(client, 1);
}

int exchange_set_target(struct exchange *exchange, const char *text, size_t len)
{
  if (len == 0 || text[0] != '/')
    return ERR_BAD_REQUEST;
  for (size_t i = 0; i < len; i++) {
    if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f || text[i] == '#')
      return ERR_BAD_REQUEST;
  }
  int err = text_put(&exchange->arena, text, len, &exchange->outgoing.target);
  exchange_rebase(exchange);
  return err;
}
