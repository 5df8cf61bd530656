/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2/request.h"

#include <string.h>

#include "base/err.h"

static struct h2_request *of(struct h2_stream *stream)
{
  return (struct h2_request *)stream;
}

/* While it stands, a deadline of the response runs only where the request is whole and somebody reads, as
 * over HTTP/1.1. */
void h2_request_on_progress(struct h2_stream *stream)
{
  const struct http_client_config *config = &of(stream)->config;
  int sends = h2_stream_pending(stream) > 0 || stream->out_state == H2_OUT_LAST;
  int asks = stream->out_state == H2_OUT_DONE || stream->tunnel == H2_TUNNEL_ASKED;
  if (stream->is_lost || !(stream->is_open || of(stream)->is_kept))
    h2_stream_wait(stream, H2_WAIT_NONE, 0);
  else if (sends || !stream->peer.owner)
    h2_stream_wait(stream, H2_WAIT_SEND, config->send_ms);
  else if (stream->tunnel > H2_TUNNEL_ASKED)
    h2_stream_wait(stream, H2_WAIT_TUNNEL, config->tunnel_ms);
  else if (asks && stream->in != H2_IN_DONE && !stream->paused)
    h2_stream_wait(stream, H2_WAIT_ANSWER, config->response_ms);
  else
    h2_stream_wait(stream, H2_WAIT_NONE, 0);
}

void h2_request_on_deadline(struct deadline *deadline)
{
  struct h2_stream *stream = LIST_ENTRY(deadline, struct h2_stream, deadline);
  int err = stream->wait == H2_WAIT_SEND ? ERR_UPSTREAM_SEND_TIMEOUT : ERR_UPSTREAM_TIMEOUT;
  stream->wait = H2_WAIT_NONE;
  if (stream->peer.owner && !h2_stream_is_whole(stream))
    stream->peer.events->on_abort(&stream->peer, err);
  else
    h2_stream_reset(stream, NGHTTP2_CANCEL);
}

/* out */

static int submit(struct h2_stream *stream, const struct h2_fields *fields, int more)
{
  struct h2_session *session = stream->session;
  nghttp2_data_provider2 source = h2_stream_source(stream);
  int32_t id = nghttp2_submit_request2(session->ng, NULL, fields->list, fields->count,
                                       more ? &source : NULL, stream);
  if (id < 0)
    return id == NGHTTP2_ERR_NOMEM ? ERR_NO_MEMORY : ERR_UPSTREAM_CLOSED;
  stream->id = id;
  stream->peer.stream_id = (uint32_t)id;
  stream->is_open = 1;
  stream->out_state = more ? H2_OUT_BODY : H2_OUT_LAST;
  if (!nghttp2_session_check_request_allowed(session->ng)) /* that was the last id */
    h2_client_leave(h2_client_of(stream));
  h2_session_wake(session);
  return 0;
}

static const char *scheme_of(const struct h2_stream *stream)
{
  return stream->session->stream->filter ? "https" : "http";
}

static int submit_websocket(struct h2_stream *stream, const struct head *head,
                            const struct buf *arena)
{
  nghttp2_session *ng = stream->session->ng;
  struct h2_fields fields;
  if (!nghttp2_session_get_remote_settings(ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL))
    return ERR_UPSTREAM_PROTOCOL;
  h2_fields_websocket(&fields, head, arena, scheme_of(stream));
  return submit(stream, &fields, 1);
}

/* RFC 8441 3: only the upstream's SETTINGS tell whether it knows such a request. */
static int keep(struct h2_request *request, const struct head *head, const struct buf *arena)
{
  struct h2_stream *stream = &request->stream;
  request->is_kept = 1;
  int err = h2_stream_keep(stream, head, arena);
  return err < 0 ? err
                 : text_put(&stream->text, span_text(arena, head->target), head->target.len,
                            &request->target);
}

void h2_request_on_settings(struct h2_request *request)
{
  struct h2_stream *stream = &request->stream;
  if (!request->is_kept)
    return;
  request->is_kept = 0;
  if (!stream->peer.owner)
    return;
  stream->trailers.target = request->target;
  int err = submit_websocket(stream, &stream->trailers, &stream->text);
  head_clear(&stream->trailers);
  stream->text.len = 0;
  if (err < 0)
    h2_stream_lose(stream, err);
  h2_request_on_progress(stream);
}

/* Another protocol than that is not to be had: the request goes without. */
static int is_websocket(const struct head *head, const struct buf *arena)
{
  int at = head->upgrade ? head_find_id(head, FIELD_UPGRADE, 0) : -1;
  if (at < 0)
    return 0;
  struct span value = head->fields[at].value;
  return head->method.len == 3 && memcmp(span_text(arena, head->method), "GET", 3) == 0 &&
         text_equal(span_text(arena, value), value.len, "websocket", 9);
}

static int send_websocket(struct h2_request *request, const struct head *head,
                          const struct buf *arena)
{
  struct h2_stream *stream = &request->stream;
  int at = head_find(head, arena, "sec-websocket-key", 17, 0);
  struct span key = at >= 0 ? head->fields[at].value : (struct span){ 0 };
  int err = websocket_accept(span_text(arena, key), key.len, request->accept);
  if (err < 0)
    return err;
  stream->tunnel = H2_TUNNEL_ASKED;
  if (h2_client_of(stream)->is_told)
    err = submit_websocket(stream, head, arena);
  else
    err = keep(request, head, arena);
  h2_request_on_progress(stream);
  return err;
}

static int send_head(struct http_peer *peer, const struct head *head, const struct buf *arena,
                     int more)
{
  struct h2_stream *stream = h2_stream_of(peer);
  struct h2_fields fields;
  if (stream->is_lost)
    return 0;
  if (is_websocket(head, arena))
    return send_websocket(of(stream), head, arena);
  stream->head_only = (uint8_t)head_is_of_head(head, arena);
  h2_fields_request(&fields, head, arena, scheme_of(stream), more);
  int err = submit(stream, &fields, more);
  h2_request_on_progress(stream);
  return err;
}

/* What asks for a tunnel does not end with its head. */
static int send_end(struct http_peer *peer, const struct head *trailers, const struct buf *arena)
{
  return of(h2_stream_of(peer))->accept[0] ? 0 : h2_stream_send_end(peer, trailers, arena);
}

/* What became of it is told by on_abort, once all is read that the upstream has said. */
static int flush(struct http_peer *peer)
{
  h2_session_wake(h2_stream_of(peer)->session);
  return 0;
}

/* in */

static int grant(struct h2_request *request, struct head *head, struct buf *arena)
{
  head->status = 101;
  head->upgrade = 1;
  head->body_len = 0;
  int err = head_add(head, arena, "Upgrade", 7, "websocket", 9);
  if (err == 0)
    err = head_add(head, arena, "Connection", 10, "Upgrade", 7);
  return err < 0 ? err
                 : head_set(head, arena, "Sec-WebSocket-Accept", 20, request->accept,
                            WEBSOCKET_ACCEPT_BYTES);
}

static int read_head(struct h2_request *request, int ended)
{
  struct h2_stream *stream = &request->stream;
  const struct http_message *message = stream->message;
  struct head *head = message->head;
  int err = h2_head_response(&stream->head, message->arena, head, ended);
  if (err == ERR_HEADERS_TOO_LARGE)
    return ERR_UPSTREAM_HEAD_TOO_LARGE;
  if (err < 0)
    return err == UV_ENOMEM ? err : ERR_UPSTREAM_PROTOCOL;
  if (head->status < 200)
    return 0;
  if (stream->head_only || head->status == 204 || head->status == 304)
    head->body_len = 0;
  stream->in = H2_IN_BODY;
  if (stream->tunnel != H2_TUNNEL_ASKED)
    return 0;
  if (head->status < 300)
    return grant(request, head, message->arena);
  stream->tunnel = H2_TUNNEL_NONE;
  if (head->body_len > 0) { /* nghttp2 holds no answer of a CONNECT against its length */
    head_remove_id(head, FIELD_CONTENT_LENGTH);
    head->body_len = -1;
  }
  return 0;
}

void h2_request_on_head(struct h2_stream *stream, int ended)
{
  struct h2_request *request = of(stream);
  struct http_peer *peer = &stream->peer;
  request->answered = 1;
  h2_client_of(stream)->has_answered = 1;
  if (!stream->message || stream->is_lost || stream->is_deaf)
    return;
  int err = read_head(request, ended);
  if (err < 0) {
    h2_stream_lose(stream, err);
    h2_stream_reset(stream, NGHTTP2_CANCEL);
    return;
  }
  stream->has_turn = 1;
  h2_stream_touch(stream);
  h2_request_on_progress(stream);
  peer->events->on_head(peer);
}

/* how it ends */

static int is_stale(const struct http_peer *peer)
{
  const struct h2_stream *stream = (const struct h2_stream *)peer;
  const struct h2_request *request = (const struct h2_request *)peer;
  if (request->answered) /* whatever it says now */
    return 0;
  if (stream->id == 0)
    return 2;
  if (!stream->is_open)
    return stream->code == NGHTTP2_REFUSED_STREAM ? 2 : 0;
  if (!nghttp2_session_find_stream(stream->session->ng, stream->id))
    return 2; /* nothing of it has gone out */
  return h2_client_of(stream)->is_lost && request->reused;
}

/* The last bytes of a tunnel still go out. An answer that does not need the rest of its request is whole
 * (RFC 9113 8.1). */
static void let_go(struct h2_stream *stream)
{
  int is_sent = stream->out_state >= H2_OUT_LAST;
  if (stream->tunnel >= H2_TUNNEL_GRANTED && (is_sent || stream->in == H2_IN_DONE))
    h2_stream_tunnel_end(&stream->peer);
  else if (stream->in != H2_IN_DONE || !is_sent || h2_stream_pending(stream) > 0)
    h2_stream_reset(stream, NGHTTP2_CANCEL);
}

static void release(struct http_peer *peer, int reuse)
{
  struct h2_stream *stream = h2_stream_of(peer);
  (void)reuse;
  if (stream->id == 0)
    stream->session->count--;
  else if (stream->is_open && !stream->is_lost)
    let_go(stream);
  h2_stream_leave(stream);
  h2_request_on_progress(stream);
}

const struct http_ops h2_request_ops = {
  .send_head = send_head,
  .send_body = h2_stream_send_body,
  .send_end = send_end,
  .flush = flush,
  .read = h2_stream_read,
  .queued = h2_stream_queued,
  .is_stale = is_stale,
  .release = release,
  .tunnel = h2_stream_tunnel,
  .tunnel_end = h2_stream_tunnel_end,
};
