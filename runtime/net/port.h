/* SPDX-License-Identifier: Apache-2.0 */
/* A port of a TCP or UDP service: one thread binds it, a socket for each worker, and each worker takes
 * its own when it comes to it. All sockets of a port are there from the start, so that the kernel
 * spreads clients over as many as there will be. */
#ifndef NET_PORT_H
#define NET_PORT_H

#include <stdint.h>

#include "base/compiler.h"

/* Counted; for any thread. */
struct mg_port;

/* `type` is SOCK_STREAM or SOCK_DGRAM; `number` 0 takes a free one; `count` says how many workers there
 * are. `shared`: sockets of ours may have it still, those of a port that is closing. */
MG_MUST_USE int port_new(struct mg_port **out, int type, uint16_t number, unsigned count,
                         int shared);
struct mg_port *port_ref(struct mg_port *port);
/* NULL is permitted. */
void port_unref(struct mg_port *port);
int port_type(const struct mg_port *port);
uint16_t port_number(const struct mg_port *port);
/* One number for both, by which ports are put in order. */
static inline uint32_t port_key(int type, uint16_t number)
{
  return (uint32_t)type << 16 | number;
}
/* The socket of a worker, from 0, which is the caller's until it is closed and port_leave says so; -1: it
 * was taken, or withdrawn. */
MG_MUST_USE int port_take(struct mg_port *port, unsigned worker);
void port_leave(struct mg_port *port);
/* How many have taken theirs and not left. */
unsigned port_users(const struct mg_port *port);
/* Closes the sockets that nobody has taken: nobody will. */
void port_withdraw(struct mg_port *port);

#endif
