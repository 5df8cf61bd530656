/* SPDX-License-Identifier: Apache-2.0 */
#include "passage.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "accept.h"
#include "base/err.h"
#include "base/log.h"
#include "net/cidr.h"
#include "ports.h"

enum {
  QUEUED_MOST = 256 * 1024, /* bytes that one side has not taken before the other is not read */
  STATUS_DONE = 200,
  STATUS_UNREACHABLE = 502
};

enum passage_state {
  PASSAGE_CONNECTING,
  PASSAGE_OPEN,
  PASSAGE_CLOSING
};

struct passage {
  struct http_server base; /* first; the client's side */
  struct worker *worker;
  struct stream *upstream;  /* of the present attempt; NULL: none was made */
  struct mg_choice *choice; /* among a service's endpoints, while CONNECTING */
  struct buf first;         /* bytes that wait for the connection */
  struct mg_place to;       /* of a service: the endpoint of the last attempt */
  uint64_t started_ms;
  uint64_t received; /* bytes of the client */
  uint64_t sent;
  uint16_t status;
  uint8_t state;
  uint8_t is_service;
  uint8_t open; /* streams that are not closed yet */
};

static struct stats *stats_of(const struct passage *passage)
{
  return &passage->worker->exchanges.stats.counts;
}

/* the end */

static void drop_choice(struct passage *passage)
{
  if (passage->choice)
    ports_choice_fini(passage->choice);
  free(passage->choice);
  passage->choice = NULL;
}

static void close_passage(struct http_server *base)
{
  struct passage *passage = (struct passage *)base;
  if (passage->state == PASSAGE_CLOSING)
    return;
  passage->state = PASSAGE_CLOSING;
  deadline_set(&base->loop->deadlines, &base->deadline, 0);
  stream_close(base->stream);
  if (passage->upstream)
    stream_close(passage->upstream);
}

/* It is a tunnel: it ends by itself, or with the time that is left for that. */
static void drain_passage(struct http_server *base)
{
  (void)base;
}

static const struct http_server_ops passage_ops = { .drain = drain_passage,
                                                    .close = close_passage };

static void write_line(const struct passage *passage)
{
  const struct http_origin *origin = &passage->base.origin;
  uint64_t passed_ms = uv_now(passage->base.loop->uv) - passage->started_ms;
  const struct access_session line = { .protocol = "TCP",
                                       .ip = origin->ip,
                                       .port = origin->port,
                                       .local_port = origin->local_port,
                                       .upstream_ip = passage->to.ip,
                                       .upstream_port = passage->to.port,
                                       .status = passage->status,
                                       .received = passage->received,
                                       .sent = passage->sent,
                                       .seconds = (double)passed_ms / 1000 };
  access_log_write_session(&passage->worker->stream_log, &line);
}

static void count_end(const struct passage *passage)
{
  struct stats *stats = stats_of(passage);
  stat_set(stats, STAT_STREAMS_TCP_OPEN, --passage->worker->tcp_streams);
  stat_add(stats, STAT_STREAMS_TCP_IN, passage->received);
  stat_add(stats, STAT_STREAMS_TCP_OUT, passage->sent);
  if (passage->status != STATUS_DONE)
    stat_add(stats, STAT_STREAMS_TCP_FAILED, 1);
}

static void free_passage(struct passage *passage)
{
  if (passage->is_service) {
    write_line(passage);
    count_end(passage);
  }
  passage->base.owner->on_gone(&passage->base);
  list_remove(&passage->base.node);
  deadline_remove(&passage->base.deadline);
  drop_choice(passage);
  buf_fini(&passage->first);
  free(passage);
}

/* No endpoint was reached. */
static void fail(struct passage *passage, int err)
{
  const struct http_origin *origin = &passage->base.origin;
  passage->status = STATUS_UNREACHABLE;
  if (passage->is_service)
    log_warn("stream_failed", "protocol", "tcp", "port", LOG_NUM(origin->local_port), "client",
             origin->ip, "endpoint", passage->to.ip, "error", err_text(err));
  else
    log_warn("passthrough_failed", "client", origin->ip, "error", err_text(err));
  close_passage(&passage->base);
}

/* bytes */

static struct stream *other(const struct passage *passage, const struct stream *stream)
{
  return stream == passage->upstream ? passage->base.stream : passage->upstream;
}

static void keep_alive(struct passage *passage)
{
  struct http_server *base = &passage->base;
  uint64_t ms = passage->is_service ? passage->worker->vm.settings.stream_ms
                                    : base->config->timeouts.tunnel_ms;
  deadline_set(&base->loop->deadlines, &base->deadline, ms);
}

static void forward(struct passage *passage, struct stream *from, char *data, size_t length)
{
  struct stream *to = other(passage, from);
  uv_buf_t bytes = uv_buf_init(data, (unsigned)length);
  if (stream_write(to, &bytes, 1) < 0) {
    close_passage(&passage->base);
    return;
  }
  if (stream_queued(to) > QUEUED_MOST)
    stream_read(from, 0);
}

static void on_data(struct stream *stream, char *data, size_t length)
{
  struct passage *passage = stream->owner;
  uint64_t *bytes = stream == passage->upstream ? &passage->sent : &passage->received;
  if (passage->state == PASSAGE_CLOSING)
    return;
  *bytes += length;
  if (passage->state == PASSAGE_OPEN) {
    keep_alive(passage);
    forward(passage, stream, data, length);
  } else if (buf_put(&passage->first, data, length) < 0) { /* they came with a PROXY header */
    close_passage(&passage->base);
  }
}

static void on_end(struct stream *stream, int err)
{
  struct passage *passage = stream->owner;
  struct stream *to = other(passage, stream);
  if (err < 0 || passage->state == PASSAGE_CONNECTING)
    close_passage(&passage->base);
  else if (passage->state == PASSAGE_OPEN)
    stream_linger(to); /* closes it when it has ended too, with all that was to go */
}

static void on_drained(struct stream *stream)
{
  struct passage *passage = stream->owner;
  if (passage->state != PASSAGE_OPEN)
    return;
  keep_alive(passage);
  stream_read(other(passage, stream), 1);
}

/* An attempt that failed is closed while the next one is under way. */
static void on_closed(struct stream *stream)
{
  struct passage *passage = stream->owner;
  if (stream == passage->base.stream || stream == passage->upstream)
    close_passage(&passage->base);
  if (--passage->open == 0)
    free_passage(passage);
}

/* the connection */

static void open_passage(struct passage *passage)
{
  struct stream *client = passage->base.stream;
  passage->state = PASSAGE_OPEN;
  passage->status = STATUS_DONE;
  drop_choice(passage);
  keep_alive(passage);
  stream_read(passage->upstream, 1);
  if (passage->first.len > 0)
    forward(passage, client, passage->first.data, passage->first.len);
  buf_fini(&passage->first);
  if (passage->state == PASSAGE_OPEN && stream_queued(passage->upstream) <= QUEUED_MOST)
    stream_read(client, 1);
}

static void attempt_next(struct passage *passage);

/* May end: the passage. */
static void attempt_failed(struct passage *passage, int err)
{
  struct stream *failed = passage->upstream;
  if (!passage->choice ||
      !ports_choose_again(passage->worker, passage->choice, passage->started_ms)) {
    fail(passage, err);
    return;
  }
  passage->upstream = NULL;
  stream_close(failed);
  attempt_next(passage);
}

static void on_connected(struct stream *stream, int err)
{
  struct passage *passage = stream->owner;
  if (passage->state != PASSAGE_CONNECTING || stream != passage->upstream)
    return;
  if (err < 0)
    attempt_failed(passage, err);
  else
    open_passage(passage);
}

static const struct stream_events events = { on_connected, on_data, on_end, on_drained, on_closed };

/* May end: the passage. */
static void attempt(struct passage *passage, const struct sockaddr_storage *to)
{
  struct http_server *base = &passage->base;
  struct net_loop *loop = base->loop;
  int err = stream_new(&passage->upstream, loop->uv, STREAM_TCP, &events, passage, &loop->read_buf);
  if (err < 0) {
    fail(passage, err);
    return;
  }
  passage->open++;
  uint64_t ms = passage->worker->vm.settings.stream_connect_ms;
  deadline_set(&base->loop->deadlines, &base->deadline, ms);
  err = stream_connect(passage->upstream, (const struct sockaddr *)to);
  if (err < 0)
    attempt_failed(passage, err);
}

static void attempt_next(struct passage *passage)
{
  struct sockaddr_storage to;
  int err = ports_choose(passage->worker, passage->choice, &to);
  passage->to = passage->choice->chosen;
  if (err < 0)
    fail(passage, err);
  else
    attempt(passage, &to);
}

static void on_deadline(struct deadline *deadline)
{
  struct http_server *base = LIST_ENTRY(deadline, struct http_server, deadline);
  struct passage *passage = (struct passage *)base;
  if (passage->state != PASSAGE_CONNECTING) {
    close_passage(base);
    return;
  }
  accept_limit(base, LIMIT_CONNECT_TIME);
  attempt_failed(passage, UV_ETIMEDOUT);
}

/* the start */

/* A PROXY header for the service: the client is who the one before us says it is. */
static int put_header(struct passage *passage, const union proxy_address *said)
{
  struct sockaddr_storage addr = { 0 };
  int size = sizeof(addr);
  char line[PROXY_PROTOCOL_LINE_BYTES];
  char ip[INET6_ADDRSTRLEN];
  const struct http_origin *origin = &passage->base.origin;
  struct proxy_end source = { origin->ip, origin->port };
  struct proxy_end destination = { ip, 0 };
  if (said->any.sa_family != AF_UNSPEC)
    memcpy(&addr, said, sizeof(*said));
  else if (uv_tcp_getsockname(&passage->base.stream->tcp, (struct sockaddr *)&addr, &size) < 0)
    addr.ss_family = AF_UNSPEC; /* it is gone already */
  address_text(&addr, ip, sizeof(ip), &destination.port);
  size_t length = proxy_protocol_write(source, destination, line);
  return buf_put(&passage->first, line, length);
}

/* Below 0: memory is short, or the port is not there any more. */
static int choose_service(struct passage *passage, const union proxy_address *destination)
{
  struct worker *worker = passage->worker;
  passage->choice = calloc(1, sizeof(*passage->choice));
  if (!passage->choice)
    return UV_ENOMEM;
  const struct snapshot_port *port =
      ports_choice_init(worker, passage->choice, SOCK_STREAM, passage->base.origin.local_port);
  if (!port)
    return ERR_NO_ENDPOINT;
  return port->proxy & SNAPSHOT_PROXY_OUT ? put_header(passage, destination) : 0;
}

static int make(struct passage **out, const struct http_server *arrival,
                const struct passage_plan *plan, const char *bytes, size_t length)
{
  struct passage *passage = calloc(1, sizeof(*passage));
  if (!passage)
    return UV_ENOMEM;
  passage->base = *arrival;
  passage->base.ops = &passage_ops;
  passage->worker = plan->worker;
  passage->is_service = plan->to == NULL;
  passage->started_ms = uv_now(arrival->loop->uv);
  passage->open = 1;
  int err = passage->is_service ? choose_service(passage, plan->destination) : 0;
  if (err == 0 && length > 0)
    err = buf_put(&passage->first, bytes, length);
  if (err < 0) {
    drop_choice(passage);
    buf_fini(&passage->first);
    free(passage);
    return err;
  }
  *out = passage;
  return 0;
}

void passage_start(struct http_server *arrival, const struct passage_plan *plan, const char *bytes,
                   size_t length)
{
  struct passage *passage;
  if (make(&passage, arrival, plan, bytes, length) < 0) {
    arrival->ops->close(arrival);
    return;
  }
  struct http_server *base = &passage->base;
  list_init(&base->node);
  accept_leave(arrival);
  list_push(base->owner->all, &base->node);
  deadline_add(&base->loop->deadlines, &base->deadline, on_deadline);
  stream_give(base->stream, &events, passage);
  stream_read(base->stream, 0);
  if (!passage->is_service) {
    attempt(passage, plan->to);
    return;
  }
  stat_add(stats_of(passage), STAT_STREAMS_TCP, 1);
  stat_set(stats_of(passage), STAT_STREAMS_TCP_OPEN, ++passage->worker->tcp_streams);
  attempt_next(passage);
}
