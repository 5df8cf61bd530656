/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/dial.h"

#include <stdlib.h>
#include <sys/un.h>

#include "base/err.h"

struct dial {
  struct stream *stream; /* NULL once it is a codec's */
  struct net_loop *loop;
  struct list waiters; /* the longest first */
  uint32_t count;
  const struct dial_owner *owner;
  void *data;
  int (*secure)(struct stream *stream, void *data);
  void *secure_data;
  uint8_t over; /* nobody may wait any more */
};

void *dial_data(const struct dial *dial)
{
  return dial->data;
}

uint32_t dial_count(const struct dial *dial)
{
  return dial->count;
}

struct dial_waiter *dial_first(struct dial *dial)
{
  return list_empty(&dial->waiters) ? NULL
                                    : LIST_ENTRY(dial->waiters.next, struct dial_waiter, node);
}

/* It waits no longer; its memory goes when its owner lets go. */
static void take_out(struct dial_waiter *waiter)
{
  list_remove(&waiter->node);
  deadline_remove(&waiter->deadline);
  waiter->dial->count--;
  waiter->dial = NULL;
}

static void leave(struct dial *dial)
{
  if (dial->over)
    return;
  dial->over = 1;
  dial->owner->on_gone(dial);
}

void dial_fail(struct dial *dial, int err)
{
  for (struct dial_waiter *waiter = dial_first(dial); waiter; waiter = dial_first(dial)) {
    take_out(waiter);
    waiter->peer.events->on_abort(&waiter->peer, err);
  }
}

void dial_serve(struct dial_waiter *waiter, struct http_peer *peer)
{
  const struct http_events *events = waiter->peer.events;
  take_out(waiter);
  free(waiter);
  events->on_ready(peer);
}

void dial_move(struct dial_waiter *waiter, struct dial *to)
{
  list_remove(&waiter->node);
  waiter->dial->count--;
  waiter->dial = to;
  list_push(to->waiters.prev, &waiter->node);
  to->count++;
}

/* stream events */

static void fail(struct dial *dial, int err)
{
  leave(dial);
  stream_close(dial->stream);
  dial_fail(dial, err);
}

static void on_open(struct stream *stream, int err)
{
  struct dial *dial = stream->owner;
  if (dial->over)
    return;
  if (err == 0 && dial->secure && !stream->filter) {
    err = dial->secure(stream, dial->secure_data);
    if (err == 0)
      return; /* the filter calls again once its handshake is done */
  }
  if (err < 0) {
    fail(dial, stream->filter && err < -10000 ? err : ERR_CONNECT); /* what TLS found wrong */
    return;
  }
  leave(dial);
  dial->stream = NULL;
  dial->owner->on_open(dial, stream);
  if (stream->owner == dial)
    stream_close(stream); /* no codec took it */
  else
    free(dial);
}

static void on_end(struct stream *stream, int err)
{
  struct dial *dial = stream->owner;
  (void)err;
  if (!dial->over)
    fail(dial, ERR_CONNECT);
}

static void on_data(struct stream *stream, char *data, size_t len)
{
  (void)stream; /* nobody reads before there is a codec */
  (void)data;
  (void)len;
}

static void on_drained(struct stream *stream)
{
  (void)stream; /* TLS's own bytes */
}

static void on_closed(struct stream *stream)
{
  free(stream->owner);
}

static const struct stream_events stream_events = { on_open, on_data, on_end, on_drained,
                                                    on_closed };

/* http_ops of one that waits */

static void release(struct http_peer *peer, int reuse)
{
  struct dial_waiter *waiter = (struct dial_waiter *)peer;
  struct dial *dial = waiter->dial;
  (void)reuse;
  if (dial) {
    take_out(waiter);
    if (dial->count == 0 && dial->stream) {
      leave(dial);
      stream_close(dial->stream);
    }
  }
  free(waiter);
}

static void read_nothing(struct http_peer *peer, int on)
{
  (void)peer;
  (void)on;
}

static size_t queued(const struct http_peer *peer)
{
  (void)peer;
  return 0;
}

static int is_stale(const struct http_peer *peer)
{
  (void)peer;
  return 0;
}

static const struct http_ops ops = {
  .read = read_nothing, .queued = queued, .is_stale = is_stale, .release = release
};

static void on_deadline(struct deadline *deadline)
{
  struct dial_waiter *waiter = LIST_ENTRY(deadline, struct dial_waiter, deadline);
  waiter->peer.events->on_abort(&waiter->peer, ERR_CONNECT_TIMEOUT);
}

int dial_wait(struct dial *dial, const struct http_client_config *config, uint64_t connect_ms,
              const struct http_events *events, void *exchange, struct http_peer **out)
{
  struct dial_waiter *waiter = calloc(1, sizeof(*waiter));
  if (!waiter)
    return ERR_NO_MEMORY;
  waiter->peer = (struct http_peer){ .ops = &ops, .events = events, .owner = exchange };
  waiter->dial = dial;
  waiter->config = *config;
  list_push(dial->waiters.prev, &waiter->node);
  dial->count++;
  deadline_add(&dial->loop->deadlines, &waiter->deadline, on_deadline);
  deadline_set(&dial->loop->deadlines, &waiter->deadline, connect_ms);
  *out = &waiter->peer;
  return 0;
}

int dial_start(struct dial **out, struct net_loop *loop, const struct dial_target *target,
               const struct dial_owner *owner, void *data)
{
  int pipe = target->addr->sa_family == AF_UNIX;
  struct dial *dial = calloc(1, sizeof(*dial));
  if (!dial)
    return ERR_NO_MEMORY;
  *dial = (struct dial){ .loop = loop,
                         .owner = owner,
                         .data = data,
                         .secure = target->secure,
                         .secure_data = target->secure_data };
  list_init(&dial->waiters);
  if (stream_new(&dial->stream, loop->uv, pipe ? STREAM_PIPE : STREAM_TCP, &stream_events, dial,
                 &loop->read_buf) < 0) {
    free(dial);
    return ERR_NO_MEMORY;
  }
  int err =
      pipe ? stream_connect_pipe(dial->stream, ((const struct sockaddr_un *)target->addr)->sun_path)
           : stream_connect(dial->stream, target->addr);
  if (err < 0) {
    dial->over = 1; /* its owner never had it */
    stream_close(dial->stream);
    return ERR_CONNECT;
  }
  *out = dial;
  return 0;
}
