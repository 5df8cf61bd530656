/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accept.h"
#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "bridge/hook.h"
#include "bridge/socket.h"
#include "ports.h"
#include "secure.h"
#include "sessions.h"
#include "tls/client.h"

enum {
  UNLOAD_MS = 5000
};

/* connections */

static void on_gone(struct http_server *server)
{
  struct worker *worker = LIST_ENTRY(server->owner, struct worker, owner);
  struct stats *counts = &worker->exchanges.stats.counts;
  stat_set(counts, STAT_CONNECTIONS, --worker->open);
}

int worker_listen(struct worker *worker)
{
  struct gateway *gateway = worker->gateway;
  for (unsigned i = 0; i < gateway->bound_count; i++) {
    struct bound *bound = &gateway->bound[i];
    if (bound->worker != worker->index || bound->fd < 0)
      continue;
    struct listener *listener;
    int err =
        listener_open(&listener, &worker->uv, bound->fd, accept_connection, worker, bound->kind);
    bound->fd = -1;
    if (err < 0)
      return err;
    listener->port = bound->port;
    worker->listeners[worker->listener_count++] = listener;
  }
  return 0;
}

/* snapshots */

static void on_unused(struct exchange_pin *pin)
{
  mg_snapshot_unref(pin->snapshot);
  free(pin);
}

static void adopt(struct worker *worker, struct mg_snapshot *snapshot)
{
  struct exchange_pin *pin = calloc(1, sizeof(*pin));
  if (!pin) {
    log_error("out_of_memory", "object", "snapshot"); /* the old one goes on serving */
    mg_snapshot_unref(snapshot);
    return;
  }
  *pin = (struct exchange_pin){ .snapshot = snapshot, .on_unused = on_unused };
  if (vm_call(&worker->vm, "adopt", snapshot) < 0) {
    on_unused(pin);
    return;
  }
  exchanges_pin(&worker->exchanges, pin);
  if (worker->state == WORKER_RUNNING)
    ports_adopt(worker, snapshot);
  atomic_store(&worker->serves, mg_snapshot_number(snapshot));
  (void)uv_async_send(&worker->gateway->control.wake); /* fails only when closing */
}

static void deliver(struct worker *worker, const struct buf *messages)
{
  for (size_t at = 0; at + sizeof(uint32_t) <= messages->len;) {
    struct mg_text text;
    memcpy(&text.length, messages->data + at, sizeof(text.length));
    text.data = messages->data + at + sizeof(text.length);
    (void)vm_call(&worker->vm, "on_message", &text); /* logged there */
    at += sizeof(text.length) + text.length;
  }
}

static void on_wake(uv_async_t *wake)
{
  struct worker *worker = wake->data;
  struct gateway *gateway = worker->gateway;
  uv_mutex_lock(&gateway->mutex);
  struct worker_inbox inbox = worker->inbox;
  worker->inbox = (struct worker_inbox){ .drain = inbox.drain };
  uv_mutex_unlock(&gateway->mutex);
  deliver(worker, &inbox.messages);
  buf_fini(&inbox.messages);
  if (inbox.reopen) {
    access_log_reopen(&worker->access_log);
    access_log_reopen(&worker->stream_log);
  }
  if (inbox.snapshot)
    adopt(worker, inbox.snapshot);
  if (inbox.drain && worker->state == WORKER_RUNNING)
    worker_drain(worker);
  else if (worker->index == 0 && worker->state == WORKER_RUNNING)
    (void)vm_call(&worker->vm, "on_progress", NULL); /* a worker has adopted or ended */
}

/* tests */

int32_t mg_test_serve(struct mg_vm *vm, struct mg_snapshot *snapshot)
{
  struct exchange_pin *pin = calloc(1, sizeof(*pin));
  if (!pin) {
    mg_snapshot_unref(snapshot);
    return UV_ENOMEM;
  }
  *pin = (struct exchange_pin){ .snapshot = snapshot, .on_unused = on_unused };
  exchanges_pin(vm->exchanges, pin);
  return 0;
}

/* the end */

static void close_listeners(struct worker *worker)
{
  for (unsigned i = 0; i < worker->listener_count; i++)
    listener_close(worker->listeners[i]);
  worker->listener_count = 0;
  ports_close(worker);
}

static int is_open_stream(const uv_handle_t *handle)
{
  return (handle->type == UV_TCP || handle->type == UV_NAMED_PIPE) && !uv_is_closing(handle);
}

static void look_for_unsent(uv_handle_t *handle, void *data)
{
  int *found = data;
  if (is_open_stream(handle) && uv_stream_get_write_queue_size((uv_stream_t *)handle) > 0)
    *found = 1;
}

/* Last bytes of tunnels to their upstreams, whose clients have gone. */
static int has_unsent(struct worker *worker)
{
  int found = 0;
  uv_walk(&worker->uv, look_for_unsent, &found);
  return found;
}

static void close_stream(uv_handle_t *handle, void *data)
{
  (void)data;
  if (is_open_stream(handle))
    stream_close(handle->data);
}

/* libuv tells of what is closed in one turn the last first: what others still refer to goes first. */
static void close_rest(struct worker *worker)
{
  secure_close(worker);
  close_listeners(worker);
  exchanges_pin(&worker->exchanges, NULL);
  pool_drain(worker->pool);
  vm_close(&worker->vm);
  uv_walk(&worker->uv, close_stream, NULL); /* listeners are closed: these are streams */
  access_log_close(&worker->access_log);
  access_log_close(&worker->stream_log);
  deadlines_fini(&worker->loop.deadlines);
  turns_fini(&worker->loop.turns);
  uv_close((uv_handle_t *)&worker->drain_timer, NULL);
  uv_close((uv_handle_t *)&worker->wake, NULL);
  if (worker->index == 0) {
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
      uv_close((uv_handle_t *)&worker->gateway->signals[i], NULL);
  }
}

void mg_unloaded(struct mg_vm *vm)
{
  struct worker *worker = vm->owner;
  worker->unloaded = 1;
}

/* Scripts end after the last request, in a task that may wait, though not for ever. */
static int is_unloaded(struct worker *worker)
{
  if (worker->index == 0)
    return 1;
  if (worker->unload_ms == 0) {
    worker->unload_ms = worker->drained_ms;
    worker->unloaded = vm_start(&worker->vm, "unload", 0, NULL) < 0; /* logged there */
  }
  return worker->unloaded || worker->drained_ms - worker->unload_ms >= UNLOAD_MS;
}

static void on_drain_tick(uv_timer_t *timer)
{
  struct worker *worker = timer->data;
  struct gateway *gateway = worker->gateway;
  int waits = worker->index == 0 && atomic_load(&gateway->ended) < gateway->started;
  worker->drained_ms += 20;
  if (waits)
    return;
  if (!list_empty(&worker->connections) || worker->exchanges.stats.active > 0 ||
      !sessions_are_over(worker->sessions)) {
    if (worker->drained_ms < atomic_load(&gateway->drain_ms) && worker->index > 0)
      return;
    http_server_close_all(&worker->connections);
    sessions_end(worker->sessions);
    if (worker->exchanges.stats.active > 0 && worker->drained_ms < 20000)
      return; /* their stages end within their deadline */
  }
  if (has_unsent(worker) && worker->drained_ms < atomic_load(&gateway->drain_ms) &&
      worker->index > 0)
    return;
  if (!is_unloaded(worker))
    return;
  worker->state = WORKER_CLOSING;
  close_rest(worker);
}

void worker_drain(struct worker *worker)
{
  worker->state = WORKER_DRAINING;
  if (worker->index > 0) {
    close_listeners(worker);
    http_server_drain_all(&worker->connections);
  }
  CHECK(uv_timer_start(&worker->drain_timer, on_drain_tick, 0, 20) == 0);
}

void worker_run(void *data)
{
  struct worker *worker = data;
  (void)uv_run(&worker->uv, UV_RUN_DEFAULT); /* no handle is left */
  if (worker->index > 0) {
    atomic_fetch_add(&worker->gateway->ended, 1);
    (void)uv_async_send(&worker->gateway->control.wake); /* control outlives its workers */
  }
}

/* set-up */

static int init_loop(struct worker *worker)
{
  int err = uv_loop_init(&worker->uv);
  if (err < 0)
    return err;
  worker->read_bytes = malloc(LOOP_READ_BYTES);
  if (!worker->read_bytes)
    return UV_ENOMEM;
  worker->loop.uv = &worker->uv;
  worker->loop.read_buf = uv_buf_init(worker->read_bytes, LOOP_READ_BYTES);
  err = deadlines_init(&worker->loop.deadlines, &worker->uv);
  if (err == 0)
    err = turns_init(&worker->loop.turns, &worker->uv);
  if (err == 0)
    err = uv_async_init(&worker->uv, &worker->wake, on_wake);
  if (err == 0)
    err = uv_timer_init(&worker->uv, &worker->drain_timer);
  if (err == 0)
    err = access_log_init(&worker->access_log, &worker->uv, &worker->exchanges.stats.counts);
  if (err == 0)
    err = access_log_init(&worker->stream_log, &worker->uv, &worker->exchanges.stats.counts);
  worker->wake.data = worker->drain_timer.data = worker;
  return err;
}

int worker_init(struct worker *worker, struct gateway *gateway, unsigned index)
{
  worker->gateway = gateway;
  worker->index = index;
  list_init(&worker->connections);
  list_init(&worker->asked);
  list_init(&worker->ports);
  int err = init_loop(worker);
  if (err == 0)
    err = pool_new(&worker->pool, &worker->loop, &worker->exchanges.stats.counts);
  if (err == 0)
    err = accept_init(worker);
  if (err < 0)
    return err;
  struct exchanges *all = &worker->exchanges;
  all->loop = &worker->loop;
  all->pool = worker->pool;
  all->run = hook_run;
  all->data = &worker->vm;
  all->access_log = index > 0 ? &worker->access_log : NULL;
  exchanges_init(all);
  if (index > 0 && gateway->series.on)
    err = series_new(&all->series, &gateway->series, SERIES_MAX);
  if (err < 0)
    return err;
  worker->owner = (struct http_server_owner){ .events = &exchange_client_events,
                                              .on_gone = on_gone,
                                              .on_limit = accept_limit,
                                              .data = all,
                                              .all = &worker->connections };
  struct mg_vm *vm = &worker->vm;
  vm->loop = &worker->loop;
  vm->pool = worker->pool;
  vm->exchanges = all;
  vm->stream_log = index > 0 ? &worker->stream_log : NULL;
  vm->server = &worker->server;
  vm->tls = worker->tls_context;
  vm->secure = tls_client_start;
  vm->owner = worker;
  vm->metrics = &gateway->metrics;
  vm->dicts = &gateway->dicts;
  vm->role = index == 0 ? "control" : "worker";
  worker->state = WORKER_RUNNING;
  return vm_init(vm);
}

void worker_fini(struct worker *worker)
{
  if (worker->inbox.snapshot)
    mg_snapshot_unref(worker->inbox.snapshot);
  buf_fini(&worker->inbox.messages);
  vm_fini(&worker->vm);
  exchanges_fini(&worker->exchanges);
  series_free(worker->exchanges.series);
  access_log_fini(&worker->access_log);
  access_log_fini(&worker->stream_log);
  sessions_free(worker->sessions);
  pool_free(worker->pool);
  CHECK(uv_loop_close(&worker->uv) == 0);
  free(worker->read_bytes);
  buf_fini(&worker->loop.spare);
}
