/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/err.h"
#include "http/h1/writer.h"

enum {
  END_MS = 1000 /* to hear what the upstream has said before it stopped to read */
};

enum client_state {
  ACTIVE,
  IDLE,
  TUNNEL,
  CLOSING,
  STATE_COUNT
};

static const uint8_t moves[STATE_COUNT] = {
  [ACTIVE] = 1 << IDLE | 1 << TUNNEL | 1 << CLOSING,
  [IDLE] = 1 << ACTIVE | 1 << CLOSING,
  [TUNNEL] = 1 << CLOSING,
};

static struct h1_client *of_parser(struct h1_parser *parser)
{
  return (struct h1_client *)((char *)parser - offsetof(struct h1_client, conn.parser));
}

struct h1_client *h1_client_of(struct http_peer *peer)
{
  return (struct h1_client *)((char *)peer - offsetof(struct h1_client, conn.peer));
}

static void arm(struct h1_client *client, uint64_t in_ms)
{
  deadline_set(&client->conn.loop->deadlines, &client->deadline, in_ms);
}

/* While an exchange has it: the upstream is late when it does not take the request, or does not answer
 * a whole one although somebody reads. */
static void arm_active(struct h1_client *client)
{
  if (client->mute)
    arm(client, client->complete || client->paused ? 0 : END_MS);
  else if (stream_queued(client->conn.stream) > 0)
    arm(client, client->config.send_ms);
  else
    arm(client,
        client->sent && !client->complete && !client->paused ? client->config.response_ms : 0);
}

static void enter(struct h1_client *client, enum client_state to)
{
  CHECK(moves[client->state] & 1 << to);
  client->state = (uint8_t)to;
}

void h1_client_close(struct h1_client *client)
{
  if (client->state == CLOSING)
    return;
  if (client->state == IDLE)
    client->owner->on_leave(client);
  enter(client, CLOSING);
  stream_close(client->conn.stream);
}

static void fail(struct h1_client *client, int err)
{
  struct http_peer *peer = &client->conn.peer;
  if (peer->owner)
    peer->events->on_abort(peer, err);
  h1_client_close(client);
}

/* Nothing goes out any more. What has come before may be an answer that does not need the rest of the
 * request (RFC 9112 9.5); if not, its end tells. */
static int write_failed(struct h1_client *client, int err)
{
  if (client->state != ACTIVE || (err != UV_EPIPE && err != UV_ECONNRESET))
    return err;
  client->mute = 1;
  arm_active(client);
  return 0;
}

/* parser events */

static const struct http_message *on_begin(struct h1_parser *parser)
{
  struct h1_client *client = of_parser(parser);
  return client->conn.peer.events->on_begin(&client->conn.peer);
}

/* RFC 9110 6.4.1: no body behind HEAD, 1xx, 204 and 304, whatever the fields say. */
static int on_head(struct h1_parser *parser)
{
  struct h1_client *client = of_parser(parser);
  struct http_peer *peer = &client->conn.peer;
  struct head *head = parser->message->head;
  int bodiless =
      client->head_only || head->status < 200 || head->status == 204 || head->status == 304;
  if (bodiless)
    head->body_len = 0;
  if (head->status >= 200)
    client->keep = head->keep_alive;
  if (head->status == 101 && !head->upgrade)
    return ERR_UPSTREAM_PROTOCOL;
  peer->events->on_head(peer);
  if (client->state == CLOSING)
    return ERR_UPSTREAM_CLOSED;
  return bodiless && head->status >= 200 ? 1 : 0;
}

static int on_body(struct h1_parser *parser, const char *data, size_t len)
{
  struct h1_client *client = of_parser(parser);
  struct http_peer *peer = &client->conn.peer;
  if (peer->owner)
    peer->events->on_body(peer, data, len);
  return client->state == CLOSING ? ERR_UPSTREAM_CLOSED : 0;
}

static int on_complete(struct h1_parser *parser)
{
  struct h1_client *client = of_parser(parser);
  if (parser->message->head->status >= 200)
    client->complete = 1;
  return 0;
}

static const struct h1_parser_events parser_events = { on_begin, on_head, on_body, on_complete };

static void finish_response(struct h1_client *client)
{
  struct http_peer *peer = &client->conn.peer;
  arm(client, 0);
  if (peer->owner)
    peer->events->on_complete(peer);
}

static void feed(struct h1_client *client, char *data, size_t len)
{
  client->answered = 1;
  while (len > 0 && !client->complete && client->state == ACTIVE) {
    int64_t used = h1_parser_feed(&client->conn.parser, data, len);
    if (used < 0) {
      fail(client, (int)used);
      return;
    }
    data += used;
    len -= (size_t)used;
    if (client->conn.parser.complete)
      h1_parser_next(&client->conn.parser);
  }
  if (client->state == TUNNEL && len > 0)
    client->conn.peer.events->on_tunnel(&client->conn.peer, data, len);
  if (client->complete) {
    if (len > 0)
      client->keep = 0; /* bytes that nobody asked for */
    finish_response(client);
  } else if (client->conn.peer.owner && client->state == ACTIVE) {
    client->conn.peer.events->on_turn(&client->conn.peer);
  }
}

/* stream events */

static void on_data(struct stream *stream, char *data, size_t len)
{
  struct h1_client *client = stream->owner;
  struct http_peer *peer = &client->conn.peer;
  if (client->state == ACTIVE && !client->complete) {
    arm_active(client);
    feed(client, data, len);
  } else if (client->state == TUNNEL) {
    arm(client, client->config.tunnel_ms);
    peer->events->on_tunnel(peer, data, len);
  } else {
    client->keep = 0;
    if (client->state == IDLE)
      h1_client_close(client);
  }
}

static void on_end(struct stream *stream, int err)
{
  struct h1_client *client = stream->owner;
  struct http_peer *peer = &client->conn.peer;
  client->keep = 0;
  if (client->state == CLOSING) {
    stream_close(stream); /* a tunnel's last bytes cannot be written */
    return;
  }
  if (client->state == TUNNEL && err == 0) {
    peer->events->on_tunnel_end(peer);
    return;
  }
  if (client->state != ACTIVE) {
    fail(client, ERR_UPSTREAM_CLOSED); /* a tunnel has an owner */
    return;
  }
  if (client->complete)
    return;
  if (err < 0 && !stream->ended && !client->mute && write_failed(client, err) == 0)
    return;
  if (err == 0 && client->answered && h1_parser_end(&client->conn.parser) == 0 && client->complete)
    finish_response(client);
  else
    fail(client, ERR_UPSTREAM_CLOSED);
}

static void on_drained(struct stream *stream)
{
  struct h1_client *client = stream->owner;
  struct http_peer *peer = &client->conn.peer;
  if (client->state == ACTIVE)
    arm_active(client);
  if (peer->owner)
    peer->events->on_drained(peer);
}

static void on_closed(struct stream *stream)
{
  struct h1_client *client = stream->owner;
  deadline_remove(&client->deadline);
  client->owner->on_gone(client);
  buf_fini(&client->conn.out);
  free(client);
}

/* Whoever makes a connection opens its stream. */
static const struct stream_events stream_events = { NULL, on_data, on_end, on_drained, on_closed };

static int overdue(const struct h1_client *client)
{
  if (client->mute)
    return ERR_UPSTREAM_CLOSED;
  return client->state == ACTIVE && stream_queued(client->conn.stream) > 0
             ? ERR_UPSTREAM_SEND_TIMEOUT
             : ERR_UPSTREAM_TIMEOUT;
}

static void on_deadline(struct deadline *deadline)
{
  struct h1_client *client = LIST_ENTRY(deadline, struct h1_client, deadline);
  if (client->state == IDLE)
    h1_client_close(client);
  else if (client->state == CLOSING)
    stream_close(client->conn.stream); /* the last bytes of a tunnel do not get out */
  else
    fail(client, overdue(client));
}

/* http_ops */

static int send_head(struct http_peer *peer, const struct head *head, const struct buf *arena,
                     int more)
{
  struct h1_client *client = h1_client_of(peer);
  client->head_only = (uint8_t)head_is_of_head(head, arena);
  client->conn.out_chunked = (uint8_t)(more && head->body_len < 0);
  client->conn.out_none = (uint8_t)!more;
  loop_lend(client->conn.loop, &client->conn.out);
  return h1_write_request(&client->conn.out, head, arena, more);
}

static int send_body(struct http_peer *peer, const char *data, size_t len)
{
  struct h1_client *client = h1_client_of(peer);
  int err = client->mute ? 0 : h1_conn_body(&client->conn, data, len);
  return err < 0 ? write_failed(client, err) : err;
}

static int send_end(struct http_peer *peer, const struct head *trailers, const struct buf *arena)
{
  struct h1_client *client = h1_client_of(peer);
  client->sent = 1;
  return client->mute ? 0 : h1_conn_end(&client->conn, trailers, arena);
}

static int flush(struct http_peer *peer)
{
  struct h1_client *client = h1_client_of(peer);
  int err = client->mute ? 0 : h1_conn_flush(&client->conn);
  if (err < 0)
    return write_failed(client, err);
  arm_active(client);
  return 0;
}

static void read_response(struct http_peer *peer, int on)
{
  struct h1_client *client = h1_client_of(peer);
  client->paused = (uint8_t)!on;
  if (client->state == ACTIVE)
    arm_active(client);
  stream_read(client->conn.stream, on);
}

static size_t queued(const struct http_peer *peer)
{
  const struct h1_conn *conn = (const struct h1_conn *)peer;
  return stream_queued(conn->stream) + conn->out.len;
}

static int is_stale(const struct http_peer *peer)
{
  const struct h1_client *client = (const struct h1_client *)peer;
  return client->reused && !client->answered;
}

static void release(struct http_peer *peer, int reuse)
{
  struct h1_client *client = h1_client_of(peer);
  peer->owner = NULL;
  if (client->state == CLOSING)
    return;
  if (client->state != ACTIVE || !reuse || !client->keep || !client->complete || !client->sent ||
      client->mute || stream_queued(client->conn.stream) > 0) {
    h1_client_close(client);
    return;
  }
  enter(client, IDLE);
  arm(client, client->config.idle_ms);
  if (client->conn.out.data)
    loop_return(client->conn.loop, &client->conn.out);
  stream_read(client->conn.stream, 1);
  client->owner->on_idle(client);
}

static int tunnel(struct http_peer *peer, const char *data, size_t len)
{
  struct h1_client *client = h1_client_of(peer);
  if (client->state == ACTIVE)
    enter(client, TUNNEL);
  arm(client, client->config.tunnel_ms);
  uv_buf_t out = uv_buf_init((char *)data, (unsigned)len); /* libuv does not write to it */
  return len > 0 ? stream_write(client->conn.stream, &out, 1) : 0;
}

static void tunnel_end(struct http_peer *peer)
{
  struct h1_client *client = h1_client_of(peer);
  if (client->state == CLOSING)
    return;
  enter(client, CLOSING);
  arm(client, client->config.send_ms);
  stream_finish(client->conn.stream);
}

static const struct http_ops ops = {
  .send_head = send_head,
  .send_body = send_body,
  .send_end = send_end,
  .flush = flush,
  .read = read_response,
  .queued = queued,
  .is_stale = is_stale,
  .release = release,
  .tunnel = tunnel,
  .tunnel_end = tunnel_end,
};

int h1_client_start(struct h1_client **out, struct stream *stream, struct net_loop *loop,
                    const struct http_client_config *config, const struct h1_client_owner *owner,
                    const struct http_events *events, void *exchange)
{
  struct h1_client *client = calloc(1, sizeof(*client));
  if (!client)
    return UV_ENOMEM;
  client->config = *config;
  client->owner = owner;
  client->opened_ms = uv_now(loop->uv);
  client->served = 1;
  client->state = ACTIVE;
  client->conn.loop = loop;
  client->conn.stream = stream;
  client->conn.peer = (struct http_peer){ .ops = &ops, .events = events, .owner = exchange };
  list_init(&client->pool_node);
  h1_parser_init(&client->conn.parser, 1, &client->config.limits, &parser_events);
  deadline_add(&loop->deadlines, &client->deadline, on_deadline);
  stream->read_limit = config->read_bytes;
  stream_give(stream, &stream_events, client);
  stream_read(stream, 1);
  *out = client;
  return 0;
}

int h1_client_is_alive(const struct h1_client *client)
{
  char byte;
  uv_os_fd_t fd;
  if (uv_fileno(&client->conn.stream->handle, &fd) < 0)
    return 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK);
}

void h1_client_take(struct h1_client *client, const struct http_events *events, void *exchange,
                    const struct http_client_config *config)
{
  CHECK(client->state == IDLE);
  enter(client, ACTIVE);
  arm(client, 0);
  client->config = *config;
  client->conn.stream->read_limit = config->read_bytes;
  client->conn.parser.limits = &client->config.limits;
  client->conn.peer.events = events;
  client->conn.peer.owner = exchange;
  client->reused = 1;
  client->served++;
  client->answered = client->sent = client->complete = client->keep = client->paused = 0;
}
