/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints and host names for Lua. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bridge/api.h"
#include "bridge/task.h"
#include "net/cidr.h"

struct resolution {
  uv_getaddrinfo_t request;
  struct task *task; /* NULL: nobody waits any more */
};

int32_t mg_endpoint(struct mg_vm *vm, const char *address, uint32_t length, uint32_t port,
                    int32_t protocol, struct mg_tls_client *tls)
{
  char text[128];
  if (length >= sizeof(text) || port > 65535 || protocol < POOL_HTTP1 || protocol > POOL_AUTO)
    return UV_EINVAL;
  memcpy(text, address, length);
  text[length] = 0;
  return pool_endpoint(vm->pool, text, (uint16_t)port, (enum pool_protocol)protocol,
                       tls ? vm->secure : NULL, tls);
}

void mg_endpoint_release(struct mg_vm *vm, int32_t endpoint)
{
  pool_release(vm->pool, endpoint);
}

static void keep_addresses(struct mg_vm *vm, const struct addrinfo *list)
{
  vm->resolved.len = 0;
  for (; list; list = list->ai_next) {
    struct sockaddr_storage addr = { 0 };
    char text[46];
    uint16_t port;
    memcpy(&addr, list->ai_addr, list->ai_addrlen);
    address_text(&addr, text, sizeof(text), &port);
    if (buf_put(&vm->resolved, text, strlen(text)) < 0 || buf_put(&vm->resolved, "\n", 1) < 0)
      return; /* the addresses so far will do */
  }
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
  struct resolution *resolution = request->data;
  struct task *task = resolution->task;
  if (task && status == 0)
    keep_addresses(task->vm, list);
  uv_freeaddrinfo(list);
  free(resolution);
  if (task) {
    task->operation = NULL;
    task->cancel = NULL;
    task_wake(task, status);
  }
}

/* The resolver's thread cannot be stopped: its result finds nobody. */
static void cancel_resolution(struct task *task)
{
  struct resolution *resolution = task->operation;
  resolution->task = NULL;
}

int32_t mg_wait_resolve(struct mg_vm *vm, const char *name, uint32_t length)
{
  char text[256];
  if (length == 0 || length >= sizeof(text) || memchr(name, 0, length))
    return UV_EINVAL;
  memcpy(text, name, length);
  text[length] = 0;
  struct resolution *resolution = calloc(1, sizeof(*resolution));
  if (!resolution)
    return UV_ENOMEM;
  int err = task_wait(vm, cancel_resolution, resolution);
  if (err < 0) {
    free(resolution);
    return err;
  }
  resolution->request.data = resolution;
  resolution->task = vm->current;
  const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
  err = uv_getaddrinfo(vm->loop->uv, &resolution->request, on_resolved, text, NULL, &hints);
  if (err < 0) {
    free(resolution);
    vm->current->cancel = NULL;
    task_wake(vm->current, err);
  }
  return 0;
}

void mg_resolved(struct mg_vm *vm, struct mg_text *addresses)
{
  *addresses = (struct mg_text){ vm->resolved.data, (uint32_t)vm->resolved.len };
}
