/* SPDX-License-Identifier: Apache-2.0 */
/* Stops scripts that do not come back. One thread looks at all states; a state that has been inside the
 * same call of Lua for too long gets a hook (DESIGN D7: LuaJIT is built so that the hook also reaches
 * compiled loops). There the coroutine yields and is never resumed, which no pcall can catch. Where it
 * cannot yield, within a function of C, an error leads out to where it can. */
#ifndef BRIDGE_WATCHDOG_H
#define BRIDGE_WATCHDOG_H

#include "bridge/vm.h"

enum {
  WATCH_STOP_MS = 1000,
  WATCH_STEP_MS = 50,
  WATCH_AGAIN_MS = 200
};

struct watchdog;

/* Watches `count` states, which outlive it. */
int watchdog_new(struct watchdog **out, struct mg_vm *const *vms, unsigned count);
void watchdog_free(struct watchdog *watchdog);

/* Around each entry into Lua; entries nest. */
static inline void watch_enter(struct mg_vm *vm)
{
  if (vm->watch.depth++ == 0)
    atomic_fetch_add_explicit(&vm->watch.turn, 1, memory_order_relaxed);
}

/* Once the state is there. */
void watch_init(struct mg_vm *vm);
void watch_disarm(struct mg_vm *vm);

static inline void watch_leave(struct mg_vm *vm)
{
  if (--vm->watch.depth > 0)
    return;
  atomic_fetch_add_explicit(&vm->watch.turn, 1, memory_order_relaxed);
  if (atomic_load_explicit(&vm->watch.armed, memory_order_relaxed))
    watch_disarm(vm);
}

#endif
