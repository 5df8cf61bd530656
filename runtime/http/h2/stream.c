/* SPDX-License-Identifier: Apache-2.0 */
/* One stream of HTTP/2: its windows, its body both ways, what its exchange is told. */
#include <string.h>

#include "base/err.h"
#include "http/h2/session.h"

enum {
  DIRECT_BYTES = 4096,    /* from here on a body is written from where it is */
  FULL_BYTES = 16 * 1024, /* kept for the socket: the exchange hears of it when they have gone */
  KEEP_BYTES = 16 * 1024, /* of memory, by a stream that has sent all */
  WINDOW_BYTES_MAX = 1 << 20, /* for a body that is read as it comes */
};

/* Whether what the exchange says still goes out. */
static int is_alive(const struct h2_stream *stream)
{
  return stream->is_open && !stream->is_lost;
}

/* Whether the exchange hears of what comes. */
static int hears(const struct h2_stream *stream)
{
  return stream->peer.owner && !stream->is_lost && !stream->is_deaf;
}

void h2_stream_wait(struct h2_stream *stream, enum h2_wait wait, uint64_t ms)
{
  if (wait == stream->wait &&
      (wait == H2_WAIT_NONE || wait == H2_WAIT_HEAD || (wait == H2_WAIT_SEND && !stream->has_sent)))
    return;
  stream->wait = wait;
  deadline_set(&stream->session->loop->deadlines, &stream->deadline, ms);
}

void h2_stream_lose(struct h2_stream *stream, int err)
{
  if (!stream->is_lost && stream->peer.owner &&
      (stream->session->side->is_server || !h2_stream_is_whole(stream)))
    stream->err = err;
  stream->is_lost = 1;
  h2_stream_touch(stream);
}

void h2_stream_reset(struct h2_stream *stream, uint32_t code)
{
  struct h2_session *session = stream->session;
  stream->is_lost = 1;
  if (stream->is_open && nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, stream->id,
                                                   code) == NGHTTP2_ERR_NOMEM)
    session->err = ERR_NO_MEMORY;
  h2_session_wake(session);
}

/* in */

/* Lets the other side send more; this fails by memory alone, and then later. What a client's streams hold
 * counts against the window of its connection too, which bounds it. An upstream's connection carries the
 * answers of many clients: a slow one must not stop the others. */
static void give_back(const struct h2_stream *stream, size_t len)
{
  if (stream->session->side->is_server)
    (void)nghttp2_session_consume(stream->session->ng, stream->id, len);
  else
    (void)nghttp2_session_consume_stream(stream->session->ng, stream->id, len);
}

/* A stream that needs all of its window, without a stop, gets a larger one. */
static void consume(struct h2_stream *stream)
{
  nghttp2_session *ng = stream->session->ng;
  size_t len = stream->unread;
  stream->unread = 0;
  if (len == 0 || !stream->is_open)
    return;
  give_back(stream, len);
  stream->taken += (uint32_t)len;
  int32_t window = nghttp2_session_get_stream_effective_local_window_size(ng, stream->id);
  if (window <= 0 || stream->is_narrow || stream->taken < (uint32_t)window ||
      window >= WINDOW_BYTES_MAX || stream->in == H2_IN_DONE)
    return;
  stream->taken = 0;
  window = window < WINDOW_BYTES_MAX / 2 ? window * 2 : WINDOW_BYTES_MAX;
  (void)nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, stream->id, window);
}

void h2_stream_take(struct h2_stream *stream, const char *data, size_t len)
{
  struct http_peer *peer = &stream->peer;
  int wanted = hears(stream);
  stream->unread += len;
  if (!stream->session->side->is_server)
    (void)nghttp2_session_consume_connection(stream->session->ng, len); /* as above */
  if (wanted && (stream->tunnel == H2_TUNNEL_ASKED || stream->tunnel == H2_TUNNEL_GRANTED)) {
    if (buf_put(&stream->early, data, len) < 0)
      h2_stream_lose(stream, ERR_NO_MEMORY);
    return; /* the window bounds what is held back */
  }
  if (wanted && stream->tunnel == H2_TUNNEL_OPEN) {
    peer->events->on_tunnel(peer, data, len);
  } else if (wanted && stream->tunnel == H2_TUNNEL_NONE && stream->in == H2_IN_BODY) {
    stream->has_turn = 1;
    h2_stream_touch(stream);
    peer->events->on_body(peer, data, len);
  }
  if (!stream->paused || !wanted)
    consume(stream);
  stream->session->side->on_progress(stream);
}

void h2_stream_end_in(struct h2_stream *stream)
{
  struct http_peer *peer = &stream->peer;
  stream->in = H2_IN_DONE;
  stream->session->side->on_progress(stream);
  if (!hears(stream))
    return;
  if (stream->tunnel == H2_TUNNEL_NONE)
    peer->events->on_complete(peer);
  else if (stream->tunnel == H2_TUNNEL_OPEN)
    peer->events->on_tunnel_end(peer);
}

void h2_stream_read(struct http_peer *peer, int on)
{
  struct h2_stream *stream = h2_stream_of(peer);
  stream->paused = (uint8_t)!on;
  stream->session->side->on_progress(stream);
  if (!on)
    stream->taken = 0;
  if (!on || stream->unread == 0 || stream->early.len > 0)
    return;
  consume(stream);
  h2_session_wake(stream->session);
}

/* out */

/* A client's nghttp2 sends the body of its oldest stream, as long as there is some: the upload of one
 * client would hold up those of all others. So each has one frame in a round, and passes until all have
 * had theirs. */
static int must_pass(const struct h2_stream *stream)
{
  const struct h2_session *session = stream->session;
  return !session->side->is_server && session->count > 1 && stream->round == session->round;
}

/* Not while the window of the connection is shut: whose turn it is then would be forgotten. */
int h2_session_next_round(struct h2_session *session)
{
  if (list_empty(&session->passed) || nghttp2_session_get_remote_window_size(session->ng) <= 0)
    return 0;
  session->round++;
  while (!list_empty(&session->passed)) {
    struct h2_stream *stream = LIST_ENTRY(session->passed.prev, struct h2_stream, pass_node);
    list_remove(&stream->pass_node);
    if (nghttp2_session_resume_data(session->ng, stream->id) == NGHTTP2_ERR_NOMEM)
      session->err = ERR_NO_MEMORY;
  }
  return 1;
}

static nghttp2_ssize on_source(nghttp2_session *ng, int32_t id, uint8_t *into, size_t most,
                               uint32_t *flags, nghttp2_data_source *source, void *data)
{
  struct h2_stream *stream = source->ptr;
  size_t len = h2_stream_pending(stream);
  (void)into; /* the bytes are written from where they are */
  (void)data;
  if (len == 0 && stream->out_state < H2_OUT_LAST) {
    stream->waiting = 1;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (must_pass(stream)) {
    list_push(&stream->session->passed, &stream->pass_node);
    return NGHTTP2_ERR_DEFERRED;
  }
  stream->round = stream->session->round;
  *flags = NGHTTP2_DATA_FLAG_NO_COPY;
  if (len > most)
    return (nghttp2_ssize)most;
  if (stream->out_state < H2_OUT_LAST)
    return (nghttp2_ssize)len;
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (stream->trailers.count > 0) {
    struct h2_fields fields;
    h2_fields_trailers(&fields, &stream->trailers, &stream->text);
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(ng, id, fields.list, fields.count) != 0)
      return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  return (nghttp2_ssize)len;
}

nghttp2_data_provider2 h2_stream_source(struct h2_stream *stream)
{
  return (nghttp2_data_provider2){ .source = { .ptr = stream }, .read_callback = on_source };
}

static void resume(struct h2_stream *stream)
{
  struct h2_session *session = stream->session;
  if (stream->waiting && nghttp2_session_resume_data(session->ng, stream->id) == NGHTTP2_ERR_NOMEM)
    session->err = ERR_NO_MEMORY;
  stream->waiting = 0;
}

/* Large ones go out at once, without a copy, as far as windows and socket take them. */
static void send_now(struct h2_stream *stream, const char *data, size_t len)
{
  stream->lent = uv_buf_init((char *)data, (unsigned)len); /* nobody writes to it */
  resume(stream);
  h2_session_send(stream->session);
}

static int append(struct h2_stream *stream, const char *data, size_t len)
{
  struct h2_session *session = stream->session;
  int was_empty = h2_stream_pending(stream) == 0;
  if (was_empty || stream->out_at > KEEP_BYTES) {
    buf_drop(&stream->out, stream->out_at);
    stream->out_at = 0;
  }
  if (was_empty && len >= DIRECT_BYTES && !session->entered) {
    send_now(stream, data, len);
    data = stream->lent.base;
    len = stream->lent.len;
    stream->lent = uv_buf_init(NULL, 0);
    h2_session_wake(session);
  }
  int err = buf_put(&stream->out, data, len);
  if (err < 0 || len == 0)
    return err;
  resume(stream);
  if (h2_stream_pending(stream) > FULL_BYTES)
    stream->is_full = 1;
  if (was_empty)
    session->side->on_progress(stream);
  return 0;
}

int h2_stream_send_body(struct http_peer *peer, const char *data, size_t len)
{
  struct h2_stream *stream = h2_stream_of(peer);
  if (len == 0 || stream->out_state != H2_OUT_BODY || !is_alive(stream))
    return 0;
  return append(stream, data, len);
}

int h2_stream_keep(struct h2_stream *stream, const struct head *head, const struct buf *arena)
{
  for (uint32_t i = 0; i < head->count; i++) {
    const struct field *field = &head->fields[i];
    int err = head_add(&stream->trailers, &stream->text, span_text(arena, field->name),
                       field->name.len, span_text(arena, field->value), field->value.len);
    if (err < 0)
      return err;
  }
  return 0;
}

int h2_stream_send_end(struct http_peer *peer, const struct head *trailers, const struct buf *arena)
{
  struct h2_stream *stream = h2_stream_of(peer);
  if (stream->out_state != H2_OUT_BODY || !is_alive(stream))
    return 0;
  int err = trailers ? h2_stream_keep(stream, trailers, arena) : 0;
  if (err < 0)
    return err;
  stream->out_state = H2_OUT_LAST;
  resume(stream);
  h2_session_wake(stream->session);
  return 0;
}

int h2_stream_flush(struct http_peer *peer)
{
  struct h2_session *session = h2_stream_of(peer)->session;
  h2_session_wake(session);
  return session->err;
}

size_t h2_stream_queued(const struct http_peer *peer)
{
  return h2_stream_pending((const struct h2_stream *)peer);
}

int h2_stream_tunnel(struct http_peer *peer, const char *data, size_t len)
{
  struct h2_stream *stream = h2_stream_of(peer);
  if (!is_alive(stream))
    return UV_ENOTCONN;
  if (stream->tunnel == H2_TUNNEL_ASKED) {
    stream->tunnel = H2_TUNNEL_GRANTED;
    h2_stream_touch(stream);
  }
  stream->session->side->on_progress(stream);
  h2_session_wake(stream->session);
  return len > 0 && stream->out_state == H2_OUT_BODY ? append(stream, data, len) : 0;
}

void h2_stream_tunnel_end(struct http_peer *peer)
{
  (void)h2_stream_send_end(peer, NULL, NULL); /* without trailers nothing fails */
}

/* what was put down */

/* Bytes of a tunnel that came before it stood. */
static void tell_early(struct h2_stream *stream)
{
  struct http_peer *peer = &stream->peer;
  struct buf early = stream->early;
  stream->early = (struct buf){ 0 };
  stream->tunnel = H2_TUNNEL_OPEN;
  if (early.len > 0)
    peer->events->on_tunnel(peer, early.data, early.len);
  buf_fini(&early);
  if (!stream->paused)
    consume(stream);
  if (peer->owner && stream->in == H2_IN_DONE)
    peer->events->on_tunnel_end(peer);
}

static void note_sent(struct h2_stream *stream)
{
  struct http_peer *peer = &stream->peer;
  if (h2_stream_pending(stream) == 0) {
    stream->out.len = stream->out_at = 0;
    if (stream->out.cap > KEEP_BYTES)
      buf_fini(&stream->out);
  }
  stream->session->side->on_progress(stream);
  stream->has_sent = 0;
  if (stream->is_full && h2_stream_pending(stream) <= FULL_BYTES) {
    stream->is_full = 0;
    if (peer->owner)
      peer->events->on_drained(peer);
  }
}

void h2_stream_settle(struct h2_stream *stream)
{
  struct http_peer *peer = &stream->peer;
  if (stream->has_sent)
    note_sent(stream);
  if (stream->has_turn) {
    stream->has_turn = 0;
    if (hears(stream) && stream->in != H2_IN_DONE)
      peer->events->on_turn(peer);
  }
  if (hears(stream) && stream->tunnel == H2_TUNNEL_GRANTED)
    tell_early(stream);
  if (peer->owner && stream->err < 0) {
    int err = stream->err;
    stream->err = 0;
    peer->events->on_abort(peer, err);
  }
}

void h2_stream_leave(struct h2_stream *stream)
{
  stream->peer.owner = NULL;
  stream->message = NULL;
  stream->paused = 0;
  buf_fini(&stream->early);
  consume(stream);
  h2_stream_touch(stream);
  h2_session_wake(stream->session);
}
