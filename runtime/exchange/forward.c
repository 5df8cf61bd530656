/* SPDX-License-Identifier: Apache-2.0 */
/* The upstream's side of an exchange: attempts, the request on its way out, the response coming in. */
#include "base/check.h"
#include "base/err.h"
#include "exchange/internal.h"

static struct exchange *of(struct http_peer *peer)
{
  return peer->owner;
}

void forward_drop(struct exchange *exchange)
{
  struct http_peer *upstream = exchange->upstream;
  exchange->upstream = NULL;
  exchange->upstream_ready = 0;
  if (upstream)
    upstream->ops->release(upstream, exchange->response_done && exchange->request_ended);
}

/* RFC 9110 9.2.2; of the request as it goes upstream, which a hook may have given another method. */
static int is_idempotent(const struct exchange *exchange)
{
  const char *method = span_text(&exchange->arena, exchange->outgoing.method);
  uint32_t len = exchange->outgoing.method.len;
  return !(text_equal(method, len, "POST", 4) || text_equal(method, len, "PATCH", 5) ||
           text_equal(method, len, "LOCK", 4));
}

/* Whether a further attempt would send the very same request. `sent`: it may have been seen. */
static int may_repeat(const struct exchange *exchange, int sent)
{
  if (exchange->body_dropped || exchange->request.upgrade)
    return 0;
  return !sent || is_idempotent(exchange) || (exchange->record.retry_on & MG_RETRY_NON_IDEMPOTENT);
}

static int time_is_left(const struct exchange *exchange)
{
  uint32_t limit_ms = exchange->record.tries_ms;
  return limit_ms == 0 || (uv_hrtime() - exchange->attempt_ns) / 1000000 < limit_ms;
}

static void rewind_request(struct exchange *exchange)
{
  exchange->body_sent = 0;
  exchange->request_ended = 0;
  exchange->client->ops->read(exchange->client, 0); /* until the next attempt takes it */
}

static void retry(struct exchange *exchange)
{
  rewind_request(exchange);
  stat_add(&exchange->all->stats.counts, STAT_RETRIES, 1);
  exchange_enter(exchange, EX_RETRY);
  exchange_stage(exchange, MG_STAGE_RETRY);
}

static uint32_t reason_of(int err)
{
  switch (err) {
  case ERR_CONNECT_TIMEOUT:
  case ERR_UPSTREAM_TIMEOUT:
  case ERR_UPSTREAM_SEND_TIMEOUT:
    return MG_RETRY_TIMEOUT;
  case ERR_UPSTREAM_PROTOCOL:
  case ERR_UPSTREAM_HEAD_TOO_LARGE:
    return MG_RETRY_INVALID_HEADER;
  default:
    return MG_RETRY_ERROR;
  }
}

static uint32_t reason_of_status(uint32_t status)
{
  switch (status) {
  case 500:
    return MG_RETRY_500;
  case 502:
    return MG_RETRY_502;
  case 503:
    return MG_RETRY_503;
  case 504:
    return MG_RETRY_504;
  case 403:
    return MG_RETRY_403;
  case 404:
    return MG_RETRY_404;
  case 429:
    return MG_RETRY_429;
  default:
    return 0;
  }
}

static int may_retry(const struct exchange *exchange, uint32_t reason, int sent)
{
  return exchange->record.retry_on & reason && exchange->record.tries > 0 &&
         may_repeat(exchange, sent) && time_is_left(exchange);
}

static enum stat_id stat_of(int err)
{
  switch (err) {
  case ERR_CONNECT:
    return STAT_FAIL_CONNECT;
  case ERR_CONNECT_TIMEOUT:
  case ERR_UPSTREAM_TIMEOUT:
  case ERR_UPSTREAM_SEND_TIMEOUT:
    return STAT_FAIL_TIMEOUT;
  case ERR_UPSTREAM_CLOSED:
    return STAT_FAIL_CLOSED;
  case ERR_UPSTREAM_PROTOCOL:
  case ERR_UPSTREAM_HEAD_TOO_LARGE:
    return STAT_FAIL_PROTOCOL;
  case ERR_TLS_HANDSHAKE:
  case ERR_TLS_UNTRUSTED:
  case ERR_TLS_TRUNCATED:
  case ERR_TLS_BROKEN:
    return STAT_FAIL_TLS;
  default:
    return STAT_FAIL_OTHER;
  }
}

static void attempt(struct exchange *exchange);

/* The attempt is over without an answer. */
static void fail(struct exchange *exchange, int err)
{
  int was_ready = exchange->upstream_ready;
  const struct http_peer *upstream = exchange->upstream;
  int stale = upstream && err == ERR_UPSTREAM_CLOSED ? upstream->ops->is_stale(upstream) : 0;
  exchange->record.error = err;
  forward_drop(exchange);
  if (exchange->state > EX_RESPONSE) {
    exchange_finish(exchange, 0);
    return;
  }
  if (exchange->waiting) {
    exchange->pending_err = exchange->body_replaced ? 0 : err;
    exchange->head_waits = 0;
    exchange_end_body_wait(exchange, err);
    return;
  }
  int unseen = stale == 2 && ++exchange->refusals <= REFUSALS_MAX;
  if ((unseen && may_repeat(exchange, 0)) ||
      (stale == 1 && may_repeat(exchange, is_idempotent(exchange) ? 0 : was_ready))) {
    /* Not an attempt: the connection had died, or the upstream did not want it there. */
    exchange->fresh_only = stale == 1;
    rewind_request(exchange);
    exchange->record.attempts--;
    attempt(exchange);
    return;
  }
  stat_add(&exchange->all->stats.counts, stat_of(err), 1);
  if (exchange->state == EX_UPSTREAM &&
      may_retry(exchange, reason_of(err), was_ready && stale != 2))
    retry(exchange);
  else
    answer_error(exchange, err);
}

static const struct http_message *on_begin(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  if (!exchange)
    return NULL;
  head_clear(&exchange->response);
  head_clear(&exchange->response_trailers);
  exchange->answer_message =
      (struct http_message){ &exchange->arena, &exchange->response, &exchange->response_trailers };
  return &exchange->answer_message;
}

/* 100 ends here: the client got its own (RFC 9110 10.1.1). Others are passed on. */
static void on_interim(struct exchange *exchange)
{
  struct http_peer *client = exchange->client;
  exchange_rebase(exchange);
  if (++exchange->interims > INTERIMS_MAX) {
    fail(exchange, ERR_UPSTREAM_PROTOCOL); /* each one takes memory */
    return;
  }
  if (exchange->response.status == 100)
    return;
  head_strip_hop_by_hop(&exchange->response, &exchange->arena);
  if (client->ops->send_head(client, &exchange->response, &exchange->arena, 0) < 0 ||
      client->ops->flush(client) < 0)
    exchange_finish(exchange, 0);
}

void forward_head(struct exchange *exchange)
{
  struct mg_request *record = &exchange->record;
  uint32_t status = exchange->response.status;
  uint32_t reason = reason_of_status(status);
  exchange->head_waits = 0;
  if (reason && may_retry(exchange, reason, 1)) {
    forward_drop(exchange);
    exchange->answer.len = 0;
    exchange->response_done = exchange->response_held = 0;
    retry(exchange);
    return;
  }
  record->status = status;
  record->source = MG_SOURCE_UPSTREAM;
  record->error = 0;
  exchange_enter(exchange, EX_RESPONSE);
  exchange_rebase(exchange);
  if (status == 101 && (!exchange->request.upgrade || !exchange->request_ended)) {
    fail(exchange, ERR_UPSTREAM_PROTOCOL);
    return;
  }
  int err = fields_response(exchange);
  if (err < 0)
    fail(exchange, err);
  else if (record->stages & 1u << MG_STAGE_RESPONSE && status != 101)
    exchange_stage(exchange, MG_STAGE_RESPONSE);
  else
    answer_send(exchange);
}

static void on_head(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  struct mg_request *record = &exchange->record;
  uint32_t status = exchange->response.status;
  if (status < 200 && status != 101) {
    on_interim(exchange);
    return;
  }
  record->first_byte_s = (double)(uv_hrtime() - exchange->attempt_ns) / 1e9;
  record->upstream_status = status;
  exchange->response_held = 1;
  if (exchange->waiting)
    exchange->head_waits = 1; /* for a hook that has a piece of the request */
  else
    forward_head(exchange);
}

/* Held bytes are bounded: pace stops the upstream past HIGH_WATER_BYTES. */
static void on_body(struct http_peer *peer, const char *data, size_t len)
{
  struct exchange *exchange = of(peer);
  if (!exchange->response_held) {
    answer_body(exchange, data, len);
    return;
  }
  if (exchange->body_replaced)
    return;
  if (buf_put(&exchange->answer, data, len) < 0) {
    answer_abort(exchange, ERR_NO_MEMORY);
    return;
  }
  if (exchange->body_fn && exchange->answer.len > exchange->body_max)
    exchange_end_body_wait(exchange, ERR_BODY_TOO_LARGE);
  else
    forward_pace(exchange);
}

static void on_complete(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  exchange->response_done = 1;
  head_strip_trailers(&exchange->response_trailers);
  exchange_rebase(exchange);
  if (!exchange->response_held)
    answer_end(exchange);
  else
    exchange_end_body_wait(exchange, 0);
}

static void on_abort(struct http_peer *peer, int err)
{
  fail(of(peer), err);
}

static void on_drained(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  struct http_peer *client = exchange->client;
  if (exchange->state == EX_TUNNEL)
    client->ops->read(client, 1);
  else if (exchange->upstream_ready && !exchange->request_ended)
    forward_request(exchange);
}

static void on_turn(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  struct http_peer *client = exchange->client;
  exchange_rebase(exchange);
  if (exchange->state < EX_ANSWER)
    return;
  if (client->ops->flush(client) < 0)
    exchange_finish(exchange, 0);
  else
    forward_pace(exchange); /* what was gathered may be gone at once, and nobody tells of it then */
}

static void on_tunnel(struct http_peer *peer, const char *data, size_t len)
{
  struct exchange *exchange = of(peer);
  struct http_peer *client = exchange->client;
  exchange->record.bytes_out += len;
  if (client->ops->tunnel(client, data, len) < 0)
    exchange_finish(exchange, 0);
  else
    forward_pace(exchange);
}

static void on_tunnel_end(struct http_peer *peer)
{
  exchange_finish(of(peer), 1);
}

static void on_ready(struct http_peer *peer)
{
  struct exchange *exchange = of(peer);
  exchange->upstream = peer;
  exchange->upstream_ready = 1;
  if (exchange->fresh)
    exchange->record.connect_s = (double)(uv_hrtime() - exchange->attempt_ns) / 1e9;
  int more = exchange->request.body_len != 0;
  exchange->outgoing.body_len = exchange->request.body_len;
  /* A body that is there has a length, which a hook may have changed; only chunks carry trailers behind
   * them. */
  if (exchange->request_done && !exchange->body_dropped) {
    int chunks = exchange->request_trailers.count > 0 && !exchange->record.http10;
    exchange->outgoing.body_len = chunks ? -1 : (int64_t)exchange->body.len;
    more = more || exchange->body.len > 0;
  }
  if (exchange->record.stages & 1u << MG_STAGE_REQUEST_BODY && more)
    exchange->outgoing.body_len = -1;
  exchange->outgoing.version = exchange->record.http10 ? 10 : 11;
  if (exchange->record.http10 && more && exchange->outgoing.body_len < 0) {
    answer_error(exchange, ERR_LENGTH_REQUIRED); /* chunks would be no framing there */
    return;
  }
  int err = peer->ops->send_head(peer, &exchange->outgoing, &exchange->arena, more);
  if (err < 0)
    fail(exchange, err);
  else
    forward_request(exchange);
}

static const struct http_events upstream_events = {
  .on_begin = on_begin,
  .on_head = on_head,
  .on_body = on_body,
  .on_complete = on_complete,
  .on_abort = on_abort,
  .on_drained = on_drained,
  .on_turn = on_turn,
  .on_tunnel = on_tunnel,
  .on_tunnel_end = on_tunnel_end,
  .on_ready = on_ready,
};

static void attempt(struct exchange *exchange)
{
  struct exchanges *all = exchange->all;
  struct mg_request *record = &exchange->record;
  const struct pool_request request = { .connect_ms = record->connect_ms,
                                        .send_ms = record->send_ms,
                                        .response_ms = record->read_ms,
                                        .head_bytes = record->answer_head_limit,
                                        .read_bytes = record->stream_id ? SHARED_READ_BYTES : 0 };
  int fresh = 0;
  exchange->interims = 0;
  if (exchange->state != EX_UPSTREAM)
    exchange_enter(exchange, EX_UPSTREAM);
  /* Where nothing has waited, the attempt begins when the request did: one look at the clock less. */
  if (record->attempts++ == 0)
    exchange->attempt_ns = exchange->has_waited ? uv_hrtime() : exchange->started_ns;
  stat_add(&all->stats.counts, STAT_ATTEMPTS, 1);
  enum pool_want want = may_repeat(exchange, 1) ? POOL_ANY : POOL_ALIVE;
  int err = pool_take(all->pool, record->endpoint, &request, &upstream_events, exchange,
                      exchange->fresh_only ? POOL_FRESH : want, &exchange->upstream, &fresh);
  exchange->fresh_only = 0;
  exchange->fresh = (uint8_t)fresh;
  if (err < 0) {
    exchange->upstream = NULL;
    record->error = err;
    stat_add(&all->stats.counts, stat_of(err), 1);
    if (may_retry(exchange, MG_RETRY_ERROR, 0))
      retry(exchange);
    else
      answer_error(exchange, err);
  } else if (!fresh) {
    on_ready(exchange->upstream);
  }
}

void forward_continue(struct exchange *exchange)
{
  struct http_peer *client = exchange->client;
  if (exchange->continued)
    return;
  exchange->continued = 1;
  if (!exchange->request.expect_continue || exchange->record.bytes_in > 0)
    return;
  const struct head interim = { .status = 100, .version = 11 };
  if (client->ops->send_head(client, &interim, &exchange->arena, 0) == 0)
    (void)client->ops->flush(client); /* a dead client shows when it is read */
}

void forward_start(struct exchange *exchange)
{
  if (exchange->record.tries > 0)
    exchange->record.tries--;
  attempt(exchange);
}

/* What was sent is kept for another attempt while it is little. */
static void drop_sent(struct exchange *exchange)
{
  if (exchange->body.len <= REPLAY_BYTES && !exchange->body_dropped &&
      exchange->state < EX_RESPONSE)
    return;
  exchange->body_dropped = 1;
  buf_drop(&exchange->body, exchange->body_sent);
  struct body_hook *hook = &exchange->request_hook;
  hook->seen = hook->seen > exchange->body_sent ? hook->seen - exchange->body_sent : 0;
  exchange->body_sent = 0;
}

static int send_pending(struct exchange *exchange)
{
  struct http_peer *upstream = exchange->upstream;
  size_t len = exchange->body.len - exchange->body_sent;
  if (len == 0)
    return 0;
  int err = upstream->ops->send_body(upstream, exchange->body.data + exchange->body_sent, len);
  exchange->body_sent = exchange->body.len;
  if (err == 0)
    drop_sent(exchange);
  return err;
}

/* What came meanwhile stands behind the piece. */
int forward_hooked(struct exchange *exchange)
{
  struct body_hook *hook = &exchange->request_hook;
  int err = buf_insert(&exchange->body, hook->seen, hook->piece.data, hook->piece.len);
  if (err < 0)
    return err;
  hook->seen += hook->piece.len;
  hook->done = hook->last;
  return 0;
}

/* Takes what the hook has not seen out of the body, until it has. UV_ENOMEM, or 0. */
static int take_piece(struct exchange *exchange)
{
  struct body_hook *hook = &exchange->request_hook;
  struct buf *body = &exchange->body;
  hook->piece.len = 0;
  hook->last = exchange->request_done;
  if (body->len == hook->seen)
    return 0;
  int err = buf_put(&hook->piece, body->data + hook->seen, body->len - hook->seen);
  body->len = hook->seen;
  return err;
}

/* With a body hook, Lua sees each piece first. Whether all has been seen; if not, a stage waits or the
 * exchange goes another way. */
static int show_pieces(struct exchange *exchange)
{
  struct body_hook *hook = &exchange->request_hook;
  uint32_t generation = exchange->record.generation;
  while (exchange->body.len > hook->seen || (exchange->request_done && !hook->done)) {
    if (exchange->waiting)
      return 0;
    exchange->client->ops->read(exchange->client, 0);
    if (take_piece(exchange) < 0) {
      fail(exchange, ERR_NO_MEMORY);
      return 0;
    }
    exchange->hook = hook;
    exchange_stage(exchange, MG_STAGE_REQUEST_BODY);
    if (!exchange_lives(exchange, generation) || exchange->waiting || !exchange->upstream_ready)
      return 0;
  }
  return 1;
}

/* The client goes on sending while the upstream takes it. */
static void pace_request(struct exchange *exchange)
{
  const struct http_peer *upstream = exchange->upstream;
  struct http_peer *client = exchange->client;
  client->ops->read(client, upstream->ops->queued(upstream) <= HIGH_WATER_BYTES);
}

void forward_request(struct exchange *exchange)
{
  struct http_peer *upstream = exchange->upstream;
  if (!upstream || !exchange->upstream_ready || exchange->request_ended)
    return;
  if (exchange->record.stages & 1u << MG_STAGE_REQUEST_BODY && exchange->request.body_len != 0 &&
      !show_pieces(exchange))
    return;
  int err = send_pending(exchange);
  if (err == 0 && exchange->request_done) {
    exchange->request_ended = 1;
    err = upstream->ops->send_end(upstream, &exchange->request_trailers, &exchange->arena);
  }
  if (err == 0 && !exchange->feeding)
    err = upstream->ops->flush(upstream);
  if (err < 0) {
    fail(exchange, ERR_UPSTREAM_CLOSED);
    return;
  }
  if (exchange->request_ended)
    return;
  forward_continue(exchange);
  pace_request(exchange);
}

void forward_turn(struct exchange *exchange)
{
  struct http_peer *upstream = exchange->upstream;
  if (!exchange->upstream_ready)
    return;
  if (upstream->ops->flush(upstream) < 0)
    fail(exchange, ERR_UPSTREAM_CLOSED);
  else if (!exchange->request_ended && !exchange->waiting)
    pace_request(exchange);
}

/* Whether the body is kept, as far as it is short. Over HTTP/2 the upstream may refuse what it has not
 * looked at. */
static int keeps_body(const struct exchange *exchange)
{
  return !exchange->body_dropped &&
         (may_repeat(exchange, 1) ||
          (exchange->upstream->stream_id > 0 && may_repeat(exchange, 0)));
}

int forward_pass(struct exchange *exchange, const char *data, size_t len)
{
  struct http_peer *upstream = exchange->upstream;
  struct http_peer *client = exchange->client;
  if (!exchange->upstream_ready || exchange->body.len > exchange->body_sent ||
      exchange->record.stages & 1u << MG_STAGE_REQUEST_BODY || keeps_body(exchange))
    return 0;
  exchange->body_dropped = 1;
  exchange->body.len = exchange->body_sent = 0;
  if (upstream->ops->send_body(upstream, data, len) < 0)
    fail(exchange, ERR_UPSTREAM_CLOSED);
  else if (upstream->ops->queued(upstream) > HIGH_WATER_BYTES)
    client->ops->read(client, 0); /* until on_drained */
  return 1;
}

void forward_pace(struct exchange *exchange)
{
  struct http_peer *upstream = exchange->upstream;
  struct http_peer *client = exchange->client;
  if (!upstream || exchange->response_done)
    return;
  size_t held = exchange->body_fn ? 0 : exchange->answer.len;
  size_t most = exchange->record.stream_id ? SHARED_HIGH_WATER_BYTES : HIGH_WATER_BYTES;
  int room = client->ops->queued(client) + held <= most;
  int stalled = exchange->waiting && exchange->waiting_stage == MG_STAGE_RESPONSE_BODY;
  upstream->ops->read(upstream, room && !stalled);
}

void exchange_want_response_body(struct exchange *exchange, size_t max, exchange_body_fn *fn,
                                 void *data)
{
  if (exchange->response_done || exchange->answer.len > max) {
    fn(data, exchange->answer.len > max ? ERR_BODY_TOO_LARGE : 0);
    return;
  }
  exchange->body_fn = fn;
  exchange->body_data = data;
  exchange->body_max = max;
  forward_pace(exchange);
}
