/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "http/h1/writer.h"

enum {
  READ_BYTES = 128 * 1024 /* at once: what `pending` may come to */
};

enum server_state {
  IDLE,
  HEAD,
  BODY,
  ANSWERING,
  TUNNEL,
  LINGER,
  CLOSING,
  STATE_COUNT
};

struct h1_server {
  struct http_server base; /* first */
  struct h1_conn conn;
  struct buf pending; /* bytes behind the request being answered; one read at the most */
  size_t lingered;
  size_t unsent;    /* of the answer, when its deadline was set */
  uint32_t version; /* of the request being answered */
  uint32_t served;  /* requests, the present one too */
  enum server_state state;
  uint8_t feeding;
  uint8_t paused;    /* nobody reads the body for now */
  uint8_t keep;      /* the connection may serve another request */
  uint8_t head_only; /* the request is HEAD */
  uint8_t draining;
  uint8_t eof;
  uint8_t last; /* the client has said that it sends no more, RFC 9112 9.6 */
};

static const uint8_t moves[STATE_COUNT] = {
  [IDLE] = 1 << HEAD | 1 << LINGER | 1 << CLOSING,
  [HEAD] = 1 << BODY | 1 << LINGER | 1 << CLOSING,
  [BODY] = 1 << ANSWERING | 1 << LINGER | 1 << CLOSING,
  [ANSWERING] = 1 << IDLE | 1 << TUNNEL | 1 << LINGER | 1 << CLOSING,
  [TUNNEL] = 1 << LINGER | 1 << CLOSING,
  [LINGER] = 1 << CLOSING,
};

static struct h1_server *of(struct http_server *base)
{
  return (struct h1_server *)base;
}

static struct h1_server *of_parser(struct h1_parser *parser)
{
  return (struct h1_server *)((char *)parser - offsetof(struct h1_server, conn.parser));
}

static struct h1_server *of_peer(struct http_peer *peer)
{
  return (struct h1_server *)((char *)peer - offsetof(struct h1_server, conn.peer));
}

static uint64_t limit_of(const struct h1_server *server, enum server_state state)
{
  const struct http_server_timeouts *timeouts = &server->base.config->timeouts;
  switch (state) {
  case IDLE:
    return timeouts->keep_alive_ms;
  case HEAD:
    return timeouts->head_ms;
  case BODY:
    return timeouts->body_ms;
  case TUNNEL:
    return http_server_tunnel_ms(timeouts, &server->conn.peer);
  case LINGER:
    return HTTP_SERVER_LINGER_MS;
  default:
    return 0;
  }
}

/* An answer that does not get out is the client's fault; a body that nobody reads is not. */
static void arm(struct h1_server *server)
{
  int answers = server->state <= ANSWERING || server->state == LINGER;
  uint64_t limit_ms = limit_of(server, server->state);
  server->unsent = answers ? stream_unsent(server->conn.stream) : 0;
  if (server->unsent > 0)
    limit_ms = server->base.config->timeouts.send_ms;
  else if (server->state == BODY && server->paused)
    limit_ms = 0;
  deadline_set(&server->conn.loop->deadlines, &server->base.deadline, limit_ms);
}

static void enter(struct h1_server *server, enum server_state to)
{
  CHECK(moves[server->state] & 1 << to);
  server->state = to;
  arm(server);
}

static void close_now(struct h1_server *server)
{
  if (server->state == CLOSING)
    return;
  enter(server, CLOSING);
  stream_close(server->conn.stream);
}

static void close_gently(struct h1_server *server)
{
  if (server->state == LINGER || server->state == CLOSING)
    return;
  int last =
      server->eof || (server->last && server->state == ANSWERING && server->pending.len == 0);
  enter(server, LINGER);
  if (last)
    stream_finish(server->conn.stream);
  else
    stream_linger(server->conn.stream);
}

static void abort_exchange(struct h1_server *server, int err)
{
  if (server->conn.peer.owner)
    server->conn.peer.events->on_abort(&server->conn.peer, err);
}

/* parser events */

static const struct http_message *on_begin(struct h1_parser *parser)
{
  struct h1_server *server = of_parser(parser);
  enter(server, HEAD);
  return server->base.owner->events->on_begin(&server->conn.peer);
}

/* An exchange that is over takes its message with it, so nothing more may be parsed into that: of what
 * it did not read, the connection drops the rest. */
static int go_on(const struct h1_server *server)
{
  return server->conn.peer.owner ? 0 : ERR_CLIENT_GONE;
}

static int on_head(struct h1_parser *parser)
{
  struct h1_server *server = of_parser(parser);
  const struct head *head = parser->message->head;
  server->version = head->version;
  server->served++;
  server->keep = head->keep_alive && !http_server_is_spent(&server->base, server->served);
  server->last = !head->keep_alive && head->body_len == 0; /* some send a CRLF behind a body */
  server->head_only = (uint8_t)head_is_of_head(head, parser->message->arena);
  server->paused = 0;
  enter(server, BODY);
  server->conn.peer.events->on_head(&server->conn.peer);
  return go_on(server);
}

static int on_body(struct h1_parser *parser, const char *data, size_t len)
{
  struct h1_server *server = of_parser(parser);
  server->conn.peer.events->on_body(&server->conn.peer, data, len);
  return go_on(server);
}

static int on_complete(struct h1_parser *parser)
{
  struct h1_server *server = of_parser(parser);
  enter(server, ANSWERING);
  server->conn.peer.events->on_complete(&server->conn.peer);
  return 0;
}

static const struct h1_parser_events parser_events = { on_begin, on_head, on_body, on_complete };

/* What cannot be parsed is answered by the exchange when there is one, then the connection ends. */
static void refuse(struct h1_server *server, int err)
{
  server->keep = 0;
  if (server->state == IDLE || server->state == HEAD) {
    if (!server->conn.peer.owner && !server->base.owner->events->on_begin(&server->conn.peer)) {
      close_now(server);
      return;
    }
    if (server->state == IDLE)
      enter(server, HEAD);
    enter(server, BODY);
    server->version = 11;
  }
  abort_exchange(server, err);
}

/* Parses until the bytes, or the messages that may be read now, end. */
static void feed(struct h1_server *server, const char *data, size_t len)
{
  server->feeding = 1;
  while (len > 0 && server->state <= BODY) {
    int64_t used = h1_parser_feed(&server->conn.parser, data, len);
    if (used < 0) {
      if (server->state < LINGER)
        refuse(server, (int)used);
      len = 0;
      break;
    }
    data += used;
    len -= (size_t)used;
    if (server->conn.parser.complete)
      h1_parser_next(&server->conn.parser);
  }
  server->feeding = 0;
  if (server->state == BODY && server->conn.peer.owner)
    server->conn.peer.events->on_turn(&server->conn.peer);
  if (len > 0 && server->state == TUNNEL)
    server->conn.peer.events->on_tunnel(&server->conn.peer, data, len);
  else if (len > 0 && server->state == ANSWERING) {
    stream_read(server->conn.stream, 0);
    if (buf_put(&server->pending, data, len) < 0)
      close_now(server);
  }
}

static void feed_pending(struct h1_server *server)
{
  if (server->pending.len > 0) {
    struct buf bytes = server->pending;
    server->pending = (struct buf){ 0 };
    feed(server, bytes.data, bytes.len);
    buf_fini(&bytes);
  }
  if (server->state == IDLE && server->eof)
    close_gently(server);
  else if (server->state < BODY || (server->state == BODY && !server->paused))
    stream_read(server->conn.stream, 1);
}

static void take(struct h1_server *server, char *data, size_t len)
{
  if (server->state == LINGER) {
    server->lingered += len;
    if (server->lingered > HTTP_SERVER_LINGER_BYTES)
      close_now(server);
  } else if (server->state == TUNNEL) {
    arm(server);
    server->conn.peer.events->on_tunnel(&server->conn.peer, data, len);
  } else if (server->state == ANSWERING) {
    stream_read(server->conn.stream, 0);
    if (buf_put(&server->pending, data, len) < 0)
      close_now(server);
  } else {
    if (server->state == BODY)
      arm(server);
    feed(server, data, len);
  }
}

/* stream events */

static void on_data(struct stream *stream, char *data, size_t len)
{
  take(stream->owner, data, len);
}

/* A client that ends its side has left: a process that is gone looks no different, and its upstream is
 * not to work for nobody. */
static void on_end(struct stream *stream, int err)
{
  struct h1_server *server = stream->owner;
  server->eof = 1;
  server->keep = 0;
  if (server->state == TUNNEL && err == 0) {
    server->conn.peer.events->on_tunnel_end(&server->conn.peer);
  } else {
    if (server->state != IDLE && server->state != LINGER)
      abort_exchange(server, ERR_CLIENT_GONE);
    close_now(server);
  }
}

static void on_drained(struct stream *stream)
{
  struct h1_server *server = stream->owner;
  arm(server);
  if (server->conn.peer.owner)
    server->conn.peer.events->on_drained(&server->conn.peer);
}

static void on_closed(struct stream *stream)
{
  struct h1_server *server = stream->owner;
  abort_exchange(server, ERR_CLIENT_GONE);
  deadline_remove(&server->base.deadline);
  list_remove(&server->base.node);
  server->base.owner->on_gone(&server->base);
  buf_fini(&server->conn.out);
  buf_fini(&server->pending);
  free(server);
}

/* Whoever accepts a stream opens it. */
static const struct stream_events stream_events = { NULL, on_data, on_end, on_drained, on_closed };

static void on_deadline(struct deadline *deadline)
{
  struct h1_server *server = (struct h1_server *)LIST_ENTRY(deadline, struct http_server, deadline);
  if (stream_unsent(server->conn.stream) < server->unsent) {
    arm(server); /* slow, and yet it goes on */
  } else if (server->state == IDLE && server->unsent == 0) {
    close_gently(server);
  } else if ((server->state == HEAD || server->state == BODY) &&
             stream_queued(server->conn.stream) == 0) {
    server->keep = 0;
    refuse(server, ERR_REQUEST_TIMEOUT);
  } else {
    if (server->unsent > 0)
      server->base.owner->on_limit(&server->base, LIMIT_SEND_TIME);
    abort_exchange(server, ERR_CLIENT_GONE);
    close_now(server);
  }
}

/* http_ops */

static int flush(struct http_peer *peer)
{
  struct h1_server *server = of_peer(peer);
  int err = h1_conn_flush(&server->conn);
  if (err == 0 && stream_queued(server->conn.stream) > 0)
    arm(server);
  return err;
}

static int send_head(struct http_peer *peer, const struct head *head, const struct buf *arena,
                     int more)
{
  struct h1_server *server = of_peer(peer);
  struct h1_conn *conn = &server->conn;
  if (head->status < 200 && server->version < 11)
    return 0; /* RFC 9110 15.2: HTTP/1.0 knows no interim answers */
  if (head->status >= 200) {
    more = more && head->status != 204 && head->status != 304; /* RFC 9110 6.4.1 */
    conn->out_none = (uint8_t)(!more || server->head_only);
    conn->out_chunked = (uint8_t)(more && head->body_len < 0 && server->version >= 11);
    if (more && head->body_len < 0 && server->version < 11)
      server->keep = 0;
    if (server->state != ANSWERING || server->draining)
      server->keep = 0;
  }
  if (!more && server->head_only)
    more = -1;
  loop_lend(conn->loop, &conn->out);
  return h1_write_response(&conn->out, head, arena, more, server->keep, server->version);
}

static int send_body(struct http_peer *peer, const char *data, size_t len)
{
  return h1_conn_body(&of_peer(peer)->conn, data, len);
}

static int send_end(struct http_peer *peer, const struct head *trailers, const struct buf *arena)
{
  return h1_conn_end(&of_peer(peer)->conn, trailers, arena);
}

static void read_body(struct http_peer *peer, int on)
{
  struct h1_server *server = of_peer(peer);
  if (server->state != BODY && server->state != TUNNEL)
    return;
  stream_read(server->conn.stream, on);
  server->paused = (uint8_t)!on;
  if (server->state == BODY)
    arm(server);
}

static size_t queued(const struct http_peer *peer)
{
  const struct h1_conn *conn = (const struct h1_conn *)peer;
  return stream_queued(conn->stream) + conn->out.len;
}

static void release(struct http_peer *peer, int reuse)
{
  struct h1_server *server = of_peer(peer);
  peer->owner = NULL;
  if (server->state == CLOSING)
    return;
  if (!reuse) {
    enter(server, CLOSING);
    stream_reset(server->conn.stream);
    return;
  }
  if (h1_conn_flush(&server->conn) < 0) {
    close_now(server);
    return;
  }
  if (server->state != ANSWERING || !server->keep || server->draining) {
    close_gently(server);
    return;
  }
  if (server->conn.out.data)
    loop_return(server->conn.loop, &server->conn.out);
  enter(server, IDLE);
  if (!server->feeding)
    feed_pending(server);
}

static int tunnel(struct http_peer *peer, const char *data, size_t len)
{
  struct h1_server *server = of_peer(peer);
  if (server->state == ANSWERING) {
    enter(server, TUNNEL);
    int err = h1_conn_flush(&server->conn);
    if (err < 0)
      return err;
    stream_read(server->conn.stream, 1);
    if (server->pending.len > 0) {
      peer->events->on_tunnel(peer, server->pending.data, server->pending.len);
      buf_fini(&server->pending);
    }
  }
  arm(server);
  uv_buf_t out = uv_buf_init((char *)data, (unsigned)len); /* libuv does not write to it */
  return len > 0 ? stream_write(server->conn.stream, &out, 1) : 0;
}

static void tunnel_end(struct http_peer *peer)
{
  struct h1_server *server = of_peer(peer);
  if (server->state == TUNNEL)
    close_gently(server);
}

static const struct http_ops ops = {
  .send_head = send_head,
  .send_body = send_body,
  .send_end = send_end,
  .flush = flush,
  .read = read_body,
  .queued = queued,
  .release = release,
  .tunnel = tunnel,
  .tunnel_end = tunnel_end,
};

static void drain(struct http_server *base)
{
  struct h1_server *server = of(base);
  server->draining = 1;
  if (server->state == IDLE)
    close_gently(server);
}

static void close_base(struct http_server *base)
{
  close_now(of(base));
}

static const struct http_server_ops server_ops = { drain, close_base };

int h1_server_start(struct stream *stream, struct net_loop *loop,
                    const struct http_server_config *config, const struct http_server_owner *owner,
                    const struct http_origin *origin, char *data, size_t len)
{
  struct h1_server *server = calloc(1, sizeof(*server));
  if (!server)
    return UV_ENOMEM;
  server->base = (struct http_server){ .ops = &server_ops,
                                       .stream = stream,
                                       .loop = loop,
                                       .config = config,
                                       .owner = owner,
                                       .origin = *origin };
  server->conn.loop = loop;
  server->conn.stream = stream;
  server->conn.peer = (struct http_peer){
    .ops = &ops, .events = owner->events, .context = owner->data, .origin = &server->base.origin
  };
  h1_parser_init(&server->conn.parser, 0, &config->limits, &parser_events);
  deadline_add(&loop->deadlines, &server->base.deadline, on_deadline);
  deadline_set(&loop->deadlines, &server->base.deadline, config->timeouts.head_ms);
  list_push(owner->all, &server->base.node);
  stream->read_limit = READ_BYTES;
  stream_give(stream, &stream_events, server);
  stream_read(stream, 1);
  if (len > 0)
    take(server, data, len);
  return 0;
}
