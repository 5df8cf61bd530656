/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/watchdog.h"

#include <stdlib.h>

#include <lauxlib.h>

#include "base/log.h"

struct seen {
  struct mg_vm *vm;
  uint64_t turn;
  uint64_t since_ms;
  uint64_t armed_ms;
};

struct watchdog {
  uv_thread_t thread;
  uv_mutex_t mutex;
  uv_cond_t wake;
  int ended;
  unsigned count;
  struct seen seen[];
};

static const char vm_key; /* its address is where the registry holds the struct mg_vm */

void watch_init(struct mg_vm *vm)
{
  lua_pushlightuserdata(vm->lua, (void *)&vm_key); /* only compared */
  lua_pushlightuserdata(vm->lua, vm);
  lua_rawset(vm->lua, LUA_REGISTRYINDEX);
  mg_watch_limit(vm, 0);
}

void mg_watch_limit(struct mg_vm *vm, uint32_t limit_ms)
{
  atomic_store(&vm->watch.limit_ms, limit_ms ? limit_ms : WATCH_STOP_MS);
}

/* Runs in the thread of the script, at each instruction until that is back in C: a coroutine of the
 * script's own yields to the one that resumed it, which is the next to yield. */
static void on_hook(lua_State *lua, lua_Debug *debug)
{
  (void)debug;
  lua_pushlightuserdata(lua, (void *)&vm_key);
  lua_rawget(lua, LUA_REGISTRYINDEX);
  struct mg_vm *vm = lua_touserdata(lua, -1);
  lua_pop(lua, 1);
  if (!atomic_load(&vm->watch.armed)) { /* it came back just before the hook was there */
    lua_sethook(lua, NULL, 0, 0);
    return;
  }
  if (lua_isyieldable(lua)) {
    vm->watch.stopped = 1;
    lua_yield(lua, 0);
    return;
  }
  luaL_error(lua, "stopped: the script ran for more than %d ms without waiting",
             (int)atomic_load(&vm->watch.limit_ms));
}

void watch_disarm(struct mg_vm *vm)
{
  lua_sethook(vm->lua, NULL, 0, 0);
  atomic_store(&vm->watch.armed, 0);
}

static void look(struct seen *seen, uint64_t now_ms)
{
  struct mg_vm *vm = seen->vm;
  uint64_t turn = atomic_load(&vm->watch.turn);
  if (turn != seen->turn || !(turn & 1)) {
    seen->turn = turn;
    seen->since_ms = now_ms;
    return;
  }
  if (now_ms - seen->since_ms < atomic_load(&vm->watch.limit_ms))
    return;
  if (!atomic_load(&vm->watch.armed)) {
    atomic_store(&vm->watch.armed, 1);
    if (vm->exchanges)
      stats_limit(&vm->exchanges->stats.counts, LIMIT_SCRIPT_TIME); /* nobody else counts these */
    log_error("script_stopped", "state", vm->role);
  } else if (now_ms - seen->armed_ms < WATCH_AGAIN_MS) {
    return;
  } else {
    /* The compiler that began or ended a trace at that very time may have undone what was set. */
    lua_sethook(vm->lua, NULL, 0, 0);
  }
  seen->armed_ms = now_ms;
  /* The one call that Lua permits from elsewhere: it sets flags that the interpreter polls. */
  lua_sethook(vm->lua, on_hook, LUA_MASKCOUNT, 1);
}

static void run(void *data)
{
  struct watchdog *self = data;
  uv_mutex_lock(&self->mutex);
  while (!self->ended) {
    (void)uv_cond_timedwait(&self->wake, &self->mutex, WATCH_STEP_MS * 1000000ull);
    log_sweep(0);
    uint64_t now_ms = uv_hrtime() / 1000000;
    for (unsigned i = 0; i < self->count && !self->ended; i++)
      look(&self->seen[i], now_ms);
  }
  uv_mutex_unlock(&self->mutex);
}

int watchdog_new(struct watchdog **out, struct mg_vm *const *vms, unsigned count)
{
  struct watchdog *self = calloc(1, sizeof(*self) + count * sizeof(struct seen));
  if (!self)
    return UV_ENOMEM;
  self->count = count;
  for (unsigned i = 0; i < count; i++)
    self->seen[i] = (struct seen){ .vm = vms[i] };
  int err = uv_mutex_init(&self->mutex);
  if (err < 0)
    goto free_self;
  err = uv_cond_init(&self->wake);
  if (err < 0)
    goto destroy_mutex;
  err = uv_thread_create(&self->thread, run, self);
  if (err < 0)
    goto destroy_wake;
  *out = self;
  return 0;

destroy_wake:
  uv_cond_destroy(&self->wake);
destroy_mutex:
  uv_mutex_destroy(&self->mutex);
free_self:
  free(self);
  return err;
}

void watchdog_free(struct watchdog *self)
{
  uv_mutex_lock(&self->mutex);
  self->ended = 1;
  uv_cond_signal(&self->wake);
  uv_mutex_unlock(&self->mutex);
  (void)uv_thread_join(&self->thread); /* it was created */
  uv_cond_destroy(&self->wake);
  uv_mutex_destroy(&self->mutex);
  free(self);
}
