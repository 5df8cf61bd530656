/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2/gather.h"

#include "base/err.h"

enum {
  GATHER_PARTS = 64,
  GATHER_BYTES = 128 * 1024, /* of one write */
  JOIN_BYTES = 4096,         /* up to here a copy is cheaper than one more part */
  FRAME_HEAD_BYTES = 9,
  FRAME_CREDIT =
      4, /* control frames that a frame of ours explains: WINDOW_UPDATE, and PING that measures */
  CREDIT_MAX = 4096
};

/* One write. A part without a base is the next bytes of session->out, which moves as it grows. */
struct gather {
  uv_buf_t parts[GATHER_PARTS];
  unsigned count;
  size_t bytes;
  int err;
  uint8_t stopped; /* it is full: there is more */
};

static void put_copy(struct h2_session *session, const void *data, size_t len)
{
  struct gather *gather = session->gather;
  loop_lend(session->loop, &session->out);
  if (buf_put(&session->out, data, len) < 0) {
    gather->err = ERR_NO_MEMORY;
    return;
  }
  if (gather->count == 0 || gather->parts[gather->count - 1].base)
    gather->parts[gather->count++] = uv_buf_init(NULL, 0);
  gather->parts[gather->count - 1].len += len;
  gather->bytes += len;
}

static void put(struct h2_session *session, char *data, size_t len)
{
  struct gather *gather = session->gather;
  if (len <= JOIN_BYTES) {
    if (len > 0)
      put_copy(session, data, len);
    return;
  }
  gather->parts[gather->count++] = uv_buf_init(data, (unsigned)len);
  gather->bytes += len;
}

/* A frame needs up to four more parts. */
static int is_full(const struct gather *gather)
{
  return gather->count + 4 > GATHER_PARTS || gather->bytes >= GATHER_BYTES;
}

/* A DATA frame: its head is nghttp2's, its body the stream's. */
static int on_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len,
                   nghttp2_data_source *source, void *data)
{
  struct h2_session *session = data;
  struct h2_stream *stream = source->ptr;
  (void)ng;
  (void)frame; /* never padded */
  put_copy(session, head, FRAME_HEAD_BYTES);
  size_t held = stream->out.len - stream->out_at;
  size_t first = held < len ? held : len;
  if (first > 0)
    put(session, stream->out.data + stream->out_at, first);
  stream->out_at += first;
  if (len > first) {
    put(session, stream->lent.base, len - first);
    stream->lent.base += len - first;
    stream->lent.len -= len - first;
  }
  stream->has_sent = 1;
  h2_stream_touch(stream);
  if (session->gather->err < 0)
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  session->gather->stopped = (uint8_t)is_full(session->gather);
  return session->gather->stopped ? NGHTTP2_ERR_PAUSE : 0;
}

/* The other side may have made us reset a stream: CVE-2025-8671, "MadeYouReset". */
static int is_their_fault(uint32_t code)
{
  return code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
         code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR;
}

static void note_end(struct h2_session *session, const nghttp2_frame *frame)
{
  struct h2_stream *stream = nghttp2_session_get_stream_user_data(session->ng, frame->hd.stream_id);
  if (!stream)
    return;
  stream->out_state = H2_OUT_DONE;
  stream->has_sent = 1;
  h2_stream_touch(stream);
  /* RFC 9113 8.1: an answer that does not need the rest of the request. */
  if (session->side->is_server && stream->in != H2_IN_DONE)
    (void)nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
}

static int on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *data)
{
  struct h2_session *session = data;
  (void)ng;
  switch (frame->hd.type) {
  case NGHTTP2_DATA:
  case NGHTTP2_HEADERS:
    if (session->credit < CREDIT_MAX)
      session->credit += FRAME_CREDIT;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
      note_end(session, frame);
    break;
  case NGHTTP2_RST_STREAM:
    h2_watch_reset(&session->watch, frame->hd.stream_id);
    if (is_their_fault(frame->rst_stream.error_code))
      h2_session_count_reset(session);
    break;
  case NGHTTP2_GOAWAY:
    if (frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM)
      h2_session_tell_limit(session, LIMIT_H2_CONTROL); /* one that nghttp2 keeps */
    if (session->side->on_farewell)
      session->side->on_farewell(session);
    break;
  default:
    break;
  }
  return 0;
}

static int on_not_sent(nghttp2_session *ng, const nghttp2_frame *frame, int code, void *data)
{
  const struct h2_session *session = data;
  int32_t id = frame->hd.stream_id;
  if (frame->hd.type != NGHTTP2_HEADERS || !session->side->is_server ||
      code == NGHTTP2_ERR_SESSION_CLOSING || !nghttp2_session_get_stream_user_data(ng, id))
    return 0;
  return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR) ==
                 NGHTTP2_ERR_NOMEM
             ? NGHTTP2_ERR_CALLBACK_FAILURE
             : 0;
}

void h2_gather_callbacks(nghttp2_session_callbacks *callbacks)
{
  nghttp2_session_callbacks_set_send_data_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
}

/* Until nghttp2 has no more, or enough for one write. */
static int pull(struct h2_session *session)
{
  struct gather *gather = session->gather;
  while (!gather->stopped) {
    const uint8_t *data;
    nghttp2_ssize len = nghttp2_session_mem_send2(session->ng, &data);
    if (len < 0)
      return len == NGHTTP2_ERR_NOMEM ? ERR_NO_MEMORY : ERR_STATE;
    if (len == 0) {
      if (!h2_session_next_round(session))
        return 0;
      continue;
    }
    put_copy(session, data, (size_t)len);
    if (gather->err < 0)
      return gather->err;
    gather->stopped = (uint8_t)is_full(gather);
  }
  return 0;
}

static int write_out(struct h2_session *session)
{
  struct gather *gather = session->gather;
  char *at = session->out.data;
  for (unsigned i = 0; i < gather->count; i++) {
    if (!gather->parts[i].base) {
      gather->parts[i].base = at;
      at += gather->parts[i].len;
    }
  }
  int err = gather->count > 0 ? stream_write(session->stream, gather->parts, gather->count) : 0;
  session->out.len = 0;
  return err;
}

void h2_session_send(struct h2_session *session)
{
  int more = 1;
  if (session->entered || session->gather)
    return;
  while (more && session->err == 0 && session->stream->state == STREAM_OPEN &&
         stream_queued(session->stream) == 0) {
    struct gather gather;
    gather.count = 0;
    gather.bytes = 0;
    gather.err = 0;
    gather.stopped = 0;
    session->gather = &gather;
    session->entered = 1;
    int err = pull(session);
    session->entered = 0;
    int written = write_out(session);
    session->gather = NULL;
    session->err = err < 0 ? err : written;
    more = gather.stopped;
  }
}
