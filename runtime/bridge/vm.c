/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "bridge/embed.h"
#include "bridge/fetch.h"
#include "bridge/process.h"
#include "bridge/socket.h"
#include "bridge/task.h"
#include "bridge/watchdog.h"

static const struct embedded *find_embedded(const char *name)
{
  unsigned low = 0;
  unsigned high = mg_embedded_count;
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    int order = strcmp(mg_embedded[middle].name, name);
    if (order == 0)
      return &mg_embedded[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

/* Where a module of this name may stand in the binary. */
static const char *const places[] = { "scripts/%s.lua", "scripts/%s/init.lua", "%s.lua",
                                      "%s/init.lua" };

/* package.loaders entry: (name) -> function, or a text that says what was tried. */
static int load_embedded(lua_State *lua)
{
  char path[256];
  char file[300];
  const char *name = luaL_checkstring(lua, 1);
  (void)snprintf(path, sizeof(path), "%s", name);
  for (char *at = path; *at; at++) {
    if (*at == '.')
      *at = '/';
  }
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
    (void)snprintf(file, sizeof(file), places[i], path);
    const struct embedded *found = find_embedded(file);
    if (!found)
      continue;
    char chunk[304];
    (void)snprintf(chunk, sizeof(chunk), "=%s", file);
    if (luaL_loadbuffer(lua, (const char *)found->data, found->size, chunk) != 0)
      return lua_error(lua);
    return 1;
  }
  lua_pushfstring(lua, "\n\tno module '%s' in the binary", name);
  return 1;
}

/* (name) -> text of an embedded file, or nil. */
static int embedded_text(lua_State *lua)
{
  const struct embedded *found = find_embedded(luaL_checkstring(lua, 1));
  if (found)
    lua_pushlstring(lua, (const char *)found->data, found->size);
  else
    lua_pushnil(lua);
  return 1;
}

/* (beginning) -> names of the embedded files that begin so, in order. */
static int embedded_names(lua_State *lua)
{
  const char *beginning = luaL_checkstring(lua, 1);
  int count = 0;
  lua_newtable(lua);
  for (unsigned i = 0; i < mg_embedded_count; i++) {
    if (strncmp(mg_embedded[i].name, beginning, strlen(beginning)) == 0) {
      lua_pushstring(lua, mg_embedded[i].name);
      lua_rawseti(lua, -2, ++count);
    }
  }
  return 1;
}

/* The embedded modules come before the file system: a scripts folder cannot replace one by accident. */
static void install_loader(lua_State *lua)
{
  lua_getglobal(lua, "package");
  lua_getfield(lua, -1, "loaders");
  for (int i = (int)lua_objlen(lua, -1); i >= 2; i--) {
    lua_rawgeti(lua, -1, i);
    lua_rawseti(lua, -2, i + 1);
  }
  lua_pushcfunction(lua, load_embedded);
  lua_rawseti(lua, -2, 2);
  lua_pop(lua, 1);
  lua_getfield(lua, -1, "preload");
  lua_pop(lua, 2);
}

static int on_panic(lua_State *lua)
{
  log_error("lua_panic", "error", lua_tostring(lua, -1));
  return 0;
}

static int on_failure(lua_State *lua)
{
  luaL_traceback(lua, lua, lua_tostring(lua, 1), 1);
  return 1;
}

/* Function and `args` arguments are on the stack; on success one result is left there. */
static int call(struct mg_vm *vm, int args)
{
  lua_State *lua = vm->lua;
  int base = lua_gettop(lua) - args;
  lua_pushcfunction(lua, on_failure);
  lua_insert(lua, base);
  watch_enter(vm);
  int status = lua_pcall(lua, args, 1, base);
  watch_leave(vm);
  lua_remove(lua, base);
  if (status == 0)
    return 0;
  log_error("script_failed", "error", lua_tostring(lua, -1));
  stat_bump(&vm->script_errors, 1);
  lua_pop(lua, 1);
  return ERR_SCRIPT;
}

static int push_boot(struct mg_vm *vm, lua_State *onto, const char *function)
{
  lua_State *lua = vm->lua;
  lua_getglobal(lua, "require");
  lua_pushliteral(lua, "moongate.boot");
  int err = call(vm, 1);
  if (err < 0)
    return err;
  lua_getfield(lua, -1, function);
  lua_remove(lua, -2);
  if (lua != onto)
    lua_xmove(lua, onto, 1);
  return 0;
}

int vm_call(struct mg_vm *vm, const char *function, const void *pointer)
{
  int err = push_boot(vm, vm->lua, function);
  if (err < 0)
    return err;
  lua_pushlightuserdata(vm->lua, (void *)pointer); /* Lua casts it back and reads */
  err = call(vm, 1);
  if (err < 0)
    return err;
  int result = (int)lua_tointeger(vm->lua, -1);
  lua_pop(vm->lua, 1);
  return result;
}

void vm_stopped(struct mg_vm *vm, int stage, uint32_t number, const char *error)
{
  if (push_boot(vm, vm->lua, "stopped") < 0)
    return; /* logged there */
  lua_pushinteger(vm->lua, stage);
  lua_pushinteger(vm->lua, (lua_Integer)number);
  lua_pushstring(vm->lua, error);
  if (call(vm, 3) == 0)
    lua_pop(vm->lua, 1);
}

int vm_start(struct mg_vm *vm, const char *function, int argc, char **argv)
{
  struct task *task = task_take(vm);
  if (!task)
    return UV_ENOMEM;
  int err = push_boot(vm, task->lua, function);
  if (err < 0)
    return err;
  for (int i = 0; i < argc; i++)
    lua_pushstring(task->lua, argv[i]);
  task_schedule(task, argc);
  return 0;
}

/* Makes `moongate.core`'s raw material known: package.preload would be late for the cdef. */
static int open_state(struct mg_vm *vm)
{
  lua_State *lua = vm->lua;
  luaL_openlibs(lua);
  install_loader(lua);
  lua_newtable(lua);
  lua_pushlightuserdata(lua, vm);
  lua_setfield(lua, -2, "vm");
  lua_pushstring(lua, vm->role);
  lua_setfield(lua, -2, "role");
  lua_pushcfunction(lua, embedded_text);
  lua_setfield(lua, -2, "text");
  lua_pushcfunction(lua, embedded_names);
  lua_setfield(lua, -2, "names");
  lua_getglobal(lua, "package");
  lua_getfield(lua, -1, "loaded");
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "moongate.host");
  lua_pop(lua, 3);
  return 0;
}

static int keep_function(struct mg_vm *vm, const char *name, int *ref)
{
  int err = push_boot(vm, vm->lua, name);
  if (err < 0)
    return err;
  if (!lua_isfunction(vm->lua, -1)) {
    lua_pop(vm->lua, 1);
    log_error("script_failed", "error", "moongate.boot lacks a function", "function", name);
    return ERR_SCRIPT;
  }
  *ref = luaL_ref(vm->lua, LUA_REGISTRYINDEX);
  return 0;
}

static void on_tick(uv_prepare_t *tick)
{
  struct mg_vm *vm = tick->data;
  uint64_t bytes = (uint64_t)lua_gc(vm->lua, LUA_GCCOUNT, 0) * 1024;
  stat_set(&vm->exchanges->stats.counts, STAT_LUA_HEAP, bytes);
}

/* uv_prepare_init and its start cannot fail. */
static void start_tick(struct mg_vm *vm)
{
  CHECK(uv_prepare_init(vm->loop->uv, &vm->tick) == 0);
  vm->tick.data = vm;
  uv_unref((uv_handle_t *)&vm->tick);
  if (vm->exchanges)
    CHECK(uv_prepare_start(&vm->tick, on_tick) == 0);
}

int vm_init(struct mg_vm *vm)
{
  list_init(&vm->idle);
  list_init(&vm->ready);
  list_init(&vm->fetches);
  vm->lua = luaL_newstate();
  if (!vm->lua) {
    log_error("out_of_memory", "object", "Lua state");
    return UV_ENOMEM;
  }
  CHECK(uv_idle_init(vm->loop->uv, &vm->turn) == 0); /* cannot fail */
  vm->turn.data = vm;
  start_tick(vm);
  watch_init(vm);
  lua_atpanic(vm->lua, on_panic);
  int err = open_state(vm);
  if (err == 0)
    err = keep_function(vm, "dispatch", &vm->dispatch_ref);
  if (err == 0)
    err = keep_function(vm, "start", &vm->start_ref);
  return err;
}

void vm_close(struct mg_vm *vm)
{
  tasks_close(vm);
  fetches_close(vm);
  sockets_close(vm);
  processes_close(vm);
  uv_close((uv_handle_t *)&vm->turn, NULL);
  uv_close((uv_handle_t *)&vm->tick, NULL);
}

void vm_fini(struct mg_vm *vm)
{
  if (vm->lua)
    lua_close(vm->lua);
  tasks_fini(vm);
  sockets_fini(vm);
  processes_fini(vm);
  buf_fini(&vm->resolved);
  buf_fini(&vm->shared_text);
}
