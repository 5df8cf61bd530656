/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: bound in one place, so that faults show at start, served by each worker's loop. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdint.h>

#include <uv.h>

#include "base/compiler.h"

struct listener {
  union {
    uv_handle_t handle;
    uv_stream_t uv;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  void (*on_connection)(struct listener *listener);
  void *data;
  int kind;
  uint16_t port;
};

/* Binds `count` sockets to `address` (host:port, [host]:port, :port, unix:/path): TCP ones share the
 * port by SO_REUSEPORT, a unix socket is one that all share. Returns the port (0 for unix) or an error;
 * `fds` are the caller's. */
MG_MUST_USE int listener_bind(const char *address, int *fds, unsigned count);
/* The same for a port of all addresses; `type` is SOCK_STREAM or SOCK_DGRAM. `shared`: beside sockets of
 * this process that have it already. */
MG_MUST_USE int listener_bind_port(uint16_t port, int type, int shared, int *fds, unsigned count);
/* Takes `fd` over, in failure too. */
MG_MUST_USE int listener_open(struct listener **out, uv_loop_t *loop, int fd,
                              void (*on_connection)(struct listener *listener), void *data,
                              int kind);
/* Frees it from the loop. */
void listener_close(struct listener *listener);

#endif
