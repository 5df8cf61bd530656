/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes for Lua: start, signal, wait. Their output comes through sockets of api_tcp.c. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "bridge/api.h"
#include "bridge/process.h"
#include "bridge/socket.h"
#include "bridge/task.h"

enum {
  PROCESSES_MAX = 1024,
  ARGUMENTS_MAX = 256
};

struct process {
  uv_process_t uv;
  struct task *waiter;
  uint32_t generation;
  int result;
  uint8_t live;   /* it runs, or its end was not asked for yet */
  uint8_t ended;  /* `result` stands */
  uint8_t closed; /* libuv has let go: the slot is free again */
};

/* Slots are not moved: libuv keeps a pointer to each. */
struct processes {
  struct process *slots[PROCESSES_MAX];
  uint32_t count;
};

static struct process *find(struct mg_vm *vm, const struct mg_handle *handle)
{
  const struct processes *all = vm->processes;
  if (!all || handle->number >= all->count)
    return NULL;
  struct process *process = all->slots[handle->number];
  return process->live && process->generation == handle->generation ? process : NULL;
}

static int take_slot(struct mg_vm *vm, uint32_t *number)
{
  if (!vm->processes)
    vm->processes = calloc(1, sizeof(*vm->processes));
  struct processes *all = vm->processes;
  if (!all)
    return UV_ENOMEM;
  for (uint32_t i = 0; i < all->count; i++) {
    if (!all->slots[i]->live && all->slots[i]->closed) {
      *number = i;
      return 0;
    }
  }
  if (all->count == PROCESSES_MAX)
    return ERR_LIMIT;
  all->slots[all->count] = calloc(1, sizeof(struct process));
  if (!all->slots[all->count])
    return UV_ENOMEM;
  all->slots[all->count]->closed = 1;
  *number = all->count++;
  return 0;
}

static void on_closed(uv_handle_t *handle)
{
  struct process *process = handle->data;
  process->closed = 1;
}

static void on_child_exit(uv_process_t *uv, int64_t status, int signal)
{
  struct process *process = uv->data;
  process->ended = 1;
  process->result = signal ? 128 + signal : (int)status;
  uv_close((uv_handle_t *)uv, on_closed);
  if (process->waiter) {
    process->live = 0;
    process->generation++;
    task_wake(process->waiter, process->result);
  }
}

static int split(char *text, uint32_t length, char **arguments)
{
  int count = 0;
  for (uint32_t at = 0; at < length; at += (uint32_t)strlen(text + at) + 1) {
    if (count == ARGUMENTS_MAX - 1)
      return UV_E2BIG;
    arguments[count++] = text + at;
  }
  arguments[count] = NULL;
  return count > 0 ? 0 : UV_EINVAL;
}

static int spawn(struct mg_vm *vm, struct process *process, char **arguments, int output,
                 int errors)
{
  uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE },
                                    { .flags = UV_INHERIT_FD, .data.fd = output },
                                    { .flags = UV_INHERIT_FD, .data.fd = errors } };
  const uv_process_options_t options = { .file = arguments[0],
                                         .args = arguments,
                                         .exit_cb = on_child_exit,
                                         .stdio = stdio,
                                         .stdio_count = 3 };
  uint32_t generation = process->generation;
  *process = (struct process){ .generation = generation, .live = 1 };
  process->uv.data = process;
  int err = uv_spawn(vm->loop->uv, &process->uv, &options);
  if (err < 0) {
    process->live = 0;
    process->generation++;
    uv_close((uv_handle_t *)&process->uv, on_closed);
  }
  return err;
}

/* The reading end becomes a socket; `*end` is the child's. */
static int open_pipe(struct mg_vm *vm, struct mg_handle *handle, int *end)
{
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0)
    return uv_translate_sys_error(errno);
  int err = socket_adopt(vm, fds[0], handle);
  if (err < 0)
    close(fds[1]);
  else
    *end = fds[1];
  return err;
}

int32_t mg_process_start(struct mg_vm *vm, const char *text, uint32_t length,
                         struct mg_handle *handle, struct mg_handle *output,
                         struct mg_handle *errors)
{
  char *arguments[ARGUMENTS_MAX];
  uint32_t number = 0;
  int ends[2] = { -1, -1 };
  char *copy = malloc(length + 1);
  if (!copy)
    return UV_ENOMEM;
  memcpy(copy, text, length);
  copy[length] = 0;
  int err = split(copy, length, arguments);
  if (err == 0)
    err = take_slot(vm, &number);
  if (err == 0)
    err = open_pipe(vm, output, &ends[0]);
  if (err == 0)
    err = open_pipe(vm, errors, &ends[1]);
  if (err == 0)
    err = spawn(vm, vm->processes->slots[number], arguments, ends[0], ends[1]);
  for (int i = 0; i < 2; i++) {
    if (ends[i] >= 0)
      close(ends[i]);
  }
  free(copy);
  if (err == 0)
    *handle = (struct mg_handle){ number, vm->processes->slots[number]->generation };
  return err;
}

int32_t mg_process_pid(struct mg_vm *vm, const struct mg_handle *handle)
{
  const struct process *process = find(vm, handle);
  return process ? process->uv.pid : ERR_STALE;
}

int32_t mg_process_kill(struct mg_vm *vm, const struct mg_handle *handle, int32_t signal)
{
  struct process *process = find(vm, handle);
  if (!process)
    return ERR_STALE;
  return process->ended ? UV_ESRCH : uv_process_kill(&process->uv, signal);
}

static void on_timeout(uv_timer_t *timer)
{
  task_wake(timer->data, UV_ETIMEDOUT);
}

static void cancel_wait(struct task *task)
{
  struct process *process = task->operation;
  process->waiter = NULL;
  (void)uv_timer_stop(&task->timer); /* always 0 */
}

int32_t mg_process_wait(struct mg_vm *vm, const struct mg_handle *handle, double seconds)
{
  struct process *process = find(vm, handle);
  if (!process)
    return ERR_STALE;
  if (process->waiter)
    return UV_EBUSY;
  int err = task_wait(vm, cancel_wait, process);
  if (err < 0)
    return err;
  process->waiter = vm->current;
  if (process->ended) {
    process->live = 0;
    process->generation++;
    task_wake(vm->current, process->result);
  } else if (seconds > 0) {
    (void)uv_timer_start(&vm->current->timer, on_timeout, (uint64_t)(seconds * 1000), 0);
  }
  return 0;
}

int32_t mg_executable(char *path, uint32_t size)
{
  size_t length = size;
  int err = uv_exepath(path, &length);
  return err < 0 ? err : (int32_t)length;
}

void processes_close(struct mg_vm *vm)
{
  struct processes *all = vm->processes;
  for (uint32_t i = 0; all && i < all->count; i++) {
    struct process *process = all->slots[i];
    process->waiter = NULL;
    if (process->live && !process->ended) {
      (void)uv_process_kill(&process->uv, SIGKILL); /* it may have ended just now */
      uv_close((uv_handle_t *)&process->uv, on_closed);
    }
  }
}

void processes_fini(struct mg_vm *vm)
{
  for (uint32_t i = 0; vm->processes && i < vm->processes->count; i++)
    free(vm->processes->slots[i]);
  free(vm->processes);
}
