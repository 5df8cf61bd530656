/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection until it is known what it speaks: the PROXY header, the TLS handshake, then
 * HTTP/1.1 or HTTP/2 by ALPN, or on a plain listener by the first bytes (RFC 9113 3.3). */
#include "accept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "bridge/socket.h"
#include "hello.h"
#include "http/h1/server.h"
#include "http/h2/server.h"
#include "net/cidr.h"
#include "net/proxy_protocol.h"
#include "passage.h"
#include "ports.h"
#include "secure.h"
#include "tls/facts.h"
#include "tls/server.h"

/* ALPN (RFC 7301), in the order of preference. */
static const char *const protocols[] = { "h2", "http/1.1", NULL };
static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum {
  PREFACE_BYTES = sizeof(PREFACE) - 1
};

struct arrival {
  struct http_server base; /* first */
  struct worker *worker;
  struct buf bytes;                /* the PROXY header, or the start of a preface */
  union proxy_address destination; /* of the PROXY header, or zeroes */
  int kind;                        /* LISTEN_x */
  enum limit waits_for;
  uint8_t closing;
};

int accept_init(struct worker *worker)
{
  return secure_open(worker, protocols);
}

void accept_limit(struct http_server *server, enum limit limit)
{
  struct worker *worker = LIST_ENTRY(server->owner, struct worker, owner);
  stats_limit(&worker->exchanges.stats.counts, limit);
  log_warn("limit_exceeded", "limit", limit_name(limit), "client", server->origin.ip);
}

static void close_arrival(struct http_server *base)
{
  struct arrival *arrival = (struct arrival *)base;
  if (arrival->closing)
    return;
  arrival->closing = 1;
  deadline_set(&base->loop->deadlines, &base->deadline, 0);
  stream_close(base->stream);
}

static const struct http_server_ops arrival_ops = { .drain = close_arrival,
                                                    .close = close_arrival };

static void free_arrival(struct arrival *arrival)
{
  hello_forget(arrival->worker, arrival->base.stream);
  list_remove(&arrival->base.node);
  deadline_remove(&arrival->base.deadline);
  buf_fini(&arrival->bytes);
  free(arrival);
}

void accept_leave(struct http_server *arrival)
{
  free_arrival((struct arrival *)arrival);
}

static void on_deadline(struct deadline *deadline)
{
  struct arrival *arrival = (struct arrival *)LIST_ENTRY(deadline, struct http_server, deadline);
  if (arrival->waits_for != LIMIT_NONE)
    accept_limit(&arrival->base, arrival->waits_for);
  close_arrival(&arrival->base);
}

/* `limit`: what to say when the time is over; LIMIT_NONE: an idle connection says nothing. */
static void wait_for(struct arrival *arrival, enum limit limit, uint64_t ms)
{
  arrival->waits_for = limit;
  deadline_set(&arrival->base.loop->deadlines, &arrival->base.deadline, ms);
}

/* Now it is known: a codec takes the stream over with what has come. May end: arrival. */
static void hand_over(struct arrival *arrival, int is_h2, char *data, size_t len)
{
  const struct http_server *base = &arrival->base;
  struct buf bytes = arrival->bytes;
  arrival->bytes = (struct buf){ 0 };
  list_remove(&arrival->base.node);
  int err = (is_h2 ? h2_server_start : h1_server_start)(base->stream, base->loop, base->config,
                                                        base->owner, &base->origin, data, len);
  if (err == 0) {
    free_arrival(arrival);
  } else {
    list_push(base->owner->all, &arrival->base.node);
    close_arrival(&arrival->base);
  }
  buf_fini(&bytes);
}

/* stream events */

/* May end: arrival. */
static void sniff(struct arrival *arrival, char *data, size_t len)
{
  struct buf *bytes = &arrival->bytes;
  if (bytes->len > 0) {
    if (buf_put(bytes, data, len) < 0) {
      close_arrival(&arrival->base);
      return;
    }
    data = bytes->data;
    len = bytes->len;
  }
  size_t compared = len < PREFACE_BYTES ? len : PREFACE_BYTES;
  if (memcmp(data, PREFACE, compared) != 0 || len >= PREFACE_BYTES)
    hand_over(arrival, compared == PREFACE_BYTES && memcmp(data, PREFACE, compared) == 0, data,
              len);
  else if (bytes->len == 0 && buf_put(bytes, data, len) < 0)
    close_arrival(&arrival->base);
  else
    arrival->waits_for = LIMIT_HEADER_TIME;
}

static void on_data(struct stream *stream, char *data, size_t len)
{
  struct arrival *arrival = stream->owner;
  if (!arrival->closing)
    sniff(arrival, data, len);
}

static void report_handshake(struct arrival *arrival)
{
  char text[160];
  tls_failure(arrival->base.stream, text, sizeof(text));
  log_info("tls_handshake_failed", "client", arrival->base.origin.ip, "error", text);
}

/* The handshake is over. */
static void on_open(struct stream *stream, int err)
{
  struct arrival *arrival = stream->owner;
  struct stats *counts = &arrival->worker->exchanges.stats.counts;
  if (arrival->closing)
    return;
  stat_add(counts, err < 0 ? STAT_TLS_FAILED : STAT_TLS_DONE, 1);
  if (err < 0) {
    report_handshake(arrival);
    close_arrival(&arrival->base);
    return;
  }
  const char *alpn = tls_alpn(stream);
  hand_over(arrival, alpn && strcmp(alpn, "h2") == 0, NULL, 0);
}

static void on_end(struct stream *stream, int err)
{
  struct arrival *arrival = stream->owner;
  (void)err;
  close_arrival(&arrival->base);
}

static void on_drained(struct stream *stream)
{
  (void)stream; /* TLS's own bytes */
}

static void on_closed(struct stream *stream)
{
  struct arrival *arrival = stream->owner;
  arrival->base.owner->on_gone(&arrival->base);
  free_arrival(arrival);
}

static const struct stream_events arrival_events = { on_open, on_data, on_end, on_drained,
                                                     on_closed };

static void set_origin(struct http_origin *origin, const struct sockaddr_storage *addr)
{
  address_text(addr, origin->ip, sizeof(origin->ip), &origin->port);
  origin->ip_len = (uint8_t)strlen(origin->ip);
}

/* What follows the PROXY header, if there is one. May end: arrival. */
static void start(struct arrival *arrival)
{
  struct worker *worker = arrival->worker;
  struct stream *stream = arrival->base.stream;
  if (arrival->kind == LISTEN_SERVICE) {
    const struct passage_plan plan = { .worker = worker, .destination = &arrival->destination };
    passage_start(&arrival->base, &plan, NULL, 0);
    return;
  }
  if (arrival->kind != LISTEN_TLS) {
    wait_for(arrival, LIMIT_NONE, worker->server.timeouts.head_ms);
    stream_read(stream, 1);
    return;
  }
  wait_for(arrival, LIMIT_HANDSHAKE_TIME, worker->vm.settings.tls_handshake_ms);
  if (tls_server_start(worker->tls, stream) < 0)
    close_arrival(&arrival->base);
}

/* --- PROXY protocol: a filter that takes itself away behind the header --------- */

static void take_header(struct arrival *arrival, const struct proxy_header *header)
{
  struct sockaddr_storage addr = { 0 };
  if (!header->has_addresses)
    return;
  memcpy(&addr, &header->source, sizeof(header->source));
  set_origin(&arrival->base.origin, &addr);
  arrival->destination = header->destination;
}

/* The bytes behind the header belong to whoever comes next. May end: arrival. */
static void pass_on(struct arrival *arrival, struct stream *stream, size_t used)
{
  struct buf rest = arrival->bytes;
  arrival->bytes = (struct buf){ 0 };
  stream->filter = NULL;
  stream->filter_data = NULL;
  start(arrival);
  if (rest.len > used && stream->state == STREAM_OPEN) {
    if (stream->filter)
      stream->filter->on_raw(stream, rest.data + used, rest.len - used);
    else
      stream->events->on_data(stream, rest.data + used, rest.len - used);
  }
  buf_fini(&rest);
}

static void on_raw(struct stream *stream, char *data, size_t len)
{
  struct arrival *arrival = stream->filter_data;
  struct proxy_header header;
  int used = buf_put(&arrival->bytes, data, len);
  if (used == 0)
    used = proxy_protocol_parse(arrival->bytes.data, arrival->bytes.len, &header);
  if (used < 0) {
    log_warn("proxy_header_refused", "peer", arrival->base.origin.ip, "error", err_text(used));
    close_arrival(&arrival->base);
  } else if (used > 0) {
    take_header(arrival, &header);
    pass_on(arrival, stream, (size_t)used);
  }
}

static void on_raw_end(struct stream *stream, int err)
{
  struct arrival *arrival = stream->filter_data;
  (void)err;
  close_arrival(&arrival->base);
}

static int start_header(struct stream *stream)
{
  stream_read_raw(stream, 1);
  return 0;
}

static void read_nothing(struct stream *stream, int on)
{
  (void)stream; /* the header is read whatever the codec wants */
  (void)on;
}

static int write_nothing(struct stream *stream, const uv_buf_t *bufs, unsigned count)
{
  (void)stream;
  (void)bufs;
  (void)count;
  return ERR_STATE;
}

static void free_nothing(void *data)
{
  (void)data; /* the arrival, which goes by itself */
}

static const struct stream_filter header_filter = { .start = start_header,
                                                    .on_raw = on_raw,
                                                    .on_raw_end = on_raw_end,
                                                    .read = read_nothing,
                                                    .write = write_nothing,
                                                    .free = free_nothing };

/* --- accepting ---------------------------------------------------------------- */

static int make(struct arrival **out, struct worker *worker, enum stream_kind stream_kind, int kind)
{
  struct arrival *arrival = calloc(1, sizeof(*arrival));
  if (!arrival)
    return UV_ENOMEM;
  struct net_loop *loop = &worker->loop;
  int err = stream_new(&arrival->base.stream, loop->uv, stream_kind, &arrival_events, arrival,
                       &loop->read_buf);
  if (err < 0) {
    free(arrival);
    return err;
  }
  arrival->worker = worker;
  arrival->kind = kind;
  arrival->base.ops = &arrival_ops;
  arrival->base.loop = loop;
  arrival->base.config = &worker->server;
  arrival->base.owner = &worker->owner;
  arrival->base.origin.stream = arrival->base.stream;
  arrival->base.origin.tls = kind == LISTEN_TLS;
  deadline_add(&loop->deadlines, &arrival->base.deadline, on_deadline);
  list_push(worker->owner.all, &arrival->base.node);
  stat_set(&worker->exchanges.stats.counts, STAT_CONNECTIONS, ++worker->open);
  *out = arrival;
  return 0;
}

static int expects_header(const struct arrival *arrival)
{
  const struct worker *worker = arrival->worker;
  if (arrival->kind != LISTEN_SERVICE)
    return worker->vm.settings.proxy_protocol && arrival->kind != LISTEN_ADMIN;
  return ports_expect_header(worker, arrival->base.origin.local_port);
}

static void begin(struct arrival *arrival)
{
  const struct worker *worker = arrival->worker;
  if (!expects_header(arrival)) {
    start(arrival);
    return;
  }
  wait_for(arrival, LIMIT_PROXY_TIME, worker->vm.settings.proxy_header_ms);
  (void)stream_start_filter(arrival->base.stream, &header_filter, arrival); /* cannot fail */
}

/* Beyond the limit a connection is closed as soon as it is there. */
static int is_full(struct arrival *arrival)
{
  struct worker *worker = arrival->worker;
  uint32_t most = worker->vm.settings.connections;
  if (most == 0 || worker->open <= most || arrival->kind == LISTEN_ADMIN)
    return 0;
  stat_add(&worker->exchanges.stats.counts, STAT_REFUSED, 1);
  accept_limit(&arrival->base, LIMIT_CONNECTIONS);
  return 1;
}

void accept_connection(struct listener *listener)
{
  struct worker *worker = listener->data;
  struct arrival *arrival;
  struct stats *counts = &worker->exchanges.stats.counts;
  int pipe = listener->handle.type == UV_NAMED_PIPE;
  if (make(&arrival, worker, pipe ? STREAM_PIPE : STREAM_TCP, listener->kind) < 0) {
    stat_add(counts, STAT_REFUSED, 1);
    return;
  }
  struct stream *stream = arrival->base.stream;
  struct http_origin *origin = &arrival->base.origin;
  origin->local_port = listener->port;
  struct sockaddr_storage addr;
  int size = sizeof(addr);
  if (stream_accept(stream, &listener->uv) < 0) {
    close_arrival(&arrival->base);
    return;
  }
  stat_add(counts, STAT_ACCEPTED, 1);
  if (!pipe && uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&addr, &size) == 0)
    set_origin(origin, &addr);
  if (is_full(arrival))
    close_arrival(&arrival->base);
  else
    begin(arrival);
}

int32_t mg_test_connect(struct mg_vm *vm, const char *ip, uint32_t length, int32_t secure,
                        struct mg_handle *handle)
{
  struct arrival *arrival;
  int fds[2];
  if (length >= sizeof(((struct http_origin *)0)->ip))
    return UV_EINVAL;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
    return uv_translate_sys_error(errno);
  int err = make(&arrival, vm->owner, STREAM_PIPE, LISTEN_PLAIN);
  if (err < 0) {
    close(fds[0]);
    close(fds[1]);
    return err;
  }
  struct http_origin *origin = &arrival->base.origin;
  memcpy(origin->ip, ip, length);
  origin->ip_len = (uint8_t)length;
  origin->tls = secure != 0;
  origin->port = 40000; /* a client's port as good as any */
  origin->local_port = secure ? 443 : 80;
  if (stream_open(arrival->base.stream, fds[0]) < 0)
    close_arrival(&arrival->base);
  else
    begin(arrival);
  return socket_adopt(vm, fds[1], handle);
}
