/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2/client.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "http/h2/request.h"

enum {
  END_MS = 1000,   /* to hear what the upstream has said before it closed */
  CLOSE_MS = 5000, /* for the last bytes to go out */
  /* Against an upstream out of its mind; the figures of a client would do as well. */
  CONTINUATIONS = 8,
  CONTROL_BURST = 1000,
  CONTROL_RATE = 1000,
  ACK_QUEUE = 1000
};

static const uint8_t moves[CLIENT_STATE_COUNT] = {
  [CLIENT_OPEN] = 1 << CLIENT_LEAVING | 1 << CLIENT_CLOSING,
  [CLIENT_LEAVING] = 1 << CLIENT_CLOSING,
  [CLIENT_CLOSING] = 1 << CLIENT_GONE,
};

static const uint8_t ping_data[8] = { 'a', 'l', 'i', 'v', 'e' };

static struct h2_client *of(struct h2_session *session)
{
  return (struct h2_client *)session;
}

static void enter(struct h2_client *client, enum client_state to)
{
  CHECK(moves[client->state] & 1 << to);
  int was_open = client->state == CLIENT_OPEN;
  client->state = to;
  if (was_open)
    client->owner->on_leave(client);
}

static void wait_for(struct h2_client *client, enum client_wait wait, uint64_t ms)
{
  client->wait = wait;
  deadline_set(&client->session.loop->deadlines, &client->deadline, ms);
}

static void arm(struct h2_client *client)
{
  if (client->session.count == 0) {
    if (client->wait != CLIENT_WAIT_IDLE)
      wait_for(client, CLIENT_WAIT_IDLE, client->settings.idle_ms);
  } else if (client->wait <= CLIENT_WAIT_IDLE) {
    wait_for(client, CLIENT_WAIT_SILENCE, client->settings.ping_ms);
  }
}

static void tell_use(struct h2_client *client)
{
  uint8_t is_idle = client->session.count == 0;
  if (is_idle == client->is_idle)
    return;
  client->is_idle = is_idle;
  client->owner->on_use(client, is_idle);
}

/* the end */

/* No request goes on. One whose answer is whole may not have been let go yet. */
static void abort_all(struct h2_client *client, int err)
{
  struct h2_session *session = &client->session;
  session->working = 1; /* nothing is freed meanwhile */
  for (struct list *node = session->streams.next; node != &session->streams; node = node->next) {
    struct h2_stream *stream = LIST_ENTRY(node, struct h2_stream, node);
    int told = stream->err < 0 ? stream->err : err;
    stream->is_lost = 1;
    stream->err = 0;
    h2_stream_wait(stream, H2_WAIT_NONE, 0);
    if (stream->peer.owner && !h2_stream_is_whole(stream))
      stream->peer.events->on_abort(&stream->peer, told);
  }
  session->working = 0;
}

static void close_client(struct h2_client *client, int err)
{
  enter(client, CLIENT_CLOSING);
  wait_for(client, CLIENT_WAIT_NONE, 0);
  client->is_lost = err == ERR_UPSTREAM_CLOSED;
  stream_close(client->session.stream);
  abort_all(client, err);
}

/* What is queued, GOAWAY last, still goes out. */
static void close_gently(struct h2_client *client)
{
  h2_session_send(&client->session);
  enter(client, CLIENT_CLOSING);
  wait_for(client, CLIENT_WAIT_END, CLOSE_MS);
  stream_finish(client->session.stream);
  abort_all(client, ERR_UPSTREAM_PROTOCOL);
}

/* The last request is over (RFC 9113 6.8). */
static void say_goodbye(struct h2_client *client)
{
  if (nghttp2_session_terminate_session(client->session.ng, NGHTTP2_NO_ERROR) != 0)
    close_client(client, ERR_NO_MEMORY);
  else
    close_gently(client);
}

void h2_client_leave(struct h2_client *client)
{
  if (client->state != CLIENT_OPEN)
    return;
  enter(client, CLIENT_LEAVING);
  h2_session_wake(&client->session);
}

void h2_client_close(struct h2_client *client)
{
  struct h2_session *session = &client->session;
  if (client->state >= CLIENT_CLOSING) {
    if (session->stream)
      stream_close(session->stream);
    return;
  }
  if (nghttp2_session_terminate_session(session->ng, NGHTTP2_NO_ERROR) == 0)
    h2_session_send(session); /* as far as the socket takes it */
  close_client(client, ERR_UPSTREAM_CLOSED);
}

/* Nothing goes out any more. Where a write has failed, what has come before may still tell which requests
 * the upstream has not seen. */
static void on_broken(struct h2_client *client)
{
  int err = client->session.err;
  if (err == ERR_STATE || err == ERR_NO_MEMORY) {
    close_client(client, err == ERR_STATE ? ERR_UPSTREAM_PROTOCOL : err);
  } else if (client->wait != CLIENT_WAIT_END) {
    h2_client_leave(client);
    wait_for(client, CLIENT_WAIT_END, END_MS);
  }
}

static void free_client(struct h2_client *client)
{
  client->owner->on_gone(client);
  h2_session_fini(&client->session);
  free(client);
}

/* what the session tells */

static void on_settled(struct h2_session *session)
{
  struct h2_client *client = of(session);
  if (client->state == CLIENT_GONE) {
    if (list_empty(&session->streams))
      free_client(client);
  } else if (client->state == CLIENT_CLOSING) {
    return;
  } else if (session->err < 0) {
    on_broken(client);
  } else if (client->state == CLIENT_LEAVING && session->count == 0) {
    say_goodbye(client);
  } else if (!nghttp2_session_want_read(session->ng) && !nghttp2_session_want_write(session->ng)) {
    close_gently(client); /* nghttp2 has found a fault in it */
  } else {
    arm(client);
    tell_use(client);
  }
}

static void on_settings(struct h2_client *client)
{
  struct h2_session *session = &client->session;
  client->is_told = 1;
  client->owner->on_room(client, nghttp2_session_get_remote_settings(
                                     session->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
  for (struct list *node = session->streams.next; node != &session->streams; node = node->next)
    h2_request_on_settings((struct h2_request *)LIST_ENTRY(node, struct h2_stream, node));
}

static void on_frame(struct h2_session *session, const nghttp2_frame *frame)
{
  if (frame->hd.type == NGHTTP2_GOAWAY)
    h2_client_leave(of(session));
  else if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
    on_settings(of(session));
}

static void on_limit(struct h2_session *session, enum limit limit)
{
  of(session)->owner->on_limit(of(session), limit);
}

static const struct h2_side side = {
  .err_gone = ERR_UPSTREAM_CLOSED,
  .err_invalid = ERR_UPSTREAM_PROTOCOL,
  .on_head = h2_request_on_head,
  .on_progress = h2_request_on_progress,
  .on_deadline = h2_request_on_deadline,
  .on_frame = on_frame,
  .on_limit = on_limit,
  .on_settled = on_settled,
};

/* stream events */

static void on_data(struct stream *stream, char *data, size_t len)
{
  struct h2_client *client = stream->owner;
  client->heard_ms = uv_now(client->session.loop->uv);
  if (client->wait == CLIENT_WAIT_PONG)
    wait_for(client, CLIENT_WAIT_SILENCE, client->settings.ping_ms);
  if (client->state < CLIENT_CLOSING)
    h2_session_feed(&client->session, data, len);
}

static void on_end(struct stream *stream, int err)
{
  struct h2_client *client = stream->owner;
  (void)err;
  if (client->state == CLIENT_CLOSING)
    stream_close(stream);
  else
    close_client(client, ERR_UPSTREAM_CLOSED);
}

static void on_drained(struct stream *stream)
{
  struct h2_client *client = stream->owner;
  if (client->state < CLIENT_CLOSING)
    h2_session_work(&client->session);
}

static void on_closed(struct stream *stream)
{
  struct h2_client *client = stream->owner;
  struct h2_session *session = &client->session;
  enter(client, CLIENT_GONE);
  deadline_remove(&client->deadline);
  session->stream = NULL;
  session->err = UV_ECANCELED;
  session->count = 0;
  for (struct list *node = session->streams.next; node != &session->streams; node = node->next) {
    struct h2_stream *each = LIST_ENTRY(node, struct h2_stream, node);
    each->is_open = 0;
    h2_stream_touch(each);
  }
  h2_session_work(session);
}

/* Whoever makes a connection opens its stream. */
static const struct stream_events stream_events = { NULL, on_data, on_end, on_drained, on_closed };

static void on_silence(struct h2_client *client)
{
  uint64_t quiet_ms = uv_now(client->session.loop->uv) - client->heard_ms;
  if (quiet_ms < client->settings.ping_ms) {
    wait_for(client, CLIENT_WAIT_SILENCE, client->settings.ping_ms - quiet_ms);
    return;
  }
  if (nghttp2_submit_ping(client->session.ng, NGHTTP2_FLAG_NONE, ping_data) != 0)
    client->session.err = ERR_NO_MEMORY;
  wait_for(client, CLIENT_WAIT_PONG, client->settings.ping_wait_ms);
  h2_session_wake(&client->session);
}

static void on_deadline(struct deadline *deadline)
{
  struct h2_client *client = LIST_ENTRY(deadline, struct h2_client, deadline);
  enum client_wait wait = client->wait;
  client->wait = CLIENT_WAIT_NONE;
  if (client->state == CLIENT_CLOSING)
    stream_close(client->session.stream);
  else if (wait == CLIENT_WAIT_IDLE)
    h2_client_leave(client);
  else if (wait == CLIENT_WAIT_SILENCE && client->session.count > 0)
    on_silence(client);
  else if (wait == CLIENT_WAIT_PONG || wait == CLIENT_WAIT_END)
    close_client(client, ERR_UPSTREAM_CLOSED);
}

/* for the pool */

static int init_session(struct h2_client *client, struct stream *stream, struct net_loop *loop)
{
  const nghttp2_settings_entry settings[] = {
    { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
    { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, client->settings.stream_window },
    { NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, client->settings.table_bytes },
  };
  client->limits = (struct h2_limits){ .connection_window = client->settings.connection_window,
                                       .table_bytes = client->settings.table_bytes,
                                       .continuations = CONTINUATIONS,
                                       .control_burst = CONTROL_BURST,
                                       .control_rate = CONTROL_RATE };
  return h2_session_init(&client->session, &side, stream, loop, &client->limits, settings,
                         sizeof(settings) / sizeof(settings[0]));
}

int h2_client_start(struct h2_client **out, struct stream *stream, struct net_loop *loop,
                    const struct h2_client_settings *settings, const struct h2_client_owner *owner,
                    void *data)
{
  struct h2_client *client = calloc(1, sizeof(*client));
  if (!client)
    return UV_ENOMEM;
  client->settings = *settings;
  client->owner = owner;
  client->data = data;
  client->opened_ms = client->heard_ms = uv_now(loop->uv);
  int err = init_session(client, stream, loop);
  if (err < 0) {
    free(client);
    return err;
  }
  deadline_add(&loop->deadlines, &client->deadline, on_deadline);
  stream_give(stream, &stream_events, client);
  stream_read(stream, 1);
  h2_session_wake(&client->session);
  *out = client;
  return 0;
}

void *h2_client_data(const struct h2_client *client)
{
  return client->data;
}

uint32_t h2_client_served(const struct h2_client *client)
{
  return client->served;
}

uint64_t h2_client_opened_ms(const struct h2_client *client)
{
  return client->opened_ms;
}

int h2_client_has_room(const struct h2_client *client)
{
  nghttp2_session *ng = client->session.ng;
  uint32_t streams =
      client->is_told
          ? nghttp2_session_get_remote_settings(ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
          : client->settings.streams;
  return client->state == CLIENT_OPEN && client->session.count < streams &&
         nghttp2_session_check_request_allowed(ng);
}

int h2_client_request(struct h2_client *client, const struct http_client_config *config,
                      const struct http_events *events, void *exchange, struct http_peer **out)
{
  struct h2_stream *stream = h2_stream_new(&client->session, 0, sizeof(struct h2_request));
  if (!stream)
    return ERR_NO_MEMORY;
  struct h2_request *request = (struct h2_request *)stream;
  request->config = *config;
  request->reused = client->has_answered;
  stream->limits = &request->config.limits;
  stream->is_narrow = config->read_bytes > 0;
  stream->peer.ops = &h2_request_ops;
  stream->peer.events = events;
  stream->peer.owner = exchange;
  client->served++;
  tell_use(client);
  *out = &stream->peer;
  return 0;
}
