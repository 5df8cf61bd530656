/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1/server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "http/h1/writer.h"

enum {
  READ_BYTES = 128 * 1024, /* at once: what `pending` may come to */
  LINGER_MS = 5000,
  LINGER_BYTES = 1 << 20
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
  struct h1_conn conn;
  struct http_origin origin;
  struct list node; /* of owner->all */
  struct deadline deadline;
  const struct h1_server_config *config;
  const struct h1_server_owner *owner;
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
};

static const uint8_t moves[STATE_COUNT] = {
  [IDLE] = 1 << HEAD | 1 << LINGER | 1 << CLOSING,
  [HEAD] = 1 << BODY | 1 << LINGER | 1 << CLOSING,
  [BODY] = 1 << ANSWERING | 1 << LINGER | 1 << CLOSING,
  [ANSWERING] = 1 << IDLE | 1 << TUNNEL | 1 << LINGER | 1 << CLOSING,
  [TUNNEL] = 1 << LINGER | 1 << CLOSING,
  [LINGER] = 1 << CLOSING,
};

static struct h1_server *of_stream(struct stream *stream)
{
  return (struct h1_server *)((char *)stream - offsetof(struct h1_server, conn.stream));
}

static struct h1_server *of_parser(struct h1_parser *parser)
{
  return (struct h1_server *)((char *)parser - offsetof(struct h1_server, conn.parser));
}

struct h1_server *h1_server_of(struct http_peer *peer)
{
  return (struct h1_server *)((char *)peer - offsetof(struct h1_server, conn.peer));
}

struct stream *h1_server_stream(struct h1_server *server)
{
  return &server->conn.stream;
}

struct http_origin *h1_server_origin(struct h1_server *server)
{
  return &server->origin;
}

static uint64_t limit_of(const struct h1_server *server, enum server_state state)
{
  const struct h1_server_timeouts *timeouts = &server->config->timeouts;
  switch (state) {
  case IDLE:
    return timeouts->keep_alive_ms;
  case HEAD:
    return timeouts->head_ms;
  case BODY:
    return timeouts->body_ms;
  case TUNNEL:
    return timeouts->tunnel_ms;
  case LINGER:
    return LINGER_MS;
  default:
    return 0;
  }
}

/* An answer that does not get out is the client's fault; a body that nobody reads is not. */
static void arm(struct h1_server *server)
{
  int answers = server->state == BODY || server->state == ANSWERING;
  uint64_t limit_ms = limit_of(server, server->state);
  server->unsent = answers ? stream_unsent(&server->conn.stream) : 0;
  if (server->unsent > 0)
    limit_ms = server->config->timeouts.send_ms;
  else if (server->state == BODY && server->paused)
    limit_ms = 0;
  deadline_set(&server->conn.loop->deadlines, &server->deadline, limit_ms);
}

static void enter(struct h1_server *server, enum server_state to)
{
  CHECK(moves[server->state] & 1 << to);
  server->state = to;
  arm(server);
}

void h1_server_close(struct h1_server *server)
{
  if (server->state == CLOSING)
    return;
  enter(server, CLOSING);
  stream_close(&server->conn.stream);
}

static void close_gently(struct h1_server *server)
{
  if (server->state == LINGER || server->state == CLOSING)
    return;
  enter(server, LINGER);
  if (server->eof)
    stream_finish(&server->conn.stream);
  else
    stream_linger(&server->conn.stream);
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
  return server->owner->events->on_begin(&server->conn.peer);
}

/* An exchange that is over takes its message with it, so nothing more may be parsed into that: of what
 * it did not read, the connection drops the rest. */
static int go_on(const struct h1_server *server)
{
  return server->conn.peer.owner ? 0 : ERR_CLIENT_GONE;
}

/* Whether the connection has had all the requests that it may serve. */
static int is_spent(const struct h1_server *server)
{
  const struct h1_server_config *config = server->config;
  return config->timeouts.keep_alive_ms == 0 ||
         (config->requests > 0 && server->served >= config->requests);
}

static int on_head(struct h1_parser *parser)
{
  struct h1_server *server = of_parser(parser);
  const struct head *head = parser->message->head;
  server->version = head->version;
  server->served++;
  server->keep = head->keep_alive && !is_spent(server);
  server->head_only = head->method.len == 4 &&
                      memcmp(span_text(parser->message->arena, head->method), "HEAD", 4) == 0;
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
    if (!server->conn.peer.owner && !server->owner->events->on_begin(&server->conn.peer)) {
      h1_server_close(server);
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
    stream_read(&server->conn.stream, 0);
    if (buf_put(&server->pending, data, len) < 0)
      h1_server_close(server);
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
  else if (server->state <= BODY)
    stream_read(&server->conn.stream, 1);
}

void h1_server_feed(struct h1_server *server, char *data, size_t len)
{
  if (server->state == LINGER) {
    server->lingered += len;
    if (server->lingered > LINGER_BYTES)
      h1_server_close(server);
  } else if (server->state == TUNNEL) {
    arm(server);
    server->conn.peer.events->on_tunnel(&server->conn.peer, data, len);
  } else if (server->state == ANSWERING) {
    stream_read(&server->conn.stream, 0);
    if (buf_put(&server->pending, data, len) < 0)
      h1_server_close(server);
  } else {
    if (server->state == BODY)
      arm(server);
    feed(server, data, len);
  }
}

/* stream events */

static void on_open(struct stream *stream, int err)
{
  struct h1_server *server = of_stream(stream);
  if (err < 0)
    h1_server_close(server);
  else
    stream_read(stream, 1);
}

static void on_data(struct stream *stream, char *data, size_t len)
{
  h1_server_feed(of_stream(stream), data, len);
}

/* A client that ends its side has left: a process that is gone looks no different, and its upstream is
 * not to work for nobody. */
static void on_end(struct stream *stream, int err)
{
  struct h1_server *server = of_stream(stream);
  server->eof = 1;
  server->keep = 0;
  if (server->state == TUNNEL && err == 0) {
    server->conn.peer.events->on_tunnel_end(&server->conn.peer);
  } else {
    if (server->state != IDLE && server->state != LINGER)
      abort_exchange(server, ERR_CLIENT_GONE);
    h1_server_close(server);
  }
}

static void on_drained(struct stream *stream)
{
  struct h1_server *server = of_stream(stream);
  arm(server);
  if (server->conn.peer.owner)
    server->conn.peer.events->on_drained(&server->conn.peer);
}

static void on_closed(struct stream *stream)
{
  struct h1_server *server = of_stream(stream);
  abort_exchange(server, ERR_CLIENT_GONE);
  deadline_remove(&server->deadline);
  list_remove(&server->node);
  server->owner->on_gone(server);
  buf_fini(&server->conn.out);
  buf_fini(&server->pending);
  free(server);
}

static const struct stream_events stream_events = { on_open, on_data, on_end, on_drained,
                                                    on_closed };

static void on_deadline(struct deadline *deadline)
{
  struct h1_server *server = LIST_ENTRY(deadline, struct h1_server, deadline);
  if (server->state == IDLE) {
    close_gently(server);
  } else if (stream_unsent(&server->conn.stream) < server->unsent) {
    arm(server); /* slow, and yet it goes on */
  } else if ((server->state == HEAD || server->state == BODY) &&
             stream_queued(&server->conn.stream) == 0) {
    server->keep = 0;
    refuse(server, ERR_REQUEST_TIMEOUT);
  } else {
    abort_exchange(server, ERR_CLIENT_GONE);
    h1_server_close(server);
  }
}

/* http_ops */

static int flush(struct http_peer *peer)
{
  struct h1_server *server = h1_server_of(peer);
  int err = h1_conn_flush(&server->conn);
  if (err == 0 && stream_queued(&server->conn.stream) > 0)
    arm(server);
  return err;
}

static int send_head(struct http_peer *peer, const struct head *head, const struct buf *arena,
                     int more)
{
  struct h1_server *server = h1_server_of(peer);
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
  loop_lend(conn->loop, &conn->out);
  return h1_write_response(&conn->out, head, arena, more, server->keep, server->version);
}

static int send_body(struct http_peer *peer, const char *data, size_t len)
{
  return h1_conn_body(&h1_server_of(peer)->conn, data, len);
}

static int send_end(struct http_peer *peer, const struct head *trailers, const struct buf *arena)
{
  return h1_conn_end(&h1_server_of(peer)->conn, trailers, arena);
}

static void read_body(struct http_peer *peer, int on)
{
  struct h1_server *server = h1_server_of(peer);
  if (server->state != BODY && server->state != TUNNEL)
    return;
  stream_read(&server->conn.stream, on);
  server->paused = (uint8_t)!on;
  if (server->state == BODY)
    arm(server);
}

static size_t queued(const struct http_peer *peer)
{
  const struct h1_conn *conn = (const struct h1_conn *)peer;
  return stream_queued(&conn->stream) + conn->out.len;
}

static void release(struct http_peer *peer, int reuse)
{
  struct h1_server *server = h1_server_of(peer);
  peer->owner = NULL;
  if (server->state == CLOSING)
    return;
  if (!reuse) {
    enter(server, CLOSING);
    stream_reset(&server->conn.stream);
    return;
  }
  if (h1_conn_flush(&server->conn) < 0) {
    h1_server_close(server);
    return;
  }
  if (server->state != ANSWERING || !server->keep) {
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
  struct h1_server *server = h1_server_of(peer);
  if (server->state == ANSWERING) {
    enter(server, TUNNEL);
    int err = h1_conn_flush(&server->conn);
    if (err < 0)
      return err;
    stream_read(&server->conn.stream, 1);
    if (server->pending.len > 0) {
      peer->events->on_tunnel(peer, server->pending.data, server->pending.len);
      buf_fini(&server->pending);
    }
  }
  arm(server);
  uv_buf_t out = uv_buf_init((char *)data, (unsigned)len); /* libuv does not write to it */
  return len > 0 ? stream_write(&server->conn.stream, &out, 1) : 0;
}

static void tunnel_end(struct http_peer *peer)
{
  struct h1_server *server = h1_server_of(peer);
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

static int make(struct h1_server **out, struct net_loop *loop,
                const struct h1_server_config *config, const struct h1_server_owner *owner,
                int pipe)
{
  struct h1_server *server = calloc(1, sizeof(*server));
  if (!server)
    return UV_ENOMEM;
  server->config = config;
  server->owner = owner;
  server->conn.loop = loop;
  server->conn.peer = (struct http_peer){
    .ops = &ops, .events = owner->events, .context = owner->data, .origin = &server->origin
  };
  h1_parser_init(&server->conn.parser, 0, &config->limits, &parser_events);
  deadline_add(&loop->deadlines, &server->deadline, on_deadline);
  int err = pipe ? stream_init_pipe(&server->conn.stream, loop->uv, &stream_events, &loop->read_buf)
                 : stream_init(&server->conn.stream, loop->uv, &stream_events, &loop->read_buf);
  if (err < 0) {
    deadline_remove(&server->deadline);
    free(server);
    return err;
  }
  server->conn.stream.read_limit = READ_BYTES;
  list_push(owner->all, &server->node);
  *out = server; /* from here on the handle is libuv's: on_closed frees */
  return 0;
}

int h1_server_open(struct h1_server **out, struct net_loop *loop,
                   const struct h1_server_config *config, const struct h1_server_owner *owner,
                   uv_stream_t *listener)
{
  int err = make(out, loop, config, owner, listener->type == UV_NAMED_PIPE);
  if (err == 0 && stream_accept(&(*out)->conn.stream, listener) < 0)
    h1_server_close(*out);
  return err;
}

int h1_server_open_fd(struct h1_server **out, struct net_loop *loop,
                      const struct h1_server_config *config, const struct h1_server_owner *owner,
                      int fd)
{
  int err = make(out, loop, config, owner, 1);
  if (err < 0)
    close(fd);
  else if (stream_open(&(*out)->conn.stream, fd) < 0)
    h1_server_close(*out);
  return err;
}

void h1_server_arm(struct h1_server *server)
{
  deadline_set(&server->conn.loop->deadlines, &server->deadline, server->config->timeouts.head_ms);
}

void h1_server_start(struct h1_server *server)
{
  h1_server_arm(server);
  stream_read(&server->conn.stream, 1);
}

/* Closing takes effect later, from the loop: the ring stays as it is meanwhile. */
void h1_server_drain_all(struct list *all)
{
  for (struct list *node = all->next; node != all; node = node->next) {
    struct h1_server *server = LIST_ENTRY(node, struct h1_server, node);
    server->draining = 1;
    if (server->state == IDLE)
      close_gently(server);
  }
}

void h1_server_close_all(struct list *all)
{
  for (struct list *node = all->next; node != all; node = node->next)
    h1_server_close(LIST_ENTRY(node, struct h1_server, node));
}
