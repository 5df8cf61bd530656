/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection of HTTP/2: its frames, a socket that may be full, deadlines that may pass, and
 * exchanges that answer early, late, in part or never. Whatever happens, frames that come out are such as
 * RFC 9113 has them, an exchange is told of one message and of nothing once it has let go. */
#include "http2.h"

#include "base/err.h"
#include "http/h2/server.h"
#include "http/uri.h"

/* Bits of a request's wish, which stands in its path. */
enum {
  WISH_WHEN = 3, /* to answer: 0 at the head, 1 at the end, 2 at the first bytes, 3 when told to */
  WISH_LARGE = 4,
  WISH_TRAILERS = 8,
  WISH_INTERIM = 16,
  WISH_PAUSE = 32,
  WISH_CUT = 64,
  WISH_NO_END = 128,
  LARGE_BYTES = 40000
};

struct run {
  struct rig rig;
  struct call calls[RIG_CALLS];
  struct list all;
  int gone;
};

static void send_bytes(struct call *call, size_t len)
{
  static const char bytes[LARGE_BYTES];
  const struct http_ops *ops = call->peer->ops;
  if (call->has_tunnel)
    (void)ops->tunnel(call->peer, bytes, len);
  else if (call->has_sent_head)
    (void)ops->send_body(call->peer, bytes, len);
  CHECK(ops->queued(call->peer) <= (size_t)LARGE_BYTES * 64);
}

static int put_field(struct call *call, struct head *head)
{
  return head_add(head, &call->arena, "x-sum", 5, "1", 1);
}

static void send_trailers(struct call *call)
{
  struct head trailers = { 0 };
  CHECK(put_field(call, &trailers) == 0);
  (void)call->peer->ops->send_end(call->peer, &trailers, &call->arena);
  head_fini(&trailers);
}

static void finish(struct call *call)
{
  const struct http_ops *ops = call->peer->ops;
  if (call->has_tunnel)
    ops->tunnel_end(call->peer);
  else if (call->wish & WISH_TRAILERS)
    send_trailers(call);
  else
    (void)ops->send_end(call->peer, NULL, NULL);
  call_release(call, !(call->wish & WISH_CUT));
}

static void answer(struct call *call, uint32_t status)
{
  struct http_peer *peer = call->peer;
  struct head head = { .status = status, .version = 11, .body_len = -1 };
  int large = call->wish & WISH_LARGE;
  if (call->has_sent_head)
    return;
  if (call->wish & WISH_INTERIM) {
    head.status = 103;
    (void)peer->ops->send_head(peer, &head, &call->arena, 0);
    head.status = status;
  }
  CHECK(put_field(call, &head) == 0);
  int err = peer->ops->send_head(peer, &head, &call->arena, large || status == 101);
  head_fini(&head);
  call->has_sent_head = 1;
  if (err < 0) {
    call_release(call, 0);
    return;
  }
  if (status == 101) {
    call->has_tunnel = 1;
    if (peer->ops->tunnel(peer, NULL, 0) < 0)
      call_release(call, 0);
    return;
  }
  if (large)
    send_bytes(call, LARGE_BYTES);
  if (!(call->wish & WISH_NO_END))
    finish(call);
  else
    (void)peer->ops->flush(peer);
}

static void answer_now(struct call *call, uint8_t when)
{
  if ((call->wish & WISH_WHEN) == when)
    answer(call, call->head.upgrade ? 101 : 200);
}

static const struct http_message *on_begin(struct http_peer *peer)
{
  struct run *run = peer->context;
  for (size_t i = 0; i < RIG_CALLS; i++) {
    struct call *call = &run->calls[i];
    if (call->is_live)
      continue;
    CHECK(!peer->owner);
    call_message(call);
    call->is_live = 1;
    call->peer = peer;
    peer->owner = call;
    return &call->message;
  }
  return NULL; /* as without memory */
}

static void check_head(const struct call *call)
{
  const struct head *head = &call->head;
  const char *target = span_text(&call->arena, head->target);
  int host = head_find_id(head, FIELD_HOST, 0);
  CHECK(head->version == 20 && head->body_len >= -1);
  CHECK(text_is_token(span_text(&call->arena, head->method), head->method.len));
  CHECK(uri_is_target(target, head->target.len));
  CHECK(target[0] == '/' || (target[0] == '*' && head->target.len == 1));
  CHECK(head->host.len > 0 && uri_is_host(span_text(&call->arena, head->host), head->host.len));
  CHECK(host >= 0 && head_find_id(head, FIELD_HOST, (uint32_t)host + 1) < 0);
  call_check_fields(call, head);
}

static void on_head(struct http_peer *peer)
{
  struct call *call = call_of(peer);
  CHECK(!call->has_head && !call->is_complete);
  call->has_head = 1;
  check_head(call);
  struct span target = call->head.target;
  call->wish = target.len > 1 ? (uint8_t)span_text(&call->arena, target)[1] : 0;
  if (call->wish & WISH_PAUSE) {
    call->is_paused = 1;
    peer->ops->read(peer, 0);
  }
  answer_now(call, 0);
}

static void on_body(struct http_peer *peer, const char *data, size_t len)
{
  struct call *call = call_of(peer);
  CHECK(call->has_head && !call->is_complete && len > 0 && data);
  CHECK(call->head.body_len != 0);
  call->body += len;
  CHECK(call->head.body_len < 0 || call->body <= (uint64_t)call->head.body_len);
  answer_now(call, 2);
}

static void on_complete(struct http_peer *peer)
{
  struct call *call = call_of(peer);
  CHECK(call->has_head && !call->is_complete);
  CHECK(call->head.body_len < 0 || call->body == (uint64_t)call->head.body_len);
  call->is_complete = 1;
  call_check_fields(call, &call->trailers);
  answer_now(call, 1);
}

static void on_abort(struct http_peer *peer, int err)
{
  struct call *call = call_of(peer);
  CHECK(err < 0);
  if (err == ERR_CLIENT_GONE || call->has_sent_head) {
    call_release(call, 0);
  } else {
    peer->ops->read(peer, 0);
    call->wish = 0;
    answer(call, 400);
  }
}

static void on_drained(struct http_peer *peer)
{
  struct call *call = call_of(peer);
  if (call->wish & WISH_LARGE && call->body < LARGE_BYTES)
    send_bytes(call, 1000);
}

static const struct http_events events = { .on_begin = on_begin,
                                           .on_head = on_head,
                                           .on_body = on_body,
                                           .on_complete = on_complete,
                                           .on_abort = on_abort,
                                           .on_drained = on_drained,
                                           .on_turn = call_on_turn,
                                           .on_tunnel = call_on_tunnel,
                                           .on_tunnel_end = call_on_tunnel_end };

static void on_gone(struct http_server *server)
{
  struct run *run = server->owner->data;
  CHECK(!run->gone);
  run->gone = 1;
  for (size_t i = 0; i < RIG_CALLS; i++)
    CHECK(!run->calls[i].is_live); /* each was told to let go */
}

static void on_limit(struct http_server *server, enum limit limit)
{
  (void)server;
  CHECK(limit > LIMIT_NONE && limit < LIMIT_COUNT);
}

static const struct http_server_config config = {
  .limits = { .head_bytes = 4096,
              .target_bytes = 1024,
              .fields = 32,
              .drop_names = NAME_UNDERSCORE | NAME_OTHER },
  .timeouts = { 10000, 10000, 10000, 10000, 10000 },
  .requests = 100,
  .h2 = { .streams = RIG_CALLS - 2,
          .stream_window = 20000,
          .connection_window = 100000,
          .table_bytes = 4096,
          .continuations = 4,
          .reset_burst = 40,
          .reset_rate = 10,
          .control_burst = 100,
          .control_rate = 10 },
};

/* A whole head with the wish that the input has. */
static void put_request(struct rig *rig, struct input *input)
{
  static const char *const methods[] = { "GET", "POST", "HEAD", "CONNECT" };
  uint8_t id = input_byte(input);
  uint8_t flags = input_byte(input);
  const char path[2] = { '/', (char)input_byte(input) };
  const char *method = methods[flags >> 4 & 3];
  uint8_t block[256];
  size_t len = rig_field(block, ":method", method, strlen(method));
  len += rig_field(block + len, ":scheme", "http", 4);
  len += rig_field(block + len, ":authority", "a.test", 6);
  len += rig_field(block + len, ":path", path, 2);
  if (strcmp(method, "CONNECT") == 0)
    len += rig_field(block + len, ":protocol", "websocket", 9);
  if (flags & 128)
    len += rig_field(block + len, "content-length", "64", 2);
  if (flags & 64)
    len += rig_field(block + len, "expect", "100-continue", 12);
  struct input more = input_bytes(input, 64);
  memcpy(block + len, more.data, more.len);
  rig_frame(rig, NGHTTP2_HEADERS, (flags & NGHTTP2_FLAG_END_STREAM) | NGHTTP2_FLAG_END_HEADERS, id,
            block, len + more.len);
}

/* What an exchange does at any time. */
static void act(struct call *call, uint8_t what)
{
  if (!call->is_live)
    return;
  switch (what % 6) {
  case 0:
    if (call->has_head)
      answer(call, call->head.upgrade && what & 64 ? 101 : 200);
    break;
  case 1:
    call->is_paused = !call->is_paused;
    call->peer->ops->read(call->peer, !call->is_paused);
    break;
  case 2:
    send_bytes(call, (size_t)(what >> 3) * 1000 + 1);
    break;
  case 3:
    if (call->has_sent_head)
      finish(call);
    break;
  case 4:
    call_release(call, 0);
    break;
  default:
    (void)call->peer->ops->flush(call->peer);
  }
}

static void step(struct run *run, struct http_server *server, struct input *input)
{
  uint8_t what = input_byte(input);
  switch (what % 16) {
  case 0:
  case 1:
    rig_frame_of(&run->rig, input);
    return;
  case 2:
  case 3:
  case 4:
    put_request(&run->rig, input);
    return;
  case 5:
    rig_body(&run->rig, input);
    return;
  case 6:
    rig_window(&run->rig, input);
    return;
  case 7: {
    struct input raw = input_bytes(input, 255);
    rig_put(&run->rig, raw.data, raw.len);
    return;
  }
  case 8:
  case 9:
    rig_read(&run->rig, (size_t)(what >> 4) * 7 + 1);
    return;
  case 10:
    rig_read(&run->rig, SIZE_MAX);
    rig_turn();
    return;
  case 11:
    rig_block(&run->rig, what & 16);
    return;
  case 12:
    rig_expire(input_byte(input) % 8);
    return;
  case 13:
    if (what & 16)
      server->ops->close(server);
    else
      server->ops->drain(server);
    return;
  case 14:
    run->rig.stream->events->on_end(run->rig.stream, 0);
    return;
  default:
    act(&run->calls[(what >> 4) + (input_byte(input) & 16)], input_byte(input));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char preface[] = NGHTTP2_CLIENT_MAGIC;
  struct run run = { 0 };
  struct http_server_owner owner = {
    .events = &events, .on_gone = on_gone, .on_limit = on_limit, .data = &run, .all = &run.all
  };
  const struct http_origin origin = { 0 };
  struct input input = { data, size };
  list_init(&run.all);
  rig_open(&run.rig);
  rig_put(&run.rig, preface, sizeof(preface) - 1);
  rig_frame(&run.rig, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
  CHECK(h2_server_start(run.rig.stream, &rig_loop, &config, &owner, &origin, NULL, 0) == 0);
  struct http_server *server = LIST_ENTRY(run.all.next, struct http_server, node);
  while (input.len > 0 && !run.gone && run.rig.stream->state == STREAM_OPEN)
    step(&run, server, &input);
  rig_read(&run.rig, SIZE_MAX);
  rig_turn();
  if (!run.gone)
    server->ops->close(server);
  rig_close(&run.rig);
  CHECK(run.gone && list_empty(&rig_loop.turns.all) && list_empty(&rig_loop.deadlines.all));
  return 0;
}
