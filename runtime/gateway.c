/* SPDX-License-Identifier: Apache-2.0 */
/* The process: its threads from start to end, and what Lua may ask of it (bridge/api.h). */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "bridge/api.h"
#include "bridge/watchdog.h"
#include "net/port.h"
#include "tls/tickets.h"
#include "worker.h"

static struct gateway *gateway_of(struct mg_vm *vm)
{
  return ((struct worker *)vm->owner)->gateway;
}

int32_t mg_workers(struct mg_vm *vm, uint32_t count)
{
  struct gateway *gateway = gateway_of(vm);
  if (count == 0 || count > WORKERS_MAX || gateway->count > 0)
    return UV_EINVAL;
  gateway->count = count;
  return 0;
}

static int keep_bound(struct gateway *gateway, const int *fds, unsigned count, int kind, int port)
{
  if (gateway->bound_count + count > BOUND_MAX) {
    for (unsigned i = 0; i < count; i++)
      close(fds[i]);
    return ERR_LIMIT;
  }
  for (unsigned i = 0; i < count; i++) {
    unsigned worker = kind == LISTEN_ADMIN ? 0 : i + 1;
    gateway->bound[gateway->bound_count++] =
        (struct bound){ .worker = worker, .fd = fds[i], .kind = kind, .port = (uint16_t)port };
  }
  return port;
}

int32_t mg_listen(struct mg_vm *vm, int32_t kind, const char *address, uint32_t length)
{
  struct gateway *gateway = gateway_of(vm);
  char text[160];
  int fds[WORKERS_MAX];
  unsigned count = kind == LISTEN_ADMIN ? 1 : gateway->count;
  if (length >= sizeof(text) || count == 0)
    return UV_EINVAL;
  memcpy(text, address, length);
  text[length] = 0;
  int port = listener_bind(text, fds, count);
  if (port < 0)
    return port;
  int err = keep_bound(gateway, fds, count, kind, port);
  return err < 0 || kind != LISTEN_ADMIN
             ? err
             : (worker_listen(&gateway->control) < 0 ? UV_EINVAL : port);
}

int32_t mg_port_open(struct mg_vm *vm, int32_t udp, uint32_t number, const struct mg_port *closing,
                     struct mg_port **port)
{
  const struct gateway *gateway = gateway_of(vm);
  if (number == 0 || number > UINT16_MAX || gateway->count == 0)
    return UV_EINVAL;
  return port_new(port, udp ? SOCK_DGRAM : SOCK_STREAM, (uint16_t)number, gateway->count,
                  closing && port_users(closing) > 0);
}

void mg_port_close(struct mg_port *port)
{
  port_withdraw(port);
}

uint32_t mg_port_users(const struct mg_port *port)
{
  return port_users(port);
}

void mg_port_unref(struct mg_port *port)
{
  port_unref(port);
}

static int start_worker(struct gateway *gateway, unsigned index)
{
  struct worker *worker = calloc(1, sizeof(*worker));
  if (!worker)
    return UV_ENOMEM;
  gateway->workers[index - 1] = worker;
  int err = worker_init(worker, gateway, index);
  if (err == 0)
    err = vm_call(&worker->vm, "worker", NULL);
  if (err >= 0)
    err = worker_listen(worker);
  if (err >= 0)
    err = uv_thread_create(&worker->thread, worker_run, worker);
  if (err >= 0)
    gateway->started++;
  return err;
}

int32_t mg_watch_start(struct mg_vm *vm)
{
  struct gateway *gateway = gateway_of(vm);
  struct mg_vm *vms[WORKERS_MAX + 1];
  if (gateway->watchdog)
    return 0;
  vms[0] = &gateway->control.vm;
  for (unsigned i = 0; i < gateway->started; i++)
    vms[i + 1] = &gateway->workers[i]->vm;
  return watchdog_new(&gateway->watchdog, vms, gateway->started + 1);
}

int32_t mg_workers_start(struct mg_vm *vm)
{
  struct gateway *gateway = gateway_of(vm);
  for (unsigned i = 1; i <= gateway->count; i++) {
    int err = start_worker(gateway, i);
    if (err < 0)
      return err;
  }
  return mg_watch_start(vm);
}

uint32_t mg_processors(void)
{
  return uv_available_parallelism();
}

uint32_t mg_worker_count(struct mg_vm *vm)
{
  return gateway_of(vm)->started;
}

uint64_t mg_worker_serves(struct mg_vm *vm, uint32_t index)
{
  struct gateway *gateway = gateway_of(vm);
  return index < gateway->started ? atomic_load(&gateway->workers[index]->serves) : 0;
}

void mg_publish(struct mg_vm *vm, struct mg_snapshot *snapshot)
{
  struct gateway *gateway = gateway_of(vm);
  for (unsigned i = 0; i < gateway->started; i++) {
    struct worker *worker = gateway->workers[i];
    uv_mutex_lock(&gateway->mutex);
    struct mg_snapshot *skipped = worker->inbox.snapshot;
    worker->inbox.snapshot = mg_snapshot_ref(snapshot);
    uv_mutex_unlock(&gateway->mutex);
    mg_snapshot_unref(skipped);
    (void)uv_async_send(&worker->wake); /* fails only when closing */
  }
  mg_snapshot_unref(snapshot);
}

static int post(struct worker *worker, const char *text, uint32_t length)
{
  struct gateway *gateway = worker->gateway;
  uv_mutex_lock(&gateway->mutex);
  struct buf *messages = &worker->inbox.messages;
  int err = messages->len > MESSAGES_BYTES_MAX ? ERR_LIMIT
                                               : buf_reserve(messages, length + sizeof(length));
  if (err == 0)
    err = buf_put(messages, &length, sizeof(length));
  if (err == 0)
    err = buf_put(messages, text, length);
  uv_mutex_unlock(&gateway->mutex);
  (void)uv_async_send(&worker->wake); /* fails only when closing */
  return err;
}

int32_t mg_report(struct mg_vm *vm, const char *text, uint32_t length)
{
  return post(&gateway_of(vm)->control, text, length);
}

int32_t mg_broadcast(struct mg_vm *vm, const char *text, uint32_t length)
{
  struct gateway *gateway = gateway_of(vm);
  int err = 0;
  for (unsigned i = 0; i < gateway->started && err == 0; i++)
    err = post(gateway->workers[i], text, length);
  return err;
}

void mg_log_reopen(struct mg_vm *vm)
{
  struct gateway *gateway = gateway_of(vm);
  for (unsigned i = 0; i < gateway->started; i++) {
    uv_mutex_lock(&gateway->mutex);
    gateway->workers[i]->inbox.reopen = 1;
    uv_mutex_unlock(&gateway->mutex);
    (void)uv_async_send(&gateway->workers[i]->wake); /* as above */
  }
}

void mg_drain(struct mg_vm *vm, double seconds, int32_t code)
{
  struct gateway *gateway = gateway_of(vm);
  gateway->exit_code = code;
  atomic_store(&gateway->drain_ms, (unsigned)(seconds * 1000));
  for (unsigned i = 0; i < gateway->started; i++) {
    uv_mutex_lock(&gateway->mutex);
    gateway->workers[i]->inbox.drain = 1;
    uv_mutex_unlock(&gateway->mutex);
    (void)uv_async_send(&gateway->workers[i]->wake); /* as above */
  }
  gateway->control.inbox.drain = 1;
  (void)uv_async_send(&gateway->control.wake); /* as above */
}

/* signals */

static void on_signal(uv_signal_t *signal, int number)
{
  struct gateway *gateway = signal->data;
  (void)vm_call(&gateway->control.vm, "on_signal", (const void *)(intptr_t)number);
}

static int catch_signals(struct gateway *gateway)
{
  static const int numbers[SIGNAL_COUNT] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
  for (size_t i = 0; i < SIGNAL_COUNT; i++) {
    uv_signal_t *signal = &gateway->signals[i];
    int err = uv_signal_init(&gateway->control.uv, signal);
    if (err < 0)
      return err;
    signal->data = gateway;
    err = uv_signal_start(signal, on_signal, numbers[i]);
    if (err < 0)
      return err;
    uv_unref((uv_handle_t *)signal);
  }
  return 0;
}

static void end_workers(struct gateway *gateway)
{
  if (gateway->watchdog)
    watchdog_free(gateway->watchdog);
  for (unsigned i = 0; i < gateway->started; i++) {
    struct worker *worker = gateway->workers[i];
    (void)uv_thread_join(&worker->thread); /* it was created */
    worker_fini(worker);
    free(worker);
  }
}

int gateway_run(int argc, char **argv)
{
  struct gateway *gateway = calloc(1, sizeof(*gateway));
  if (!gateway || uv_mutex_init(&gateway->mutex) < 0)
    return EXIT_INTERNAL;
  gateway->keylog = -1;
  if (metrics_init(&gateway->metrics) < 0 || dicts_init(&gateway->dicts) < 0)
    return EXIT_INTERNAL;
  (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of that write */
  int err = worker_init(&gateway->control, gateway, 0);
  if (err == 0)
    err = catch_signals(gateway);
  if (err == 0)
    err = vm_start(&gateway->control.vm, "main", argc, argv);
  if (err < 0) {
    log_error("start_failed", "error", err_text(err));
    return EXIT_INTERNAL; /* the process ends: the kernel takes the rest back */
  }
  worker_run(&gateway->control);
  end_workers(gateway);
  log_sweep(1);
  int code = gateway->exit_code;
  worker_fini(&gateway->control);
  uv_mutex_destroy(&gateway->mutex);
  metrics_fini(&gateway->metrics);
  dicts_fini(&gateway->dicts);
  tls_tickets_unref(gateway->tickets);
  if (gateway->keylog >= 0)
    close(gateway->keylog);
  free(gateway);
  /* Joins the pool's threads before libcrypto's exit handler, behind which theirs free nothing. */
  uv_library_shutdown();
  return code;
}
