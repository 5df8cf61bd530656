/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "http/h2/session.h"

/* OPEN -> DRAINING -> LEAVING -> LINGER -> CLOSING; OPEN -> LEAVING; any -> LINGER, CLOSING
 * OPEN: takes requests. DRAINING: the client was told to stop, and requests that it has sent meanwhile
 * are waited for (RFC 9113 6.8). LEAVING: GOAWAY names the last request; answers go on. LINGER: all is
 * out, what the client still sends is dropped. CLOSING: waiting for libuv only. */
enum server_state {
  OPEN,
  DRAINING,
  LEAVING,
  LINGER,
  CLOSING,
  STATE_COUNT
};

static const uint8_t moves[STATE_COUNT] = {
  [OPEN] = 1 << DRAINING | 1 << LEAVING | 1 << LINGER | 1 << CLOSING,
  [DRAINING] = 1 << LEAVING | 1 << LINGER | 1 << CLOSING,
  [LEAVING] = 1 << LINGER | 1 << CLOSING,
  [LINGER] = 1 << CLOSING,
};

enum {
  DRAIN_MS = 1000, /* for the round trip that DRAINING waits for */
  LINGER_MS = 5000,
  LINGER_BYTES = 1 << 20
};

/* What the connection's own deadline is for. */
enum server_wait {
  WAIT_NONE,
  WAIT_REQUEST,
  WAIT_SEND,
  WAIT_PING,
  WAIT_LINGER
};

struct h2_server {
  struct http_server base; /* first */
  struct h2_session session;
  size_t unsent; /* when the deadline was set for WAIT_SEND */
  size_t lingered;
  uint32_t served;
  enum server_state state;
  enum server_wait wait;
};

static const uint8_t drain_ping[8] = { 'd', 'r', 'a', 'i', 'n' };

static struct h2_server *of(struct h2_session *session)
{
  return (struct h2_server *)((char *)session - offsetof(struct h2_server, session));
}

static void enter(struct h2_server *server, enum server_state to)
{
  CHECK(moves[server->state] & 1 << to);
  server->state = to;
}

static void wait_for(struct h2_server *server, enum server_wait wait, uint64_t ms)
{
  server->wait = wait;
  deadline_set(&server->base.loop->deadlines, &server->base.deadline, ms);
}

/* The deadline follows what is waited for; a PING alone does not put it off. */
static void arm(struct h2_server *server)
{
  const struct http_server_timeouts *timeouts = &server->base.config->timeouts;
  size_t unsent = stream_unsent(server->base.stream);
  if (server->state >= LINGER)
    return;
  if (unsent > 0) {
    if (server->wait != WAIT_SEND || unsent < server->unsent)
      wait_for(server, WAIT_SEND, timeouts->send_ms);
    server->unsent = unsent;
  } else if (server->state == DRAINING) {
    if (server->wait != WAIT_PING)
      wait_for(server, WAIT_PING, DRAIN_MS);
  } else if (server->session.count > 0) {
    wait_for(server, WAIT_NONE, 0);
  } else if (server->wait != WAIT_REQUEST) {
    wait_for(server, WAIT_REQUEST, server->served ? timeouts->keep_alive_ms : timeouts->head_ms);
  }
}

static void close_server(struct http_server *base)
{
  struct h2_server *server = (struct h2_server *)base;
  if (server->state == CLOSING)
    return;
  enter(server, CLOSING);
  wait_for(server, WAIT_NONE, 0);
  stream_close(base->stream);
}

/* No stream goes on; each exchange lets go at once. */
static void abort_all(struct h2_server *server)
{
  struct h2_session *session = &server->session;
  session->working = 1; /* nothing is freed meanwhile */
  for (struct list *node = session->streams.next; node != &session->streams; node = node->next) {
    struct h2_stream *stream = LIST_ENTRY(node, struct h2_stream, node);
    stream->is_lost = 1;
    if (stream->peer.owner)
      stream->peer.events->on_abort(&stream->peer, ERR_CLIENT_GONE);
  }
  session->working = 0;
}

/* While something of an answer is still to go out, the client's own pace counts. */
static void linger(struct h2_server *server)
{
  server->unsent = stream_unsent(server->base.stream);
  wait_for(server, WAIT_LINGER,
           server->unsent > 0 ? server->base.config->timeouts.send_ms : HTTP_SERVER_LINGER_MS);
}

static void close_gently(struct h2_server *server)
{
  enter(server, LINGER);
  linger(server);
  server->session.deaf = 1;
  abort_all(server);
  stream_linger(server->base.stream);
}

static void check_submit(struct h2_server *server, int code)
{
  if (code == NGHTTP2_ERR_NOMEM)
    server->session.err = ERR_NO_MEMORY;
}

/* GOAWAY: no request behind the last one that has come. */
static void leave(struct h2_server *server)
{
  nghttp2_session *ng = server->session.ng;
  enter(server, LEAVING);
  check_submit(server, nghttp2_submit_goaway(ng, NGHTTP2_FLAG_NONE,
                                             nghttp2_session_get_last_proc_stream_id(ng),
                                             NGHTTP2_NO_ERROR, NULL, 0));
  h2_session_wake(&server->session);
}

static void drain(struct http_server *base)
{
  struct h2_server *server = (struct h2_server *)base;
  if (server->state != OPEN)
    return;
  enter(server, DRAINING);
  check_submit(server, nghttp2_submit_shutdown_notice(server->session.ng));
  h2_session_wake(&server->session);
}

/* nghttp2 sends a PING before all else, and the answer to this one is to say that GOAWAY was read. */
static void on_farewell(struct h2_session *session)
{
  struct h2_server *server = of(session);
  if (server->state == DRAINING)
    check_submit(server, nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, drain_ping));
}

static const struct http_server_ops server_ops = { .drain = drain, .close = close_server };

/* a stream's deadline */

static void on_progress(struct h2_stream *stream)
{
  const struct http_server_timeouts *timeouts = &of(stream->session)->base.config->timeouts;
  int sends = h2_stream_pending(stream) > 0 || stream->out_state == H2_OUT_LAST;
  int reads = stream->in == H2_IN_BODY || stream->in == H2_IN_TRAILERS;
  if (!stream->is_open)
    h2_stream_wait(stream, H2_WAIT_NONE, 0);
  else if (sends)
    h2_stream_wait(stream, H2_WAIT_SEND, timeouts->send_ms);
  else if (stream->in == H2_IN_HEAD)
    h2_stream_wait(stream, H2_WAIT_HEAD, timeouts->head_ms);
  else if (stream->tunnel == H2_TUNNEL_OPEN)
    h2_stream_wait(stream, H2_WAIT_TUNNEL, http_server_tunnel_ms(timeouts, &stream->peer));
  else if (reads && stream->tunnel == H2_TUNNEL_NONE && !stream->paused && !stream->is_deaf)
    h2_stream_wait(stream, H2_WAIT_BODY, timeouts->body_ms);
  else
    h2_stream_wait(stream, H2_WAIT_NONE, 0);
}

/* What is wrong with the request is answered by its exchange; no more of it is read. */
static void refuse(struct h2_stream *stream, int err)
{
  stream->is_deaf = 1;
  if (stream->peer.owner)
    stream->peer.events->on_abort(&stream->peer, err);
  h2_stream_touch(stream);
}

static void on_stream_deadline(struct deadline *deadline)
{
  struct h2_stream *stream = LIST_ENTRY(deadline, struct h2_stream, deadline);
  struct h2_server *server = of(stream->session);
  enum h2_wait wait = stream->wait;
  stream->wait = H2_WAIT_NONE;
  if (wait == H2_WAIT_HEAD || wait == H2_WAIT_BODY) {
    refuse(stream, ERR_REQUEST_TIMEOUT);
    if (wait == H2_WAIT_HEAD) /* nothing else can come before the rest of the head */
      drain(&server->base);
  } else {
    if (wait == H2_WAIT_SEND)
      h2_session_tell_limit(stream->session, LIMIT_SEND_TIME);
    h2_stream_reset(stream, NGHTTP2_CANCEL);
    if (stream->peer.owner)
      stream->peer.events->on_abort(&stream->peer, ERR_CLIENT_GONE);
  }
  h2_session_wake(stream->session);
}

/* http_ops */

static int send_interim(struct h2_stream *stream, const struct h2_fields *fields)
{
  if (stream->out_state != H2_OUT_HEAD)
    return ERR_STATE;
  return nghttp2_submit_headers(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, NULL,
                                fields->list, fields->count, NULL) < 0
             ? ERR_NO_MEMORY
             : 0;
}

/* RFC 8441 5.1: 2xx grants the tunnel, so that only 101 may become one. */
static int settle_tunnel(struct h2_stream *stream, uint32_t status)
{
  if (status == 101)
    return stream->tunnel == H2_TUNNEL_ASKED ? 0 : ERR_STATE;
  if (stream->tunnel != H2_TUNNEL_ASKED || status < 200)
    return 0;
  stream->tunnel = H2_TUNNEL_REFUSED;
  buf_fini(&stream->early);
  return status < 300 ? ERR_UPSTREAM_PROTOCOL : 0;
}

static int send_head(struct http_peer *peer, const struct head *head, const struct buf *arena,
                     int more)
{
  struct h2_stream *stream = h2_stream_of(peer);
  struct h2_session *session = stream->session;
  struct h2_fields fields;
  if (!stream->is_open || stream->is_lost)
    return 0;
  int err = settle_tunnel(stream, head->status);
  if (err < 0)
    return err;
  int tunnel = head->status == 101;
  h2_fields_response(&fields, head, arena, more, tunnel);
  h2_session_wake(session);
  if (head->status < 200 && !tunnel)
    return send_interim(stream, &fields);
  if (head->status == 204 || head->status == 304 || stream->head_only)
    more = 0;
  more = more || tunnel;
  stream->out_state = more ? H2_OUT_BODY : H2_OUT_LAST;
  nghttp2_data_provider2 source = h2_stream_source(stream);
  return nghttp2_submit_response2(session->ng, stream->id, fields.list, fields.count,
                                  more ? &source : NULL) < 0
             ? ERR_NO_MEMORY
             : 0;
}

static void release(struct http_peer *peer, int reuse)
{
  struct h2_stream *stream = h2_stream_of(peer);
  int alive = stream->is_open && !stream->is_lost;
  if (alive && reuse && stream->tunnel >= H2_TUNNEL_GRANTED) {
    h2_stream_tunnel_end(peer);
  } else if (alive && (!reuse || stream->out_state < H2_OUT_LAST)) {
    h2_session_send(stream->session); /* what stands before the cut, as far as it can go */
    h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
  }
  h2_stream_leave(stream);
}

static const struct http_ops peer_ops = {
  .send_head = send_head,
  .send_body = h2_stream_send_body,
  .send_end = h2_stream_send_end,
  .flush = h2_stream_flush,
  .read = h2_stream_read,
  .queued = h2_stream_queued,
  .release = release,
  .tunnel = h2_stream_tunnel,
  .tunnel_end = h2_stream_tunnel_end,
};

/* what the session tells */

static struct h2_stream *on_open(struct h2_session *session, int32_t id)
{
  struct h2_server *server = of(session);
  struct h2_stream *stream = h2_stream_new(session, id, sizeof(struct h2_stream));
  if (!stream)
    return NULL;
  stream->peer.ops = &peer_ops;
  stream->peer.events = server->base.owner->events;
  stream->peer.context = server->base.owner->data;
  stream->peer.origin = &server->base.origin;
  stream->limits = &server->base.config->limits;
  on_progress(stream);
  return stream;
}

/* RFC 9218 10: one by one, in their order, is how answers go out that a client says nothing about. That
 * is for the parts of one page. Behind a gateway, a large answer would hold up all that were asked for
 * after it, so that these share; who wants them otherwise says so. */
static void share(struct h2_stream *stream, const struct http_message *message)
{
  nghttp2_session *ng = stream->session->ng;
  nghttp2_extpri priority = { .inc = 1 };
  if (head_find(message->head, message->arena, "priority", 8, 0) >= 0 ||
      nghttp2_session_get_extpri_stream_priority(ng, &priority, stream->id) != 0 || priority.inc ||
      priority.urgency != NGHTTP2_EXTPRI_DEFAULT_URGENCY)
    return;
  priority.inc = 1;
  if (nghttp2_session_change_extpri_stream_priority(ng, stream->id, &priority, 0) ==
      NGHTTP2_ERR_NOMEM)
    stream->session->err = ERR_NO_MEMORY;
}

static void on_head(struct h2_stream *stream, int ended)
{
  struct h2_server *server = of(stream->session);
  struct http_peer *peer = &stream->peer;
  const struct http_message *message = stream->message;
  server->served++;
  if (http_server_is_spent(&server->base, server->served))
    drain(&server->base);
  stream->in = H2_IN_BODY;
  on_progress(stream);
  if (!message || stream->is_lost || stream->is_deaf)
    return;
  struct head *head = message->head;
  int err = h2_head_request(&stream->head, message->arena, head, ended);
  if (err < 0) {
    refuse(stream, err);
    return;
  }
  share(stream, message);
  stream->head_only = (uint8_t)head_is_of_head(head, message->arena);
  stream->tunnel = head->upgrade ? H2_TUNNEL_ASKED : H2_TUNNEL_NONE;
  stream->has_turn = 1;
  h2_stream_touch(stream);
  peer->events->on_head(peer);
  if (stream->tunnel == H2_TUNNEL_ASKED && peer->owner)
    peer->events->on_complete(peer); /* the request is whole, its stream goes on */
}

static void on_frame(struct h2_session *session, const nghttp2_frame *frame)
{
  struct h2_server *server = of(session);
  if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK &&
      server->state == DRAINING &&
      memcmp(frame->ping.opaque_data, drain_ping, sizeof(drain_ping)) == 0)
    leave(server);
}

static void on_limit(struct h2_session *session, enum limit limit)
{
  struct h2_server *server = of(session);
  server->base.owner->on_limit(&server->base, limit);
}

static void on_settled(struct h2_session *session)
{
  struct h2_server *server = of(session);
  if (server->state >= LINGER)
    return;
  if (session->err < 0)
    close_server(&server->base);
  else if (!nghttp2_session_want_read(session->ng) && !nghttp2_session_want_write(session->ng))
    close_gently(server);
  else
    arm(server);
}

static const struct h2_side side = {
  .is_server = 1,
  .err_gone = ERR_CLIENT_GONE,
  .err_invalid = ERR_BAD_REQUEST,
  .on_open = on_open,
  .on_head = on_head,
  .on_progress = on_progress,
  .on_deadline = on_stream_deadline,
  .on_frame = on_frame,
  .on_limit = on_limit,
  .on_farewell = on_farewell,
  .on_settled = on_settled,
};

/* stream events */

static void on_ready(struct stream *stream, int err)
{
  (void)stream; /* it was open when it was taken over */
  (void)err;
}

static void on_data(struct stream *stream, char *data, size_t len)
{
  struct h2_server *server = stream->owner;
  if (server->state < LINGER) {
    h2_session_feed(&server->session, data, len);
    return;
  }
  server->lingered += len;
  if (server->lingered > HTTP_SERVER_LINGER_BYTES)
    close_server(&server->base);
}

/* A client that ends its side has left, as over HTTP/1.1. */
static void on_end(struct stream *stream, int err)
{
  struct h2_server *server = stream->owner;
  (void)err;
  close_server(&server->base);
}

static void on_drained(struct stream *stream)
{
  struct h2_server *server = stream->owner;
  if (server->state < LINGER)
    h2_session_work(&server->session);
}

static void on_closed(struct stream *stream)
{
  struct h2_server *server = stream->owner;
  abort_all(server);
  deadline_remove(&server->base.deadline);
  list_remove(&server->base.node);
  server->base.owner->on_gone(&server->base);
  h2_session_fini(&server->session);
  free(server);
}

static const struct stream_events stream_events = { on_ready, on_data, on_end, on_drained,
                                                    on_closed };

static void on_deadline(struct deadline *deadline)
{
  struct h2_server *server = (struct h2_server *)LIST_ENTRY(deadline, struct http_server, deadline);
  enum server_wait wait = server->wait;
  server->wait = WAIT_NONE;
  if (wait == WAIT_REQUEST || wait == WAIT_PING) {
    if (server->state < LEAVING)
      leave(server);
  } else if (wait == WAIT_SEND && stream_unsent(server->base.stream) < server->unsent) {
    arm(server); /* slow, and yet it goes on */
  } else if (wait == WAIT_LINGER && stream_unsent(server->base.stream) < server->unsent) {
    linger(server);
  } else {
    if (wait == WAIT_SEND || (wait == WAIT_LINGER && server->unsent > 0))
      h2_session_tell_limit(&server->session, LIMIT_SEND_TIME);
    close_server(&server->base);
  }
}

/* start */

static int init_session(struct h2_server *server)
{
  const struct http_server_config *config = server->base.config;
  const nghttp2_settings_entry settings[] = {
    { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, config->h2.streams },
    { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, config->h2.stream_window },
    { NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, config->h2.table_bytes },
    { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, config->limits.head_bytes },
    { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
    { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
  };
  return h2_session_init(&server->session, &side, server->base.stream, server->base.loop,
                         &config->h2, settings, sizeof(settings) / sizeof(settings[0]));
}

int h2_server_start(struct stream *stream, struct net_loop *loop,
                    const struct http_server_config *config, const struct http_server_owner *owner,
                    const struct http_origin *origin, char *data, size_t len)
{
  struct h2_server *server = calloc(1, sizeof(*server));
  if (!server)
    return UV_ENOMEM;
  server->base = (struct http_server){ .ops = &server_ops,
                                       .stream = stream,
                                       .loop = loop,
                                       .config = config,
                                       .owner = owner,
                                       .origin = *origin };
  int err = init_session(server);
  if (err < 0) {
    free(server);
    return err;
  }
  list_push(owner->all, &server->base.node);
  deadline_add(&loop->deadlines, &server->base.deadline, on_deadline);
  stream_give(stream, &stream_events, server);
  stream_read(stream, 1);
  if (len > 0)
    h2_session_feed(&server->session, data, len);
  h2_session_wake(&server->session);
  return 0;
}
