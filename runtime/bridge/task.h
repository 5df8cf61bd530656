/* SPDX-License-Identifier: Apache-2.0 */
/* Coroutines that C resumes. A task runs one stage of an exchange or a function of a script; it waits
 * by starting an operation here and yielding, and goes on with the operation's result.
 *
 * IDLE -> RUNNING -> WAITING -> RUNNING ... -> IDLE
 * IDLE: in the pool. RUNNING: Lua runs, or will at the loop's next turn. WAITING: an operation is
 * under way; `cancel` ends it. */
#ifndef BRIDGE_TASK_H
#define BRIDGE_TASK_H

#include "bridge/vm.h"
#include "net/deadline.h"

enum task_state {
  TASK_IDLE,
  TASK_RUNNING,
  TASK_WAITING
};

struct task {
  struct list node; /* of vm->idle or vm->ready */
  struct mg_vm *vm;
  lua_State *lua;
  int ref;                   /* keeps the coroutine alive */
  uint32_t number;           /* index into vm->tasks */
  uint32_t generation;       /* counts uses, so that a late wake-up finds nobody */
  struct exchange *exchange; /* NULL: a function of a script */
  uint8_t stage;
  uint8_t state;    /* enum task_state */
  uint8_t waited;   /* this run has waited: its end must be told by exchange_resume */
  uint8_t woken;    /* the result came before the yield */
  uint8_t terminal; /* ctx:respond and its kin: never resumed */
  uint8_t verdict;  /* of a terminal yield */
  int result;       /* of the operation, handed to Lua */
  uint32_t id;      /* of mg_spawn; 0: none */
  int args;         /* values on the coroutine's stack for the next resume */
  void (*cancel)(struct task *task);
  void *operation; /* of whoever set cancel */
  uv_timer_t timer;
  struct deadline deadline; /* of this wait */
};

/* Deadline of each wait of a stage; scripts' own tasks have none. */
enum {
  TASK_WAIT_MS = 5000
};

/* NULL when memory is short. */
struct task *task_take(struct mg_vm *vm);
/* Runs `task`, whose coroutine holds a function and `args` values. */
void task_run(struct task *task, int args);
/* As task_run, at the loop's next turn. */
void task_schedule(struct task *task, int args);
/* The task that runs now begins to wait. ERR_STATE outside a task, or when it waits already. */
MG_MUST_USE int task_wait(struct mg_vm *vm, void (*cancel)(struct task *task), void *operation);
/* Ends a wait that has begun and is not yielded for. Nothing happens where there is none. */
void task_abandon(struct task *task);
/* The operation is over. From within Lua's own call the task goes on once it has yielded. */
void task_wake(struct task *task, int result);
/* Closes all handles and ends all waits; nothing of Lua runs afterwards. */
void tasks_close(struct mg_vm *vm);
void tasks_fini(struct mg_vm *vm);

#endif
