/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting and starting for Lua. */
#include <lauxlib.h>

#include "base/err.h"
#include "bridge/api.h"
#include "bridge/task.h"

static void on_timer(uv_timer_t *timer)
{
  task_wake(timer->data, 0);
}

static void cancel_timer(struct task *task)
{
  (void)uv_timer_stop(&task->timer); /* always 0 */
}

int32_t mg_wait_timer(struct mg_vm *vm, double seconds)
{
  if (!(seconds >= 0) || seconds > 1e9)
    return UV_EINVAL;
  int err = task_wait(vm, cancel_timer, NULL);
  if (err < 0)
    return err;
  return uv_timer_start(&vm->current->timer, on_timer, (uint64_t)(seconds * 1000 + 0.5), 0);
}

void mg_wait_cancel(struct mg_vm *vm)
{
  if (vm->current)
    task_abandon(vm->current);
}

static void cancel_park(struct task *task)
{
  task->operation = NULL;
}

int32_t mg_park(struct mg_vm *vm)
{
  return task_wait(vm, cancel_park, vm);
}

int32_t mg_task_number(struct mg_vm *vm)
{
  return vm->current ? (int32_t)vm->current->number : -1;
}

int32_t mg_task_serves(struct mg_vm *vm, const struct mg_request *request)
{
  return vm->current && vm->current->exchange && &vm->current->exchange->record == request;
}

uint32_t mg_task_generation(struct mg_vm *vm)
{
  return vm->current ? vm->current->generation : 0;
}

int32_t mg_unpark(struct mg_vm *vm, uint32_t number, uint32_t generation, int32_t result)
{
  if (number >= vm->task_count)
    return ERR_STALE;
  struct task *task = vm->tasks[number];
  if (task->generation != generation || task->state != TASK_WAITING ||
      (task->cancel != cancel_park && task->cancel != cancel_timer))
    return ERR_STALE;
  task_wake(task, result);
  return 0;
}

int32_t mg_spawn(struct mg_vm *vm, uint32_t id)
{
  struct task *task = task_take(vm);
  if (!task)
    return UV_ENOMEM;
  task->id = id;
  lua_rawgeti(task->lua, LUA_REGISTRYINDEX, vm->start_ref);
  lua_pushinteger(task->lua, (lua_Integer)id);
  task_schedule(task, 1);
  return 0;
}

void mg_task_end(struct mg_vm *vm, int32_t verdict)
{
  if (!vm->current)
    return;
  vm->current->terminal = 1;
  vm->current->verdict = (uint8_t)verdict;
}
