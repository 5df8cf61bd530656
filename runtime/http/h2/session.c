/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "http/h2/gather.h"
#include "http/h2/receive.h"

enum {
  HEAD_SEND_BYTES = 128 * 1024, /* of a head that we send: more than any that we take */
  SETTINGS_ENTRIES = 32         /* of one SETTINGS frame */
};

/* set-up */

static void set_limits(nghttp2_option *option, const struct h2_limits *limits)
{
  uint32_t burst = limits->control_burst ? limits->control_burst : UINT32_MAX;
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_max_send_header_block_length(option, HEAD_SEND_BYTES);
  nghttp2_option_set_max_deflate_dynamic_table_size(option, limits->table_bytes);
  nghttp2_option_set_max_outbound_ack(option, burst); /* what an upstream does not read of ours */
  nghttp2_option_set_max_settings(option, SETTINGS_ENTRIES);
  nghttp2_option_set_max_continuations(option, limits->continuations);
  nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
  /* Frames that we do not see: empty DATA, PRIORITY, unknown ones, malformed heads. */
  nghttp2_option_set_glitch_rate_limit(option, burst, limits->control_rate);
  nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX,
                                             1); /* ours is the one that counts */
}

static int make(struct h2_session *session, const nghttp2_session_callbacks *callbacks)
{
  nghttp2_option *option;
  if (nghttp2_option_new(&option) != 0)
    return UV_ENOMEM;
  set_limits(option, session->limits);
  int code = session->side->is_server
                 ? nghttp2_session_server_new2(&session->ng, callbacks, session, option)
                 : nghttp2_session_client_new2(&session->ng, callbacks, session, option);
  nghttp2_option_del(option);
  return code == 0 ? 0 : UV_ENOMEM;
}

static int start(struct h2_session *session, const nghttp2_settings_entry *settings, size_t count)
{
  nghttp2_session_callbacks *callbacks;
  if (nghttp2_session_callbacks_new(&callbacks) != 0)
    return UV_ENOMEM;
  h2_receive_callbacks(callbacks);
  h2_gather_callbacks(callbacks);
  int err = make(session, callbacks);
  nghttp2_session_callbacks_del(callbacks);
  if (err < 0)
    return err;
  uint32_t window = session->limits->connection_window;
  if (nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, settings, count) == 0 &&
      (window <= NGHTTP2_INITIAL_CONNECTION_WINDOW_SIZE ||
       nghttp2_session_set_local_window_size(session->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)window) ==
           0))
    return 0;
  nghttp2_session_del(session->ng);
  session->ng = NULL;
  return UV_ENOMEM;
}

static void on_turn(struct turn *turn)
{
  h2_session_work(LIST_ENTRY(turn, struct h2_session, turn));
}

int h2_session_init(struct h2_session *session, const struct h2_side *side, struct stream *stream,
                    struct net_loop *loop, const struct h2_limits *limits,
                    const nghttp2_settings_entry *settings, size_t count)
{
  *session = (struct h2_session){
    .side = side, .limits = limits, .stream = stream, .loop = loop, .round = 1
  };
  list_init(&session->streams);
  list_init(&session->touched);
  list_init(&session->passed);
  turn_init(&session->turn, on_turn);
  h2_watch_init(&session->watch);
  return start(session, settings, count);
}

/* memory of streams */

static void free_stream(struct h2_stream *stream)
{
  list_remove(&stream->node);
  list_remove(&stream->touch_node);
  list_remove(&stream->pass_node);
  deadline_remove(&stream->deadline);
  buf_fini(&stream->out);
  buf_fini(&stream->text);
  buf_fini(&stream->early);
  head_fini(&stream->trailers);
  free(stream);
}

struct h2_stream *h2_stream_new(struct h2_session *session, int32_t id, size_t size)
{
  struct h2_stream *stream = calloc(1, size);
  if (!stream)
    return NULL;
  stream->session = session;
  stream->id = id;
  stream->is_open = id > 0;
  stream->peer.stream_id = (uint32_t)id;
  list_push(&session->streams, &stream->node);
  list_init(&stream->touch_node);
  list_init(&stream->pass_node);
  deadline_add(&session->loop->deadlines, &stream->deadline, session->side->on_deadline);
  session->count++;
  return stream;
}

void h2_session_fini(struct h2_session *session)
{
  turn_remove(&session->turn);
  while (!list_empty(&session->streams))
    free_stream(LIST_ENTRY(session->streams.next, struct h2_stream, node));
  buf_fini(&session->out);
  nghttp2_session_del(session->ng);
}

/* what was put down */

void h2_stream_touch(struct h2_stream *stream)
{
  if (list_empty(&stream->touch_node))
    list_push(&stream->session->touched, &stream->touch_node);
}

void h2_session_wake(struct h2_session *session)
{
  if (session->working)
    session->dirty = 1;
  else
    turn_add(&session->loop->turns, &session->turn);
}

static void settle(struct h2_session *session)
{
  while (!list_empty(&session->touched)) {
    struct h2_stream *stream = LIST_ENTRY(session->touched.prev, struct h2_stream, touch_node);
    list_remove(&stream->touch_node);
    h2_stream_settle(stream);
    if (!stream->is_open && !stream->peer.owner)
      free_stream(stream);
  }
}

void h2_session_work(struct h2_session *session)
{
  if (session->working)
    return;
  session->working = 1;
  do {
    session->dirty = 0;
    h2_session_send(session);
    settle(session);
  } while (session->dirty);
  session->working = 0;
  if (session->out.data)
    loop_return(session->loop, &session->out);
  session->side->on_settled(session);
}

/* in */

static void fail(struct h2_session *session, int code)
{
  switch (code) {
  case NGHTTP2_ERR_FLOODED:
    h2_session_calm(session, LIMIT_H2_CONTROL);
    break;
  case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
    h2_session_calm(session, LIMIT_H2_CONTINUATIONS);
    break;
  case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
    (void)nghttp2_session_terminate_session(session->ng, NGHTTP2_PROTOCOL_ERROR);
    break;
  default:
    session->err = code == NGHTTP2_ERR_NOMEM ? ERR_NO_MEMORY : ERR_STATE;
  }
  session->deaf = 1;
}

static void feed_bytes(struct h2_session *session, const uint8_t *data, size_t len)
{
  session->entered = 1;
  nghttp2_ssize used = nghttp2_session_mem_recv2(session->ng, data, len);
  session->entered = 0;
  if (used < 0)
    fail(session, (int)used);
}

/* A client's frames one by one, since what is checked may follow from the one before. */
static void feed_frames(struct h2_session *session, const uint8_t *data, size_t len)
{
  while (len > 0 && !session->deaf) {
    nghttp2_vec give;
    size_t taken = h2_watch_take(session, data, len, &give);
    if (give.len > 0)
      feed_bytes(session, give.base, give.len);
    data += taken;
    len -= taken;
  }
}

void h2_session_feed(struct h2_session *session, const char *data, size_t len)
{
  if (session->deaf)
    return;
  session->working = 1; /* what follows from it is sent at the end of the turn */
  if (session->side->is_server)
    feed_frames(session, (const uint8_t *)data, len);
  else
    feed_bytes(session, (const uint8_t *)data, len);
  settle(session);
  session->working = 0;
  h2_session_wake(session);
}

/* limits */

/* A stream that stalls does not end the connection; whatever else does is the last that is told. */
void h2_session_tell_limit(struct h2_session *session, enum limit limit)
{
  uint8_t *is_told = limit == LIMIT_SEND_TIME ? &session->is_slow : &session->is_over;
  if (*is_told || session->is_over)
    return;
  *is_told = 1;
  session->side->on_limit(session, limit);
}

void h2_session_terminate(struct h2_session *session, uint32_t code)
{
  if (nghttp2_session_terminate_session(session->ng, code) != 0)
    session->err = ERR_NO_MEMORY;
}

void h2_session_calm(struct h2_session *session, enum limit limit)
{
  h2_session_tell_limit(session, limit);
  h2_session_terminate(session, NGHTTP2_ENHANCE_YOUR_CALM);
}

void h2_session_count_control(struct h2_session *session)
{
  const struct h2_limits *limits = session->limits;
  if (session->credit > 0)
    session->credit--;
  else if (!bucket_take(&session->controls, limits->control_burst, limits->control_rate,
                        uv_now(session->loop->uv)))
    h2_session_calm(session, LIMIT_H2_CONTROL);
}

void h2_session_count_reset(struct h2_session *session)
{
  const struct h2_limits *limits = session->limits;
  if (!bucket_take(&session->resets, limits->reset_burst, limits->reset_rate,
                   uv_now(session->loop->uv)))
    h2_session_calm(session, LIMIT_H2_RESETS);
}
