/* SPDX-License-Identifier: Apache-2.0 */
/* The Lua state of one thread: embedded modules, tasks, the hooks of exchanges. */
#ifndef BRIDGE_VM_H
#define BRIDGE_VM_H

#include <stdatomic.h>

#include <lua.h>

#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "bridge/api.h"
#include "exchange/exchange.h"
#include "http/h1/server.h"

enum {
  VM_CHANCE = 1024
};

struct task;
struct dicts;
struct sockets;
struct processes;

/* `turn` is odd while Lua runs and grows with each entry; the watchdog arms, the thread disarms. */
struct vm_watch {
  _Atomic uint64_t turn;
  _Atomic int armed;
  _Atomic uint32_t limit_ms; /* how long Lua may run without coming back */
  int stopped;               /* a coroutine was made to yield, for ever */
  unsigned depth;            /* of entries into Lua */
};

/* Owned by its thread; lives as long as it. */
struct mg_vm {
  lua_State *lua;
  struct net_loop *loop;
  struct pool *pool;
  struct exchanges *exchanges;
  struct access_log *stream_log; /* of TCP and UDP services; NULL: none */
  struct metrics *metrics;       /* of scripts, shared by all threads */
  struct dicts *dicts;           /* shared by all threads */
  void *owner;                   /* struct worker */
  const char *role;              /* "control", "worker" */
  struct task *current;          /* the one that runs now */
  struct list idle;              /* tasks without work */
  struct list fetches;           /* bridge/fetch.h */
  struct list ready;             /* tasks to go on at the loop's next turn */
  struct task **tasks;
  uint32_t task_count;
  uint32_t task_cap;
  uv_prepare_t tick; /* once a turn of the loop */
  uv_idle_t turn;    /* active while `ready` holds something */
  int dispatch_ref;  /* Lua: (stage, slot) -> verdict */
  int start_ref;     /* Lua: (id), runs what mg.task.spawn was given */
  struct vm_watch watch;
  uint64_t script_errors;            /* read by other threads, see base/stats.h */
  struct http_server_config *server; /* what mg_settings_apply fills; NULL with exchanges */
  struct tls_context *tls;
  int (*secure)(struct stream *stream, void *tls); /* starts TLS towards an upstream */
  struct mg_settings settings;
  struct buf resolved;         /* addresses of the last resolution */
  uint32_t password_checks;    /* under way in the thread pool */
  struct buf shared_text;      /* what was last read of a dictionary */
  struct sockets *sockets;     /* bridge/socket.h; NULL until the first */
  struct processes *processes; /* bridge/process.h; the same */
  struct log_line log;         /* the line that Lua writes now */
  uint8_t chance[VM_CHANCE];   /* random bytes; the first `chance_left` are not given out yet */
  uint32_t chance_left;
};

/* `loop`, `owner` and `role` are set beforehand; pool and exchanges may be NULL. 0, or an error that
 * has been logged. */
int vm_init(struct mg_vm *vm);
/* Begins to close the handles; the loop must run once more before vm_fini. */
void vm_close(struct mg_vm *vm);
void vm_fini(struct mg_vm *vm);
/* Calls a function of module moongate.boot with a pointer, outside any task: it cannot wait. Returns
 * its integer result, or ERR_SCRIPT after logging. */
int vm_call(struct mg_vm *vm, const char *function, const void *pointer);
/* Tells moongate.boot.stopped that the watchdog ended a task: a stage of the request in slot `number`, or
 * with a `stage` of -1 the task that mg_spawn was given `number` for. */
void vm_stopped(struct mg_vm *vm, int stage, uint32_t number, const char *error);
/* Starts moongate.boot's `function` with the arguments as a task that may wait. */
int vm_start(struct mg_vm *vm, const char *function, int argc, char **argv);

#endif
