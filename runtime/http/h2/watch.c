/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2/watch.h"

#include <string.h>

#include "http/h2/session.h"

enum {
  HEAD_BYTES = 9,
  WORD_BYTES = 4
};

struct frame {
  uint32_t length;
  uint8_t type;
  int32_t id;
  uint32_t word; /* the first of the payload; 0 where it is shorter */
};

void h2_watch_init(struct h2_watch *watch)
{
  *watch = (struct h2_watch){ .preface = NGHTTP2_CLIENT_MAGIC_LEN };
}

static uint32_t word_at(const uint8_t *data)
{
  return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static uint32_t length_at(const uint8_t *data)
{
  return (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];
}

static struct frame frame_at(const uint8_t *data)
{
  struct frame frame = { .length = length_at(data),
                         .type = data[3],
                         .id = (int32_t)(word_at(data + 5) & INT32_MAX) };
  if (frame.length >= WORD_BYTES)
    frame.word = word_at(data + HEAD_BYTES) & INT32_MAX;
  return frame;
}

/* Streams that the client has ended or given up, or never opened (RFC 9113 5.1). Of those that we reset,
 * it may not know yet. */
static int is_closed(const struct h2_session *session, int32_t id)
{
  return id > session->watch.last_reset && id & 1 &&
         id <= nghttp2_session_get_last_proc_stream_id(session->ng) &&
         !nghttp2_session_get_stream_user_data(session->ng, id);
}

/* RFC 9113 6.9.1: too large a window ends that stream. nghttp2 would end the connection. */
static int check_window(struct h2_session *session, const struct frame *frame)
{
  struct h2_stream *stream = nghttp2_session_get_stream_user_data(session->ng, frame->id);
  if (!stream || frame->length != WORD_BYTES)
    return 0;
  int32_t window = nghttp2_session_get_stream_remote_window_size(session->ng, frame->id);
  if ((int64_t)window + frame->word <= INT32_MAX)
    return 0;
  h2_stream_lose(stream, session->side->err_invalid);
  h2_stream_reset(stream, NGHTTP2_FLOW_CONTROL_ERROR);
  return 1;
}

/* Whether nghttp2 is not to see the frame. */
static int check(struct h2_session *session, const struct frame *frame)
{
  switch (frame->type) {
  case NGHTTP2_DATA:
  case NGHTTP2_HEADERS:
    if (is_closed(session, frame->id))
      h2_session_terminate(session, NGHTTP2_STREAM_CLOSED);
    return 0;
  case NGHTTP2_PRIORITY:
    if (frame->id == 0 || (frame->length == WORD_BYTES + 1 && frame->word == (uint32_t)frame->id))
      h2_session_terminate(session, NGHTTP2_PROTOCOL_ERROR);
    return 0;
  case NGHTTP2_WINDOW_UPDATE:
    return check_window(session, frame);
  default:
    return 0;
  }
}

/* How much of a frame must be there before it is judged. */
static size_t wanted(const uint8_t *data, size_t have)
{
  if (have < HEAD_BYTES)
    return HEAD_BYTES;
  return length_at(data) < WORD_BYTES ? HEAD_BYTES : WATCH_BYTES;
}

static size_t take_rest(struct h2_watch *watch, const uint8_t *data, size_t len, nghttp2_vec *give)
{
  size_t taken = watch->left < len ? watch->left : len;
  watch->left -= (uint32_t)taken;
  if (!watch->drops)
    *give = (nghttp2_vec){ (uint8_t *)data, taken }; /* nghttp2 does not write to it */
  return taken;
}

/* The frame's beginning is at `head`, `have` bytes of it. */
static void begin(struct h2_session *session, const uint8_t *head, size_t have)
{
  struct h2_watch *watch = &session->watch;
  struct frame frame = frame_at(head);
  watch->drops = (uint8_t)check(session, &frame);
  watch->left = frame.length + HEAD_BYTES - (uint32_t)have;
  watch->have = 0;
}

size_t h2_watch_take(struct h2_session *session, const uint8_t *data, size_t len, nghttp2_vec *give)
{
  struct h2_watch *watch = &session->watch;
  *give = (nghttp2_vec){ 0 };
  if (watch->preface > 0) {
    size_t taken = watch->preface < len ? watch->preface : len;
    watch->preface = (uint8_t)(watch->preface - taken);
    *give = (nghttp2_vec){ (uint8_t *)data, taken }; /* as above */
    return taken;
  }
  if (watch->left > 0)
    return take_rest(watch, data, len, give);
  if (watch->have == 0 && len >= WATCH_BYTES) {
    begin(session, data, 0);
    return take_rest(watch, data, len, give);
  }
  size_t want = wanted(watch->bytes, watch->have) - watch->have;
  size_t taken = want < len ? want : len;
  memcpy(watch->bytes + watch->have, data, taken);
  watch->have = (uint8_t)(watch->have + taken);
  if (watch->have < HEAD_BYTES || watch->have < wanted(watch->bytes, watch->have))
    return taken;
  size_t have = watch->have;
  begin(session, watch->bytes, have);
  if (!watch->drops)
    *give = (nghttp2_vec){ watch->bytes, have };
  return taken;
}
