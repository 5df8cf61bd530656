/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the gateway. A worker has a loop, a Lua state, listeners, connections and pools of its
 * own; the control thread is one too, whose requests are those of the admin listener. Nothing is shared
 * on the request path but snapshots.
 *
 * SETTING_UP -> RUNNING -> DRAINING -> CLOSING -> ended
 * DRAINING: no new connections, requests end. CLOSING: all handles close, the loop runs out. */
#ifndef WORKER_H
#define WORKER_H

#include <stdatomic.h>

#include "base/dict.h"
#include "base/series.h"
#include "bridge/vm.h"
#include "control/snapshot.h"
#include "exchange/access_log.h"
#include "http/server.h"
#include "net/listener.h"

enum {
  WORKERS_MAX = 256,
  LISTENERS_MAX = 64, /* of one worker */
  BOUND_MAX = 4096,
  MESSAGES_BYTES_MAX = 256 << 20, /* not yet read by their thread */
  SIGNAL_COUNT = 5,
  EXIT_INTERNAL = 70
};

/* Kinds of listeners, as mg_listen has them. */
enum {
  LISTEN_PLAIN,
  LISTEN_TLS,
  LISTEN_ADMIN,
  LISTEN_SERVICE /* a port of a TCP service, see ports.h */
};

enum worker_state {
  WORKER_SETTING_UP,
  WORKER_RUNNING,
  WORKER_DRAINING,
  WORKER_CLOSING
};

struct gateway;
struct series_page;

/* What another thread leaves for this one; taken under the gateway's mutex. */
struct worker_inbox {
  struct mg_snapshot *snapshot; /* the newest not yet adopted */
  struct buf messages;          /* each: uint32_t length, bytes */
  int drain;
  int reopen; /* the log files */
};

struct worker {
  struct gateway *gateway;
  unsigned index; /* 0: control */
  enum worker_state state;
  uv_loop_t uv;
  struct net_loop loop;
  char *read_bytes;
  struct pool *pool;
  struct exchanges exchanges;
  struct access_log access_log;
  struct access_log stream_log; /* of TCP and UDP services */
  struct http_server_config server;
  struct http_server_owner owner; /* of its clients' connections */
  struct list connections;
  struct tls_context *tls_context;
  struct tls_server *tls;
  const char *const *protocols;      /* of ALPN, see secure_open */
  struct list asked;                 /* hellos that wait for a script, see hello.h */
  uint32_t asked_last;               /* number of the last one */
  struct sockaddr_storage passes_to; /* of mg_hello_pass, while it runs */
  struct mg_vm vm;
  uv_async_t wake;
  uv_timer_t drain_timer;
  uv_thread_t thread;
  struct worker_inbox inbox;
  struct listener *listeners[LISTENERS_MAX];
  unsigned listener_count;
  struct list ports;         /* see ports.h */
  struct sessions *sessions; /* of UDP; NULL until there is such a port */
  uint64_t open;             /* connections of clients */
  uint64_t tcp_streams;      /* of them, those of TCP services */
  _Atomic uint64_t serves;   /* number of the snapshot that new requests get */
  unsigned drained_ms;
  unsigned unload_ms; /* of drained_ms, when scripts were told to end; 0: not yet */
  int unloaded;       /* they have ended */
};

/* A socket that was bound before its worker runs. */
struct bound {
  unsigned worker;
  int fd; /* -1 once it is open */
  int kind;
  uint16_t port;
};

struct gateway {
  uv_mutex_t mutex; /* guards the inboxes */
  struct metrics metrics;
  struct dicts dicts;
  struct mg_series_config series;  /* stands before the workers run */
  struct series_page *series_page; /* while the page /metrics is made: series.c */
  int keylog;                      /* file of TLS secrets, see mg_tls_log_keys; -1: none */
  struct tls_tickets *tickets;     /* NULL until sessions are resumed; under the mutex */
  struct worker control;
  struct worker *workers[WORKERS_MAX];
  unsigned count;
  unsigned started;
  atomic_uint ended;
  struct bound bound[BOUND_MAX];
  unsigned bound_count;
  struct watchdog *watchdog;
  atomic_uint drain_ms; /* how long requests may take at the end: a second signal says it anew */
  int exit_code;
  uv_signal_t signals[SIGNAL_COUNT];
};

/* gateway.c: runs the program to its end; returns its exit code. */
int gateway_run(int argc, char **argv);

int worker_init(struct worker *worker, struct gateway *gateway, unsigned index);
void worker_fini(struct worker *worker);
/* Opens the sockets that were bound for it. */
int worker_listen(struct worker *worker);
void worker_drain(struct worker *worker);
/* Runs until nothing is left; a thread's function. */
void worker_run(void *data);

#endif
