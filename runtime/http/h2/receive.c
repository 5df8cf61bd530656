/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2/receive.h"

#include "base/err.h"

static struct h2_stream *find(nghttp2_session *ng, int32_t id)
{
  return nghttp2_session_get_stream_user_data(ng, id);
}

static int is_ack(const nghttp2_frame_hd *head)
{
  return head->flags & NGHTTP2_FLAG_ACK;
}

/* Called for frames of closed streams as well, which on_frame is not told of. */
static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *head, void *data)
{
  struct h2_session *session = data;
  switch (head->type) {
  case NGHTTP2_RST_STREAM:
    if (session->side->is_server)
      h2_session_count_reset(session);
    break;
  case NGHTTP2_SETTINGS:
    if (!is_ack(head)) /* one that nobody waits for is an error */
      h2_session_count_control(session);
    break;
  case NGHTTP2_PING:
  case NGHTTP2_WINDOW_UPDATE:
    h2_session_count_control(session);
    break;
  case NGHTTP2_PUSH_PROMISE: /* no upstream may: it was told so (RFC 9113 8.4) */
    if (!session->side->is_server &&
        nghttp2_session_terminate_session(ng, NGHTTP2_PROTOCOL_ERROR) != 0)
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    break;
  default:
    break;
  }
  return 0;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *data)
{
  struct h2_session *session = data;
  if (frame->hd.type != NGHTTP2_HEADERS)
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  struct h2_stream *stream = find(ng, frame->hd.stream_id);
  if (!stream && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    stream = session->side->on_open(session, frame->hd.stream_id);
    if (!stream)
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    (void)nghttp2_session_set_stream_user_data(ng, stream->id, stream); /* it is there */
  }
  if (!stream)
    return 0;
  stream->head = (struct h2_head){ 0 };
  if (stream->in == H2_IN_BODY)
    stream->in = H2_IN_TRAILERS;
  else if (!stream->is_lost)
    stream->message = stream->peer.events->on_begin(&stream->peer);
  return stream->in == H2_IN_HEAD && !stream->is_lost && !stream->message
             ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
             : 0;
}

/* What a client's head is refused with; an upstream's is not valid then. */
static int fault_of(const struct h2_stream *stream, int err)
{
  const struct h2_side *side = stream->session->side;
  if (side->is_server || err == UV_ENOMEM)
    return err;
  return err == ERR_HEADERS_TOO_LARGE ? ERR_UPSTREAM_HEAD_TOO_LARGE : side->err_invalid;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *data)
{
  struct h2_stream *stream = find(ng, frame->hd.stream_id);
  (void)flags;
  (void)data;
  if (!stream || !stream->message)
    return 0;
  const struct http_message *message = stream->message;
  struct head *head = stream->in == H2_IN_TRAILERS ? message->trailers : message->head;
  int err = h2_head_field(&stream->head, stream->limits, message->arena, head,
                          nghttp2_rcbuf_get_buf(name), nghttp2_rcbuf_get_buf(value));
  if (err == 0)
    return 0;
  h2_stream_lose(stream, fault_of(stream, err));
  if (stream->session->side->is_server)
    h2_session_count_reset(stream->session);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* nghttp2 would drop such a field in silence; a message that is not valid is refused as a whole. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *data)
{
  const struct h2_session *session = data;
  struct h2_stream *stream = find(ng, frame->hd.stream_id);
  (void)name;
  (void)value;
  (void)flags;
  if (stream)
    h2_stream_lose(stream, session->side->err_invalid);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void on_headers(struct h2_stream *stream, int ended)
{
  struct h2_session *session = stream->session;
  if (stream->in == H2_IN_HEAD) {
    session->side->on_head(stream, ended);
  } else if (stream->head.err < 0) { /* of trailers */
    h2_stream_lose(stream, fault_of(stream, stream->head.err));
    h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
  }
  if (ended)
    h2_stream_end_in(stream);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *data)
{
  struct h2_session *session = data;
  struct h2_stream *stream = NULL;
  int ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
  switch (frame->hd.type) {
  case NGHTTP2_HEADERS:
    stream = find(ng, frame->hd.stream_id);
    if (stream)
      on_headers(stream, ended != 0);
    break;
  case NGHTTP2_DATA:
    stream = ended ? find(ng, frame->hd.stream_id) : NULL;
    if (stream)
      h2_stream_end_in(stream);
    break;
  default:
    session->side->on_frame(session, frame);
  }
  return 0;
}

static int on_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes,
                    size_t len, void *data)
{
  struct h2_stream *stream = find(ng, id);
  (void)flags;
  (void)data;
  if (stream)
    h2_stream_take(stream, (const char *)bytes, len);
  else
    (void)nghttp2_session_consume_connection(ng, len);
  return 0;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int code, void *data)
{
  struct h2_session *session = data;
  struct h2_stream *stream = frame->hd.stream_id ? find(ng, frame->hd.stream_id) : NULL;
  if (stream)
    h2_stream_lose(stream, session->side->err_invalid);
  else if (frame->hd.type == NGHTTP2_HEADERS && code == NGHTTP2_ERR_PROTO &&
           session->side->is_server && session->count >= session->limits->streams)
    h2_session_tell_limit(session, LIMIT_H2_STREAMS);
  return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *data)
{
  struct h2_session *session = data;
  struct h2_stream *stream = find(ng, id);
  if (!stream)
    return 0;
  stream->is_open = 0;
  stream->code = code;
  session->count--;
  if (stream->unread > 0 && session->side->is_server)
    (void)nghttp2_session_consume_connection(ng, stream->unread);
  stream->unread = 0;
  h2_stream_touch(stream);
  if (session->side->is_server ? stream->out_state != H2_OUT_DONE : !h2_stream_is_whole(stream))
    h2_stream_lose(stream, session->side->err_gone);
  return 0;
}

void h2_receive_callbacks(nghttp2_session_callbacks *callbacks)
{
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}
