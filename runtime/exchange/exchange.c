/* SPDX-License-Identifier: Apache-2.0 */
/* States of an exchange and the client's side of it. */
#include "exchange/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "exchange/access_log.h"
#include "exchange/internal.h"

enum {
  ARENA_KEEP_BYTES = 16 * 1024
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
  exchange->state = (uint8_t)to;
}

/* slots */

void exchanges_init(struct exchanges *all)
{
  list_init(&all->free);
  CHECK(uv_random(NULL, NULL, &all->seed, sizeof(all->seed), 0, NULL) == 0);
}

static void free_slot(struct exchange *exchange)
{
  buf_fini(&exchange->arena);
  buf_fini(&exchange->body);
  buf_fini(&exchange->answer);
  buf_fini(&exchange->request_hook.piece);
  buf_fini(&exchange->response_hook.piece);
  head_fini(&exchange->request);
  head_fini(&exchange->request_trailers);
  head_fini(&exchange->outgoing);
  head_fini(&exchange->response);
  head_fini(&exchange->response_trailers);
  free(exchange);
}

void exchanges_fini(struct exchanges *all)
{
  for (uint32_t i = 0; i < all->count; i++)
    free_slot(all->slots[i]);
  free(all->slots);
  free(all->trusted);
}

static struct exchange *add_slot(struct exchanges *all)
{
  if (all->count == all->cap) {
    uint32_t cap = all->cap ? all->cap * 2 : 64;
    struct exchange **slots = realloc(all->slots, cap * sizeof(struct exchange *));
    if (!slots)
      return NULL;
    all->slots = slots;
    all->cap = cap;
  }
  struct exchange *exchange = calloc(1, sizeof(*exchange));
  if (!exchange)
    return NULL;
  exchange->all = all;
  exchange->record.slot = all->count;
  list_init(&exchange->free_node);
  all->slots[all->count++] = exchange;
  return exchange;
}

struct exchange *exchange_at(const struct exchanges *all, uint32_t slot)
{
  return slot < all->count ? all->slots[slot] : NULL;
}

/* The heads keep their memory; text beyond the usual is given back. */
static void reset(struct exchange *exchange)
{
  struct exchange old = *exchange;
  head_clear(&old.request);
  head_clear(&old.request_trailers);
  head_clear(&old.outgoing);
  head_clear(&old.response);
  head_clear(&old.response_trailers);
  if (old.arena.cap > ARENA_KEEP_BYTES)
    buf_fini(&old.arena);
  old.arena.len = 0;
  buf_fini(&old.body);
  buf_fini(&old.answer);
  buf_fini(&old.request_hook.piece);
  buf_fini(&old.response_hook.piece);
  *exchange = (struct exchange){ .all = old.all,
                                 .arena = old.arena,
                                 .request = old.request,
                                 .request_trailers = old.request_trailers,
                                 .outgoing = old.outgoing,
                                 .response = old.response,
                                 .response_trailers = old.response_trailers };
  exchange->record.slot = old.record.slot;
  exchange->record.generation = old.record.generation + 1;
  list_init(&exchange->free_node);
}

struct exchange *exchange_take(struct exchanges *all)
{
  struct exchange *exchange;
  if (list_empty(&all->free)) {
    exchange = add_slot(all);
  } else {
    exchange = LIST_ENTRY(all->free.next, struct exchange, free_node);
    list_remove(&exchange->free_node);
  }
  if (!exchange)
    return NULL;
  exchange_enter(exchange, EX_HEAD);
  exchange->record.stages = all->stages;
  exchange->record.endpoint = -1;
  exchange->record.connect_s = exchange->record.first_byte_s = -1;
  exchange->started_ns = uv_hrtime();
  exchange->pin = all->pin;
  if (exchange->pin) {
    exchange->pin->uses++;
    exchange->record.snapshot = exchange->pin->snapshot;
  }
  stat_set(&all->stats.counts, STAT_IN_FLIGHT, ++all->stats.active);
  return exchange;
}

/* the end */

static void unpin(struct exchange_pin *pin)
{
  if (pin && --pin->uses == 0)
    pin->on_unused(pin);
}

void exchanges_pin(struct exchanges *all, struct exchange_pin *pin)
{
  struct exchange_pin *old = all->pin;
  if (pin)
    pin->uses++;
  all->pin = pin;
  unpin(old);
}

void exchange_end(struct exchange *exchange)
{
  struct exchanges *all = exchange->all;
  unpin(exchange->pin);
  exchange_enter(exchange, EX_FREE);
  reset(exchange);
  stat_set(&all->stats.counts, STAT_IN_FLIGHT, --all->stats.active);
  list_push(&all->free, &exchange->free_node);
}

static enum limit limit_of(const struct exchange *exchange)
{
  switch (exchange->record.error) {
  case ERR_TARGET_TOO_LONG:
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

static void count(struct exchange *exchange)
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
  if (record->error == 0)
    return;
  if (record->error == ERR_CLIENT_GONE)
    stat_add(counts, STAT_CLIENTS_GONE, 1);
  enum limit limit = limit_of(exchange);
  if (limit != LIMIT_NONE)
    report_limit(exchange, limit);
}

/* A body that somebody waits for will never come. */
static void end_body_wait(struct exchange *exchange, int err)
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
  count(exchange);
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
    end_body_wait(exchange, ERR_CLIENT_GONE); /* the stage ends, then the log stage follows */
  }
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
  if (exchange_lives(exchange, generation) && !exchange->waiting && exchange->state == EX_ANSWER &&
      exchange->record.stages & 1u << MG_STAGE_RESPONSE_BODY)
    answer_pump(exchange);
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
  } else if (exchange->record.buffer_request && !exchange->request_done) {
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
  exchange_enter(exchange, EX_REQUEST);
  if (err < 0)
    answer_error(exchange, err);
  else
    exchange_stage(exchange, MG_STAGE_REQUEST);
}

/* Whether somebody takes the bytes of the request's body now. */
static int takes_body(const struct exchange *exchange)
{
  int gathers =
      exchange->state == EX_REQUEST && !exchange->waiting && exchange->record.buffer_request;
  return exchange->upstream_ready || exchange->body_fn || exchange->draining || gathers;
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

/* Before the head of an answer is out: an error is the answer, once no stage waits. */
static void break_off(struct exchange *exchange, int err)
{
  struct http_peer *client = exchange->client;
  client->ops->read(client, 0);
  exchange->pending_err = err;
  if (exchange->body_fn)
    end_body_wait(exchange, err);
  else if (!exchange->waiting)
    answer_error(exchange, err);
}

static void on_body(struct http_peer *peer, const char *data, size_t len)
{
  struct exchange *exchange = of(peer);
  exchange->record.bytes_in += len;
  if (exchange->draining || (exchange->state >= EX_RESPONSE && !exchange->upstream))
    return; /* nobody will read it */
  if (over_limit(exchange) && exchange->state < EX_ANSWER) {
    break_off(exchange, ERR_BODY_TOO_LARGE);
    return;
  }
  exchange->feeding = 1;
  if (forward_pass(exchange, data, len))
    return;
  if (buf_put(&exchange->body, data, len) < 0) {
    answer_abort(exchange, ERR_NO_MEMORY);
    return;
  }
  if (exchange->body_fn && exchange->state <= EX_REQUEST &&
      exchange->body.len > exchange->body_max) {
    peer->ops->read(peer, 0);
    end_body_wait(exchange, ERR_BODY_TOO_LARGE);
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
  if (exchange->state == EX_HEAD) {
    start(exchange);
    return;
  }
  exchange_rebase(exchange); /* there may be trailers */
  if (exchange->body_fn && exchange->state == EX_REQUEST) {
    end_body_wait(exchange, 0);
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
  break_off(exchange, err);
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
  if (exchange->upstream_ready && exchange->upstream->ops->flush(exchange->upstream) < 0)
    answer_abort(exchange, ERR_UPSTREAM_CLOSED);
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
static void on_tunnel_end(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  if (exchange->upstream)
    exchange->upstream->ops->tunnel_end(exchange->upstream);
  exchange_finish(exchange, 1);
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
