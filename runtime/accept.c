/* SPDX-License-Identifier: Apache-2.0 */
#include "accept.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "net/cidr.h"
#include "net/proxy_protocol.h"
#include "tls/server.h"

/* ALPN (RFC 7301), until HTTP/2 is spoken. */
static const char *const protocols[] = { "http/1.1", NULL };

static void choose(void *data, const char *name, size_t length, struct tls_choice *choice)
{
  const struct worker *worker = data;
  const struct exchange_pin *pin = worker->exchanges.pin;
  if (pin)
    choice->certificate = mg_snapshot_certificate(pin->snapshot, name, (uint32_t)length);
}

int accept_init(struct worker *worker)
{
  int err = tls_context_open(&worker->tls_context, &worker->uv);
  if (err < 0)
    return err;
  const struct tls_server_settings settings = { .choose = choose,
                                                .data = worker,
                                                .alpn = protocols };
  return tls_server_new(&worker->tls, worker->tls_context, &settings);
}

static void set_origin(struct http_origin *origin, const struct sockaddr_storage *addr)
{
  address_text(addr, origin->ip, sizeof(origin->ip), &origin->port);
  origin->ip_len = (uint8_t)strlen(origin->ip);
}

/* What follows the PROXY header, if there is one. May end: server. */
static void start(struct worker *worker, struct h1_server *server, int kind)
{
  if (kind == LISTEN_TLS && tls_server_start(worker->tls, h1_server_stream(server)) < 0) {
    h1_server_close(server);
    return;
  }
  h1_server_start(server);
}

/* --- PROXY protocol: a filter that takes itself away behind the header --------- */

struct header_filter {
  struct worker *worker;
  struct h1_server *server;
  struct buf bytes;
  int kind;
};

static void take_header(struct header_filter *filter, const struct proxy_header *header)
{
  struct sockaddr_storage addr = { 0 };
  if (!header->has_addresses)
    return;
  memcpy(&addr, &header->source, sizeof(header->source));
  set_origin(h1_server_origin(filter->server), &addr);
}

static void free_header_filter(void *data)
{
  struct header_filter *filter = data;
  buf_fini(&filter->bytes);
  free(filter);
}

/* The bytes behind the header belong to whoever comes next. May end: server. */
static void pass_on(struct header_filter *filter, struct stream *stream, size_t used)
{
  struct buf rest = filter->bytes;
  struct h1_server *server = filter->server;
  filter->bytes = (struct buf){ 0 };
  stream->filter = NULL;
  stream->filter_data = NULL;
  start(filter->worker, server, filter->kind);
  free_header_filter(filter);
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
  struct header_filter *filter = stream->filter_data;
  struct proxy_header header;
  int used = buf_put(&filter->bytes, data, len);
  if (used == 0)
    used = proxy_protocol_parse(filter->bytes.data, filter->bytes.len, &header);
  if (used < 0) {
    log_warn("proxy_header_refused", "peer", h1_server_origin(filter->server)->ip, "error",
             err_text(used));
    h1_server_close(filter->server);
  } else if (used > 0) {
    take_header(filter, &header);
    pass_on(filter, stream, (size_t)used);
  }
}

static void on_raw_end(struct stream *stream, int err)
{
  const struct header_filter *filter = stream->filter_data;
  (void)err;
  h1_server_close(filter->server);
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

static const struct stream_filter header_filter = { .start = start_header,
                                                    .on_raw = on_raw,
                                                    .on_raw_end = on_raw_end,
                                                    .read = read_nothing,
                                                    .write = write_nothing,
                                                    .free = free_header_filter };

static int expect_header(struct worker *worker, struct h1_server *server, int kind)
{
  struct header_filter *filter = calloc(1, sizeof(*filter));
  if (!filter)
    return UV_ENOMEM;
  *filter = (struct header_filter){ .worker = worker, .server = server, .kind = kind };
  h1_server_arm(server);
  return stream_start_filter(h1_server_stream(server), &header_filter, filter);
}

/* --- accepting ---------------------------------------------------------------- */

void accept_connection(struct listener *listener)
{
  struct worker *worker = listener->data;
  struct h1_server *server;
  struct stats *counts = &worker->exchanges.stats.counts;
  int err = h1_server_open(&server, &worker->loop, &worker->server, &worker->plain, &listener->uv);
  if (err < 0) {
    stat_add(counts, STAT_REFUSED, 1);
    return;
  }
  stat_add(counts, STAT_ACCEPTED, 1);
  stat_set(counts, STAT_CONNECTIONS, ++worker->open);
  struct http_origin *origin = h1_server_origin(server);
  origin->local_port = listener->port;
  origin->tls = listener->kind == LISTEN_TLS;
  struct sockaddr_storage addr;
  int size = sizeof(addr);
  struct stream *stream = h1_server_stream(server);
  if (listener->handle.type == UV_TCP &&
      uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&addr, &size) == 0)
    set_origin(origin, &addr);
  if (!worker->vm.settings.proxy_protocol || listener->kind == LISTEN_ADMIN)
    start(worker, server, listener->kind);
  else if (expect_header(worker, server, listener->kind) < 0)
    h1_server_close(server);
}
