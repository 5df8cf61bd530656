/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
  const struct stream *stream = handle->data;
  (void)suggested;
  *buf = *stream->read_buf;
  if (stream->read_limit > 0 && buf->len > stream->read_limit)
    buf->len = stream->read_limit;
}

static void tell_end(struct stream *stream, int err)
{
  if (stream->filter)
    stream->filter->on_raw_end(stream, err);
  else
    stream->events->on_end(stream, err);
}

/* Of a reset that comes along with the last bytes, libuv says that the stream has ended. */
static int end_of(const struct stream *stream, ssize_t len)
{
  int fd;
  int err = 0;
  socklen_t size = sizeof(err);
  if (len != UV_EOF)
    return (int)len;
  if (uv_fileno(&stream->handle, &fd) < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0)
    return 0; /* nothing says otherwise */
  return uv_translate_sys_error(err);
}

static void on_read(uv_stream_t *uv, ssize_t len, const uv_buf_t *buf)
{
  struct stream *stream = uv->data;
  if (len > 0) {
    if (stream->filter)
      stream->filter->on_raw(stream, buf->base, (size_t)len);
    else
      stream->events->on_data(stream, buf->base, (size_t)len);
  } else if (len < 0) {
    stream->ended = 1;
    stream_read_raw(stream, 0);
    tell_end(stream, end_of(stream, len));
  }
}

static void on_closed(uv_handle_t *handle)
{
  struct stream *stream = handle->data;
  buf_fini(&stream->queued);
  buf_fini(&stream->in_flight);
  /* The owner may still ask the filter, for a last line of the log; then the stream is gone. */
  const struct stream_filter *filter = stream->filter;
  void *filter_data = stream->filter_data;
  stream->events->on_closed(stream);
  if (filter)
    filter->free(filter_data);
  free(stream);
}

int stream_new(struct stream **out, uv_loop_t *loop, enum stream_kind kind,
               const struct stream_events *events, void *owner, uv_buf_t *read_buf)
{
  struct stream *stream = calloc(1, sizeof(*stream));
  if (!stream)
    return UV_ENOMEM;
  int err =
      kind == STREAM_PIPE ? uv_pipe_init(loop, &stream->pipe, 0) : uv_tcp_init(loop, &stream->tcp);
  if (err < 0) {
    free(stream);
    return err;
  }
  stream->handle.data = stream;
  stream->read_buf = read_buf;
  stream_give(stream, events, owner);
  *out = stream;
  return 0;
}

void stream_give(struct stream *stream, const struct stream_events *events, void *owner)
{
  stream->events = events;
  stream->owner = owner;
}

int stream_accept(struct stream *stream, uv_stream_t *listener)
{
  int err = uv_accept(listener, &stream->uv);
  if (err < 0)
    return err;
  stream->state = STREAM_OPEN;
  return 0;
}

static void on_connected(uv_connect_t *request, int err)
{
  struct stream *stream = request->handle->data;
  if (stream->state == STREAM_CLOSING)
    return;
  if (err == 0) {
    stream->state = STREAM_OPEN;
    if (stream->uv.type == UV_TCP)
      (void)uv_tcp_nodelay(&stream->tcp, 1); /* only a matter of speed */
  }
  stream->events->on_open(stream, err);
}

int stream_connect(struct stream *stream, const struct sockaddr *addr)
{
  return uv_tcp_connect(&stream->connecting, &stream->tcp, addr, on_connected);
}

int stream_connect_pipe(struct stream *stream, const char *path)
{
  return uv_pipe_connect2(&stream->connecting, &stream->pipe, path, strlen(path), 0, on_connected);
}

int stream_open(struct stream *stream, int fd)
{
  int err = uv_pipe_open(&stream->pipe, fd);
  if (err < 0)
    close(fd);
  else
    stream->state = STREAM_OPEN;
  return err;
}

int stream_start_filter(struct stream *stream, const struct stream_filter *filter, void *data)
{
  stream->filter = filter;
  stream->filter_data = data;
  return filter->start(stream);
}

void stream_read_raw(struct stream *stream, int on)
{
  if (stream->state != STREAM_OPEN || stream->reading == on)
    return;
  if (on && stream->ended)
    return;
  stream->reading = (uint8_t)on;
  if (on)
    CHECK(uv_read_start(&stream->uv, on_alloc, on_read) == 0);
  else
    (void)uv_read_stop(&stream->uv); /* always 0 */
}

void stream_read(struct stream *stream, int on)
{
  if (stream->filter)
    stream->filter->read(stream, on);
  else
    stream_read_raw(stream, on);
}

static void on_shutdown(uv_shutdown_t *request, int err)
{
  struct stream *stream = request->handle->data;
  if (err < 0 || stream->ended)
    stream_close(stream);
}

static void start_shutdown(struct stream *stream)
{
  if (stream->filter && stream->filter->shutdown && stream->finishing == 1) {
    stream->finishing = 2;
    stream->filter->shutdown(stream);
    if (stream->flying || stream->state == STREAM_CLOSING)
      return; /* on_written comes back here */
  }
  if (!stream->lingering || uv_shutdown(&stream->closing, &stream->uv, on_shutdown) < 0)
    stream_close(stream); /* the system sends what has been written, and then FIN */
}

static void fly(struct stream *stream);

static void on_written(uv_write_t *request, int err)
{
  struct stream *stream = request->handle->data;
  stream->flying = 0;
  stream->in_flight.len = 0;
  if (stream->state == STREAM_CLOSING)
    return;
  if (err < 0) {
    tell_end(stream, err);
    return;
  }
  if (stream->queued.len > 0) {
    fly(stream);
    return;
  }
  /* A busy spell must not pin its buffers for the connection's whole life. */
  buf_fini(&stream->in_flight);
  buf_fini(&stream->queued);
  if (stream->finishing)
    start_shutdown(stream);
  else
    stream->events->on_drained(stream);
}

static void fly(struct stream *stream)
{
  struct buf spare = stream->in_flight;
  stream->in_flight = stream->queued;
  stream->queued = spare;
  stream->queued.len = 0;
  uv_buf_t out = uv_buf_init(stream->in_flight.data, (unsigned)stream->in_flight.len);
  stream->flying = 1;
  int err = uv_write(&stream->writing, &stream->uv, &out, 1, on_written);
  CHECK(err == 0); /* the stream is open and the arguments are ours */
}

static int queue_rest(struct stream *stream, const uv_buf_t *bufs, unsigned count, size_t skip)
{
  for (unsigned i = 0; i < count; i++) {
    if (skip >= bufs[i].len) {
      skip -= bufs[i].len;
      continue;
    }
    int err = buf_put(&stream->queued, bufs[i].base + skip, bufs[i].len - skip);
    if (err < 0)
      return err;
    skip = 0;
  }
  return 0;
}

int stream_write_raw(struct stream *stream, const uv_buf_t *bufs, unsigned count)
{
  if (stream->state != STREAM_OPEN)
    return UV_ENOTCONN;
  size_t done = 0;
  if (!stream->flying && stream->queued.len == 0) {
    size_t total = 0;
    for (unsigned i = 0; i < count; i++)
      total += bufs[i].len;
    int sent = uv_try_write(&stream->uv, bufs, count);
    if (sent < 0 && sent != UV_EAGAIN)
      return sent;
    done = sent < 0 ? 0 : (size_t)sent;
    if (done == total)
      return 0;
  }
  int err = queue_rest(stream, bufs, count, done);
  if (err < 0)
    return err;
  if (!stream->flying)
    fly(stream);
  return 0;
}

int stream_write(struct stream *stream, const uv_buf_t *bufs, unsigned count)
{
  return stream->filter ? stream->filter->write(stream, bufs, count)
                        : stream_write_raw(stream, bufs, count);
}

size_t stream_queued(const struct stream *stream)
{
  return stream->queued.len + (stream->flying ? stream->in_flight.len : 0);
}

size_t stream_unsent(const struct stream *stream)
{
  return stream->queued.len + stream->uv.write_queue_size;
}

void stream_finish(struct stream *stream)
{
  if (stream->state == STREAM_CLOSING || (stream->finishing && !stream->lingering))
    return;
  if (stream->state == STREAM_CONNECTING) {
    stream_close(stream);
    return;
  }
  stream_read(stream, 0);
  if (stream->lingering) {
    stream->lingering = 0; /* on_written closes */
    if (!stream->flying)
      stream_close(stream);
    return;
  }
  stream->finishing = 1;
  if (!stream->flying)
    start_shutdown(stream);
}

void stream_linger(struct stream *stream)
{
  if (stream->state != STREAM_OPEN || stream->finishing)
    return;
  stream->lingering = 1;
  stream->finishing = 1;
  stream_read(stream, 1);
  if (!stream->flying)
    start_shutdown(stream);
}

void stream_close(struct stream *stream)
{
  if (stream->state == STREAM_CLOSING)
    return;
  stream_read_raw(stream, 0);
  stream->state = STREAM_CLOSING;
  uv_close(&stream->handle, on_closed);
}

void stream_reset(struct stream *stream)
{
  if (stream->state == STREAM_CLOSING)
    return;
  stream_read_raw(stream, 0);
  stream->state = STREAM_CLOSING;
  if (stream->handle.type != UV_TCP || uv_tcp_close_reset(&stream->tcp, on_closed) < 0)
    uv_close(&stream->handle, on_closed);
}
