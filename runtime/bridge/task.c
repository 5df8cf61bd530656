/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/task.h"

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "bridge/watchdog.h"

enum {
  TASKS_MAX = 1 << 20
};

static void on_deadline(struct deadline *deadline)
{
  struct task *task = LIST_ENTRY(deadline, struct task, deadline);
  if (task->state == TASK_WAITING)
    task_wake(task, ERR_DEADLINE);
}

static struct task *add_task(struct mg_vm *vm)
{
  if (vm->task_count >= TASKS_MAX)
    return NULL;
  if (vm->task_count == vm->task_cap) {
    uint32_t cap = vm->task_cap ? vm->task_cap * 2 : 64;
    struct task **tasks = realloc(vm->tasks, cap * sizeof(struct task *));
    if (!tasks)
      return NULL;
    vm->tasks = tasks;
    vm->task_cap = cap;
  }
  struct task *task = calloc(1, sizeof(*task));
  if (!task)
    return NULL;
  task->vm = vm;
  task->number = vm->task_count;
  task->ref = LUA_NOREF;
  list_init(&task->node);
  CHECK(uv_timer_init(vm->loop->uv, &task->timer) == 0); /* cannot fail */
  task->timer.data = task;
  deadline_add(&vm->loop->deadlines, &task->deadline, on_deadline);
  vm->tasks[vm->task_count++] = task;
  return task;
}

struct task *task_take(struct mg_vm *vm)
{
  struct task *task;
  if (list_empty(&vm->idle)) {
    task = add_task(vm);
    if (!task)
      return NULL;
  } else {
    task = LIST_ENTRY(vm->idle.next, struct task, node);
    list_remove(&task->node);
  }
  if (!task->lua) {
    task->lua = lua_newthread(vm->lua);
    task->ref = luaL_ref(vm->lua, LUA_REGISTRYINDEX);
  }
  task->state = TASK_RUNNING;
  task->waited = task->woken = task->terminal = 0;
  task->id = 0;
  task->exchange = NULL;
  return task;
}

static void drop_coroutine(struct task *task)
{
  luaL_unref(task->vm->lua, LUA_REGISTRYINDEX, task->ref);
  task->ref = LUA_NOREF;
  task->lua = NULL;
}

static void give(struct task *task)
{
  task->state = TASK_IDLE;
  task->generation++;
  deadline_set(&task->vm->loop->deadlines, &task->deadline, 0);
  list_push(&task->vm->idle, &task->node);
}

void task_abandon(struct task *task)
{
  if (task->state != TASK_WAITING)
    return;
  if (task->cancel)
    task->cancel(task);
  task->cancel = NULL;
  task->woken = 0;
  task->state = TASK_RUNNING;
}

/* The watchdog has stopped it, in the middle of whatever it did. */
static void stop(struct task *task)
{
  struct mg_vm *vm = task->vm;
  char text[80];
  task_abandon(task);
  (void)snprintf(text, sizeof(text), "stopped: the script ran for more than %d ms without waiting",
                 (int)atomic_load(&vm->watch.limit_ms));
  luaL_traceback(vm->lua, task->lua, text, 0);
  int stage = task->exchange ? task->stage : -1;
  uint32_t number = task->exchange ? task->exchange->record.slot : task->id;
  vm_stopped(vm, stage, number, lua_tostring(vm->lua, -1));
  lua_pop(vm->lua, 1);
}

static void log_failure(struct task *task)
{
  const char *message = lua_tostring(task->lua, -1);
  luaL_traceback(task->vm->lua, task->lua, message ? message : "(no message)", 0);
  log_error("script_failed", "error", lua_tostring(task->vm->lua, -1));
  lua_pop(task->vm->lua, 1);
  stat_bump(&task->vm->script_errors, 1);
}

/* The run is over: tells the exchange when it had been left waiting. */
static void end(struct task *task, enum exchange_verdict verdict)
{
  struct exchange *exchange = task->exchange;
  int waited = task->waited;
  task_abandon(task); /* an error may have come between the wait and its yield */
  task->verdict = (uint8_t)verdict;
  give(task);
  if (exchange && waited)
    exchange_resume(exchange, verdict);
}

static void fail(struct task *task)
{
  drop_coroutine(task);
  enum exchange_verdict verdict = VERDICT_FAIL;
  if (task->exchange && task->stage <= MG_STAGE_RETRY) {
    task->exchange->record.endpoint = -1;
    task->exchange->record.error = ERR_SCRIPT;
    verdict = VERDICT_GO_ON; /* answered with 500 */
  }
  end(task, verdict);
}

void task_run(struct task *task, int args)
{
  struct mg_vm *vm = task->vm;
  struct task *outer = vm->current;
  for (;;) {
    vm->current = task;
    if (task->exchange && task->exchange->texts_base)
      exchange_rebase(task->exchange); /* a head may have grown while it waited */
    watch_enter(vm);
    int status = lua_resume(task->lua, args);
    watch_leave(vm);
    vm->current = outer;
    int stopped = vm->watch.stopped && status == LUA_YIELD;
    vm->watch.stopped = 0;
    if (stopped && !task->terminal) {
      stop(task);
      fail(task);
      return;
    }
    if (status == 0) {
      enum exchange_verdict verdict = (enum exchange_verdict)lua_tointeger(task->lua, -1);
      lua_settop(task->lua, 0);
      end(task, task->terminal ? task->verdict : verdict); /* it could not yield from there */
      return;
    }
    if (status != LUA_YIELD) {
      log_failure(task);
      fail(task);
      return;
    }
    if (task->terminal) {
      drop_coroutine(task);
      end(task, task->verdict);
      return;
    }
    lua_settop(task->lua, 0);
    if (task->state != TASK_WAITING) {
      lua_pushliteral(task->lua, "a yield that waits for nothing (coroutine.yield outside a "
                                 "coroutine of your own)");
      log_failure(task);
      fail(task);
      return;
    }
    if (!task->woken) {
      task->waited = 1;
      return;
    }
    task->woken = 0;
    task->state = TASK_RUNNING;
    lua_pushinteger(task->lua, task->result);
    args = 1;
  }
}

/* Takes the whole list first: what is woken meanwhile waits for the next turn. */
static void on_turn(uv_idle_t *turn)
{
  struct mg_vm *vm = turn->data;
  struct list now;
  list_init(&now);
  while (!list_empty(&vm->ready)) {
    struct list *node = vm->ready.next;
    list_remove(node);
    list_push(&now, node);
  }
  CHECK(uv_idle_stop(turn) == 0);
  while (!list_empty(&now)) {
    struct task *task = LIST_ENTRY(now.next, struct task, node);
    list_remove(&task->node);
    task_run(task, task->args);
  }
}

void task_schedule(struct task *task, int args)
{
  struct mg_vm *vm = task->vm;
  task->args = args;
  list_push(&vm->ready, &task->node);
  CHECK(uv_idle_start(&vm->turn, on_turn) == 0);
}

int task_wait(struct mg_vm *vm, void (*cancel)(struct task *task), void *operation)
{
  struct task *task = vm->current;
  if (!task || task->state != TASK_RUNNING)
    return ERR_STATE;
  task->state = TASK_WAITING;
  task->cancel = cancel;
  task->operation = operation;
  if (task->exchange)
    deadline_set(&vm->loop->deadlines, &task->deadline, TASK_WAIT_MS);
  return 0;
}

void task_wake(struct task *task, int result)
{
  struct mg_vm *vm = task->vm;
  CHECK(task->state == TASK_WAITING && !task->woken);
  if (task->cancel)
    task->cancel(task);
  task->cancel = NULL;
  task->result = result;
  if (vm->current == task) {
    task->woken = 1;
    return;
  }
  task->state = TASK_RUNNING;
  lua_pushinteger(task->lua, result);
  if (vm->watch.depth == 0) {
    task_run(task, 1);
    return;
  }
  /* Lua runs: this one goes on from the loop, so that it is never entered twice. */
  task_schedule(task, 1);
}

void tasks_close(struct mg_vm *vm)
{
  for (uint32_t i = 0; i < vm->task_count; i++) {
    struct task *task = vm->tasks[i];
    if (task->state == TASK_WAITING && task->cancel)
      task->cancel(task);
    task->cancel = NULL;
    deadline_remove(&task->deadline);
    uv_close((uv_handle_t *)&task->timer, NULL);
  }
}

void tasks_fini(struct mg_vm *vm)
{
  for (uint32_t i = 0; i < vm->task_count; i++)
    free(vm->tasks[i]);
  free(vm->tasks);
}
