/* SPDX-License-Identifier: Apache-2.0 */
#include "net/port.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <uv.h>

#include "base/check.h"
#include "net/listener.h"

struct mg_port {
  atomic_uint references;
  atomic_uint users;
  int type;
  uint16_t number;
  unsigned count;
  _Atomic int sockets[]; /* -1: not ours any more */
};

static int bind_all(struct mg_port *port, int shared)
{
  int *fds = calloc(port->count, sizeof(*fds));
  if (!fds)
    return UV_ENOMEM;
  int err = listener_bind_port(port->number, port->type, shared, fds, port->count);
  for (unsigned i = 0; i < port->count && err >= 0; i++)
    atomic_init(&port->sockets[i], fds[i]);
  free(fds);
  if (err < 0)
    return err;
  port->number = (uint16_t)err;
  return 0;
}

int port_new(struct mg_port **out, int type, uint16_t number, unsigned count, int shared)
{
  struct mg_port *self = calloc(1, sizeof(*self) + count * sizeof(self->sockets[0]));
  if (!self)
    return UV_ENOMEM;
  atomic_init(&self->references, 1);
  self->type = type;
  self->number = number;
  self->count = count;
  int err = bind_all(self, shared);
  if (err < 0)
    free(self);
  else
    *out = self;
  return err;
}

struct mg_port *port_ref(struct mg_port *port)
{
  atomic_fetch_add_explicit(&port->references, 1, memory_order_relaxed);
  return port;
}

void port_unref(struct mg_port *port)
{
  if (!port)
    return;
  /* The last one must see all that the others did before they let go. */
  unsigned before = atomic_fetch_sub_explicit(&port->references, 1, memory_order_acq_rel);
  CHECK(before > 0);
  if (before > 1)
    return;
  port_withdraw(port);
  free(port);
}

int port_type(const struct mg_port *port)
{
  return port->type;
}

uint16_t port_number(const struct mg_port *port)
{
  return port->number;
}

static int take(struct mg_port *port, unsigned worker)
{
  CHECK(worker < port->count);
  return atomic_exchange(&port->sockets[worker], -1);
}

int port_take(struct mg_port *port, unsigned worker)
{
  atomic_fetch_add(&port->users, 1); /* first: who asks must not think that nobody has it */
  int fd = take(port, worker);
  if (fd < 0)
    port_leave(port);
  return fd;
}

void port_leave(struct mg_port *port)
{
  atomic_fetch_sub(&port->users, 1);
}

unsigned port_users(const struct mg_port *port)
{
  return atomic_load(&port->users);
}

void port_withdraw(struct mg_port *port)
{
  for (unsigned i = 0; i < port->count; i++) {
    int fd = take(port, i);
    if (fd >= 0)
      close(fd);
  }
}
