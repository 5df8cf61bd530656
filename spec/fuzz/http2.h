/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets of HTTP/2 share: a stream without a socket, input that is read as steps, and a
 * look at the frames that come out. */
#ifndef FUZZ_HTTP2_H
#define FUZZ_HTTP2_H

#include <nghttp2/nghttp2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "http/message.h"
#include "net/loop.h"
#include "net/stream.h"

enum {
  RIG_STREAMS = 512,
  RIG_FRAME_BYTES = 16384,
  RIG_HEAD_BYTES = 9,
  RIG_CALLS = 32
};

/* Input that has not been used. */
struct input {
  const uint8_t *data;
  size_t len;
};

static uint8_t input_byte(struct input *input)
{
  if (input->len == 0)
    return 0;
  input->len--;
  return *input->data++;
}

/* At most `most` bytes: as many as the next byte says. */
static struct input input_bytes(struct input *input, size_t most)
{
  size_t len = input_byte(input);
  if (len > most)
    len = most;
  if (len > input->len)
    len = input->len;
  struct input piece = { input->data, len };
  input->data += len;
  input->len -= len;
  return piece;
}

/* --- a connection ---------------------------------------------------------------- */

/* The loop is the same for all runs. */
static uv_loop_t rig_uv;
static struct net_loop rig_loop;

struct rig {
  struct stream *stream; /* NULL once it is closed */
  int is_blocked;        /* the socket takes nothing */
  struct buf in;         /* bytes of the peer that have not been read */
  struct buf out;        /* a frame that is not whole */
  uint8_t ended[RIG_STREAMS];
  uint8_t preface; /* bytes of it that are still to come out */
};

static void rig_start(void)
{
  if (rig_loop.uv)
    return;
  CHECK(uv_loop_init(&rig_uv) == 0);
  rig_loop.uv = &rig_uv;
  CHECK(deadlines_init(&rig_loop.deadlines, &rig_uv) == 0);
  CHECK(turns_init(&rig_loop.turns, &rig_uv) == 0);
  uv_ref((uv_handle_t *)&rig_loop.turns
             .before_poll); /* a stream without a socket keeps no loop going */
}

/* What must hold of frames that come out, whatever came in. */
static void rig_check_frame(struct rig *rig, const uint8_t *head, size_t len)
{
  uint8_t type = head[3];
  uint8_t flags = head[4];
  uint32_t id =
      ((uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8]);
  CHECK(len <= RIG_FRAME_BYTES && type <= NGHTTP2_CONTINUATION);
  CHECK(type != NGHTTP2_PRIORITY && type != NGHTTP2_PUSH_PROMISE);
  int of_stream = type == NGHTTP2_DATA || type == NGHTTP2_HEADERS || type == NGHTTP2_RST_STREAM ||
                  type == NGHTTP2_CONTINUATION;
  CHECK(type == NGHTTP2_WINDOW_UPDATE || of_stream == (id > 0));
  CHECK(id == 0 || id % 2 == 1);
  if (id == 0 || id >= RIG_STREAMS)
    return;
  if (type == NGHTTP2_DATA || type == NGHTTP2_HEADERS)
    CHECK(!rig->ended[id]);
  if (type == NGHTTP2_RST_STREAM)
    rig->ended[id] = 1;
  else if (type != NGHTTP2_CONTINUATION && type != NGHTTP2_WINDOW_UPDATE)
    rig->ended[id] = rig->ended[id] || flags & NGHTTP2_FLAG_END_STREAM;
}

static void rig_check(struct rig *rig)
{
  size_t at = rig->preface < rig->out.len ? rig->preface : rig->out.len;
  rig->preface = (uint8_t)(rig->preface - at);
  while (rig->out.len - at >= RIG_HEAD_BYTES) {
    const uint8_t *head = (const uint8_t *)rig->out.data + at;
    size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    CHECK(len <= RIG_FRAME_BYTES);
    if (rig->out.len - at < RIG_HEAD_BYTES + len)
      break;
    rig_check_frame(rig, head, len);
    at += RIG_HEAD_BYTES + len;
  }
  buf_drop(&rig->out, at);
}

static int rig_filter_start(struct stream *stream)
{
  (void)stream;
  return 0;
}

static void rig_filter_raw(struct stream *stream, char *data, size_t len)
{
  stream->events->on_data(stream, data, len);
}

static void rig_filter_end(struct stream *stream, int err)
{
  stream->events->on_end(stream, err);
}

static void rig_filter_read(struct stream *stream, int on)
{
  (void)stream; /* HTTP/2 reads all the time */
  (void)on;
}

static int rig_filter_write(struct stream *stream, const uv_buf_t *bufs, unsigned count)
{
  struct rig *rig = stream->filter_data;
  CHECK(stream->state == STREAM_OPEN);
  for (unsigned i = 0; i < count; i++) {
    CHECK(bufs[i].len > 0);
    CHECK(buf_put(&rig->out, bufs[i].base, bufs[i].len) == 0);
    if (rig->is_blocked)
      CHECK(buf_put(&stream->queued, bufs[i].base, bufs[i].len) == 0);
  }
  rig_check(rig);
  return 0;
}

static void rig_filter_free(void *data)
{
  ((struct rig *)data)->stream = NULL;
}

static const struct stream_filter rig_filter = { .start = rig_filter_start,
                                                 .on_raw = rig_filter_raw,
                                                 .on_raw_end = rig_filter_end,
                                                 .read = rig_filter_read,
                                                 .write = rig_filter_write,
                                                 .free = rig_filter_free };

/* A codec takes the stream over next. */
static void rig_open(struct rig *rig)
{
  rig_start();
  CHECK(stream_new(&rig->stream, &rig_uv, STREAM_PIPE, NULL, NULL, &rig_loop.read_buf) == 0);
  rig->stream->state = STREAM_OPEN;
  CHECK(stream_start_filter(rig->stream, &rig_filter, rig) == 0);
}

static void rig_turn(void)
{
  (void)uv_run(&rig_uv, UV_RUN_NOWAIT);
}

/* The peer's bytes, in pieces of so many; each is memory of its own, so that reading past its end shows. */
static void rig_read(struct rig *rig, size_t step)
{
  size_t at = 0;
  while (at < rig->in.len && rig->stream && rig->stream->state == STREAM_OPEN &&
         rig->stream->events) {
    size_t len = rig->in.len - at < step ? rig->in.len - at : step;
    char *copy = malloc(len);
    CHECK(copy);
    memcpy(copy, rig->in.data + at, len);
    at += len;
    rig->stream->filter->on_raw(rig->stream, copy, len);
    free(copy);
  }
  rig->in.len = 0;
}

/* The socket takes nothing from now on, or again all. */
static void rig_block(struct rig *rig, int on)
{
  struct stream *stream = rig->stream;
  rig->is_blocked = on;
  if (on || !stream || stream->state != STREAM_OPEN || stream->queued.len == 0)
    return;
  buf_fini(&stream->queued);
  stream->events->on_drained(stream);
}

/* The first deadline that there is, from the `skip`th on, is over. */
static void rig_expire(size_t skip)
{
  struct deadline *found = NULL;
  for (struct list *node = rig_loop.deadlines.all.next; node != &rig_loop.deadlines.all;
       node = node->next) {
    struct deadline *deadline = LIST_ENTRY(node, struct deadline, node);
    if (deadline->at_ms == 0)
      continue;
    found = deadline;
    if (skip-- == 0)
      break;
  }
  if (!found)
    return;
  found->at_ms = 0;
  found->fn(found);
}

static void rig_close(struct rig *rig)
{
  while (rig->stream) {
    stream_close(rig->stream);
    rig_turn();
  }
  rig_turn();
  buf_fini(&rig->in);
  buf_fini(&rig->out);
  buf_fini(&rig_loop.spare);
}

/* --- what the peer sends ------------------------------------------------------------ */

static void rig_put(struct rig *rig, const void *data, size_t len)
{
  CHECK(buf_put(&rig->in, data, len) == 0);
}

static void rig_frame(struct rig *rig, uint8_t type, uint8_t flags, uint32_t id, const void *data,
                      size_t len)
{
  const uint8_t head[RIG_HEAD_BYTES] = {
    (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,       type,       flags,
    (uint8_t)(id >> 24),  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id
  };
  rig_put(rig, head, sizeof(head));
  rig_put(rig, data, len);
}

/* A frame of the input: type, flags, stream, payload. */
static void rig_frame_of(struct rig *rig, struct input *input)
{
  uint8_t type = input_byte(input) % 12;
  uint8_t flags = input_byte(input);
  uint32_t id = input_byte(input);
  struct input payload = input_bytes(input, 255);
  rig_frame(rig, type, flags, id, payload.data, payload.len);
}

/* DATA that says nothing. */
static void rig_body(struct rig *rig, struct input *input)
{
  static const uint8_t zeroes[RIG_FRAME_BYTES];
  uint32_t id = input_byte(input);
  uint8_t flags = input_byte(input) & NGHTTP2_FLAG_END_STREAM;
  rig_frame(rig, NGHTTP2_DATA, flags, id, zeroes, (size_t)input_byte(input) * 64);
}

static void rig_window(struct rig *rig, struct input *input)
{
  uint32_t id = input_byte(input);
  const uint8_t more[4] = { 0, input_byte(input), 255, 255 };
  rig_frame(rig, NGHTTP2_WINDOW_UPDATE, 0, id, more, sizeof(more));
}

/* One literal field that is not indexed. */
static size_t rig_field(uint8_t *at, const char *name, const char *value, size_t len)
{
  size_t name_len = strlen(name);
  *at = 0;
  at[1] = (uint8_t)name_len;
  memcpy(at + 2, name, name_len);
  at[2 + name_len] = (uint8_t)len;
  memcpy(at + 3 + name_len, value, len);
  return 3 + name_len + len;
}

/* --- an exchange -------------------------------------------------------------------- */

/* In place of exchange/: told of one message, and says what the input wants. */
struct call {
  struct http_peer *peer; /* NULL: let go */
  struct http_message message;
  struct buf arena;
  struct head head;
  struct head trailers;
  uint64_t body; /* bytes that came */
  uint8_t is_live;
  uint8_t began;
  uint8_t has_head;
  uint8_t is_complete;
  uint8_t has_sent_head;
  uint8_t has_tunnel;
  uint8_t is_paused;
  uint8_t wish;
};

static struct call *call_of(struct http_peer *peer)
{
  struct call *call = peer->owner;
  CHECK(call && call->is_live && call->peer == peer);
  return call;
}

static void call_message(struct call *call)
{
  call->arena.len = 0;
  head_clear(&call->head);
  head_clear(&call->trailers);
  call->message = (struct http_message){ &call->arena, &call->head, &call->trailers };
}

static void call_free(struct call *call)
{
  buf_fini(&call->arena);
  head_fini(&call->head);
  head_fini(&call->trailers);
  *call = (struct call){ 0 };
}

/* May end a request: nothing of it is told afterwards. */
static void call_release(struct call *call, int reuse)
{
  struct http_peer *peer = call->peer;
  CHECK(peer && call->is_live);
  call->peer = NULL;
  peer->ops->release(peer, reuse);
  call_free(call);
}

/* What later writers rely on. */
static void call_check_fields(const struct call *call, const struct head *head)
{
  for (uint32_t i = 0; i < head->count; i++) {
    const struct field *field = &head->fields[i];
    const char *name = span_text(&call->arena, field->name);
    CHECK((size_t)field->name.at + field->name.len <= call->arena.len);
    CHECK((size_t)field->value.at + field->value.len <= call->arena.len);
    CHECK(text_is_token(name, field->name.len));
    CHECK(text_is_value(span_text(&call->arena, field->value), field->value.len));
    CHECK(field->id == (uint32_t)field_identify(name, field->name.len));
  }
  int length = head_find_id(head, FIELD_CONTENT_LENGTH, 0);
  CHECK(length < 0 || head_find_id(head, FIELD_CONTENT_LENGTH, (uint32_t)length + 1) < 0);
  CHECK(head_find_id(head, FIELD_TRANSFER_ENCODING, 0) < 0);
}

static void call_on_turn(struct http_peer *peer)
{
  (void)peer->ops->flush(call_of(peer)->peer);
}

static void call_on_tunnel(struct http_peer *peer, const char *data, size_t len)
{
  struct call *call = call_of(peer);
  CHECK(call->has_tunnel && data && len > 0);
  if (peer->ops->tunnel(peer, data, len) < 0)
    call_release(call, 0);
}

static void call_on_tunnel_end(struct http_peer *peer)
{
  struct call *call = call_of(peer);
  CHECK(call->has_tunnel);
  call_release(call, 1);
}

#endif
