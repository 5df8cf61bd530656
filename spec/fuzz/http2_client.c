/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to an upstream over HTTP/2: its frames, a socket that may be full, deadlines that may pass,
 * and requests that come, go on and are given up. Whatever the upstream does, frames that go out are such
 * as RFC 9113 has them, each request is told of one answer and of nothing once it is let go. */
#include "http2.h"

#include "base/err.h"
#include "http/h2/client.h"

struct run {
  struct rig rig;
  struct call calls[RIG_CALLS];
  struct h2_client *client;
  int is_busy;
  int has_left;
  int gone;
};

/* --- what a request is told ------------------------------------------------------------ */

static const struct http_message *on_begin(struct http_peer *peer)
{
  struct call *call = call_of(peer);
  CHECK(!call->is_complete && call->began < 255);
  call->began++;
  head_clear(&call->trailers);
  head_clear(&call->head);
  call->message = (struct http_message){ &call->arena, &call->head, &call->trailers };
  return &call->message;
}

static void on_head(struct http_peer *peer)
{
  struct call *call = call_of(peer);
  const struct head *head = &call->head;
  CHECK(!call->has_head && !call->is_complete);
  CHECK(head->status >= 100 && head->status <= 999 && head->version == 20 && head->body_len >= -1);
  call_check_fields(call, head);
  call->has_head = head->status >= 200 || head->status == 101;
  if (head->status == 101) {
    CHECK(call->wish & 8);
    call->has_tunnel = 1;
    if (peer->ops->tunnel(peer, NULL, 0) < 0)
      call_release(call, 0);
    return;
  }
  if (call->wish & 16)
    peer->ops->read(peer, 0);
  if (call->wish & 32)
    call_release(call, 0);
}

static void on_body(struct http_peer *peer, const char *data, size_t len)
{
  struct call *call = call_of(peer);
  CHECK(call->has_head && !call->has_tunnel && !call->is_complete && data && len > 0);
  call->body += len;
  CHECK(call->head.body_len < 0 || call->body <= (uint64_t)call->head.body_len);
}

static void on_complete(struct http_peer *peer)
{
  struct call *call = call_of(peer);
  CHECK(call->has_head && !call->is_complete);
  CHECK(call->head.body_len <= 0 || call->body == (uint64_t)call->head.body_len);
  call->is_complete = 1;
  call_check_fields(call, &call->trailers);
  if (!(call->wish & 64))
    call_release(call, 1);
}

static void on_abort(struct http_peer *peer, int err)
{
  struct call *call = call_of(peer);
  CHECK(err < 0 && !call->is_complete);
  int stale = peer->ops->is_stale(peer);
  CHECK(stale >= 0 && stale <= 2);
  CHECK(stale == 0 || !call->has_head);
  call_release(call, 0);
}

static void on_drained(struct http_peer *peer)
{
  (void)call_of(peer);
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

/* --- what its pool is told --------------------------------------------------------------- */

static void on_room(struct h2_client *client, uint32_t streams)
{
  (void)client;
  (void)streams;
}

static void on_use(struct h2_client *client, int is_idle)
{
  struct run *run = h2_client_data(client);
  CHECK(!run->gone && run->is_busy == is_idle);
  run->is_busy = !is_idle;
}

static void on_limit(struct h2_client *client, enum limit limit)
{
  struct run *run = h2_client_data(client);
  CHECK(!run->gone && limit > LIMIT_NONE && limit < LIMIT_COUNT);
}

static void on_leave(struct h2_client *client)
{
  struct run *run = h2_client_data(client);
  CHECK(!run->has_left && !run->gone);
  run->has_left = 1;
}

static void on_gone(struct h2_client *client)
{
  struct run *run = h2_client_data(client);
  CHECK(run->has_left && !run->gone);
  run->gone = 1;
  run->client = NULL;
  for (size_t i = 0; i < RIG_CALLS; i++)
    CHECK(!run->calls[i].is_live);
}

static const struct h2_client_owner owner = { on_room, on_use, on_limit, on_leave, on_gone };

/* --- requests ------------------------------------------------------------------------------ */

static const struct http_client_config config = {
  .limits = { .head_bytes = 4096, .fields = 32 },
  .send_ms = 10000,
  .response_ms = 10000,
  .idle_ms = 10000,
  .tunnel_ms = 10000,
};

static int make_head(struct call *call, struct head *head)
{
  static const char *const methods[] = { "GET", "POST", "HEAD", "PUT" };
  const char *method = methods[call->wish & 3];
  int err = text_put(&call->arena, method, strlen(method), &head->method);
  if (err == 0)
    err = text_put(&call->arena, "/", 1, &head->target);
  if (err == 0)
    err = head_add(head, &call->arena, "Host", 4, "a.test", 6);
  if (err < 0 || !(call->wish & 8))
    return err;
  head->upgrade = 1;
  err = text_put(&call->arena, "GET", 3, &head->method);
  if (err == 0)
    err = head_add(head, &call->arena, "Upgrade", 7, "websocket", 9);
  return err < 0 ? err
                 : head_add(head, &call->arena, "Sec-WebSocket-Key", 17,
                            "dGhlIHNhbXBsZSBub25jZQ==", 24);
}

static void send_bytes(struct call *call, size_t len)
{
  static const char bytes[50000];
  const struct http_ops *ops = call->peer->ops;
  if (call->has_tunnel)
    (void)ops->tunnel(call->peer, bytes, len);
  else if (!(call->wish & 8))
    (void)ops->send_body(call->peer, bytes, len);
  (void)ops->queued(call->peer);
}

static void begin(struct run *run, struct input *input)
{
  struct call *call = NULL;
  uint8_t wish = input_byte(input);
  for (size_t i = 0; i < RIG_CALLS && !call; i++)
    call = run->calls[i].is_live ? NULL : &run->calls[i];
  if (!call || !run->client || !h2_client_has_room(run->client))
    return;
  call->is_live = 1;
  call->wish = wish;
  CHECK(h2_client_request(run->client, &config, &events, call, &call->peer) == 0);
  struct head head = { .version = 11, .body_len = wish & 4 ? -1 : 0 };
  CHECK(make_head(call, &head) == 0);
  struct http_peer *peer = call->peer;
  int err = peer->ops->send_head(peer, &head, &call->arena, wish & 4);
  head_fini(&head);
  if (err < 0)
    call_release(call, 0);
  else if (!(wish & 4))
    (void)peer->ops->send_end(peer, NULL, NULL);
}

static void act(struct call *call, uint8_t what)
{
  if (!call->is_live)
    return;
  switch (what % 5) {
  case 0:
    send_bytes(call, (size_t)(what >> 3) * 1500 + 1);
    break;
  case 1:
    if (call->has_tunnel)
      call->peer->ops->tunnel_end(call->peer);
    else
      (void)call->peer->ops->send_end(call->peer, NULL, NULL);
    break;
  case 2:
    call_release(call, what & 16);
    break;
  default:
    call->peer->ops->read(call->peer, what & 1);
  }
}

/* --- the upstream ---------------------------------------------------------------------------- */

static void put_response(struct rig *rig, struct input *input)
{
  static const char *const statuses[] = { "200", "103", "204", "304", "503", "101", "100", "201" };
  uint8_t id = input_byte(input);
  uint8_t flags = input_byte(input);
  uint8_t block[256];
  size_t len = rig_field(block, ":status", statuses[flags >> 4 & 7], 3);
  if (flags & 128)
    len += rig_field(block + len, "content-length", "64", 2);
  struct input more = input_bytes(input, 64);
  memcpy(block + len, more.data, more.len);
  rig_frame(rig, NGHTTP2_HEADERS, (flags & NGHTTP2_FLAG_END_STREAM) | NGHTTP2_FLAG_END_HEADERS, id,
            block, len + more.len);
}

static void put_settings(struct rig *rig, struct input *input)
{
  const uint8_t list[] = {
    0, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 0, 0, 0, input_byte(input) & 1,
    0, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,  0, 0, 0, input_byte(input)
  };
  rig_frame(rig, NGHTTP2_SETTINGS, 0, 0, list, sizeof(list));
}

/* GOAWAY, or a stream that is reset. */
static void put_end(struct rig *rig, struct input *input)
{
  uint8_t last = input_byte(input);
  uint8_t code = input_byte(input);
  const uint8_t text[8] = { 0, 0, 0, last, 0, 0, 0, (uint8_t)(code >> 1) % 14 };
  if (code & 1)
    rig_frame(rig, NGHTTP2_GOAWAY, 0, 0, text, sizeof(text));
  else
    rig_frame(rig, NGHTTP2_RST_STREAM, 0, last, text + 4, 4);
}

static void put_frame(struct rig *rig, uint8_t what, struct input *input)
{
  switch (what) {
  case 0:
    rig_frame_of(rig, input);
    break;
  case 1:
  case 2:
    put_response(rig, input);
    break;
  case 3:
    rig_body(rig, input);
    break;
  case 4:
    rig_window(rig, input);
    break;
  case 5:
    put_settings(rig, input);
    break;
  default:
    put_end(rig, input);
  }
}

static void step(struct run *run, struct input *input)
{
  uint8_t what = input_byte(input);
  switch (what % 16) {
  case 7:
  case 8:
    begin(run, input);
    break;
  case 9:
    rig_read(&run->rig, (size_t)(what >> 4) * 7 + 1);
    break;
  case 10:
    rig_read(&run->rig, SIZE_MAX);
    rig_turn();
    break;
  case 11:
    rig_block(&run->rig, what & 16);
    break;
  case 12:
    rig_expire(input_byte(input) % 8);
    break;
  case 13:
    if (run->client && what & 16)
      h2_client_close(run->client);
    else if (run->client)
      h2_client_leave(run->client);
    break;
  case 14:
    if (run->rig.stream && run->rig.stream->state == STREAM_OPEN)
      run->rig.stream->events->on_end(run->rig.stream, 0);
    break;
  case 15:
    act(&run->calls[(what >> 4) + (input_byte(input) & 16)], input_byte(input));
    break;
  default:
    put_frame(&run->rig, what % 16, input);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const struct h2_client_settings settings = { .streams = 10,
                                                      .stream_window = 20000,
                                                      .connection_window = 100000,
                                                      .table_bytes = 4096,
                                                      .idle_ms = 10000,
                                                      .ping_ms = 10000,
                                                      .ping_wait_ms = 10000 };
  struct run run = { .rig = { .preface = NGHTTP2_CLIENT_MAGIC_LEN }, .is_busy = 1 };
  struct input input = { data, size };
  rig_open(&run.rig);
  CHECK(h2_client_start(&run.client, run.rig.stream, &rig_loop, &settings, &owner, &run) == 0);
  while (input.len > 0 && !run.gone)
    step(&run, &input);
  rig_read(&run.rig, SIZE_MAX);
  rig_turn();
  if (run.client)
    h2_client_close(run.client);
  rig_close(&run.rig);
  /* Answers that are whole may be looked at for longer than the connection lives. */
  for (size_t i = 0; i < RIG_CALLS; i++) {
    if (run.calls[i].is_live) {
      CHECK(run.calls[i].is_complete);
      call_release(&run.calls[i], 1);
    }
  }
  rig_turn();
  CHECK(run.gone && list_empty(&rig_loop.turns.all) && list_empty(&rig_loop.deadlines.all));
  return 0;
}
