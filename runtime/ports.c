/* SPDX-License-Identifier: Apache-2.0 */
#include "ports.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accept.h"
#include "base/err.h"
#include "base/log.h"
#include "net/port.h"
#include "sessions.h"

/* One that is open, of worker->ports, which is in the order of port_key. */
struct open_port {
  struct list node;
  struct mg_port *port;      /* counted */
  struct listener *listener; /* of TCP */
  struct udp_port *udp;
};

/* open and close */

static void close_port(struct open_port *open)
{
  if (open->listener) {
    listener_close(open->listener);
    port_leave(open->port);
  }
  if (open->udp)
    sessions_close_port(open->udp);
  list_remove(&open->node);
  port_unref(open->port);
  free(open);
}

static int open_udp(struct worker *worker, struct open_port *open, int fd)
{
  int err = worker->sessions ? 0 : sessions_new(&worker->sessions, worker);
  if (err < 0) {
    close(fd);
    port_leave(open->port);
    return err;
  }
  return sessions_open_port(worker->sessions, &open->udp, fd, open->port);
}

static int open_tcp(struct worker *worker, struct open_port *open, int fd)
{
  int err =
      listener_open(&open->listener, &worker->uv, fd, accept_connection, worker, LISTEN_SERVICE);
  if (err < 0)
    port_leave(open->port);
  else
    open->listener->port = port_number(open->port);
  return err;
}

static struct open_port *entry_of(struct list *node)
{
  return LIST_ENTRY(node, struct open_port, node);
}

/* Puts it into the list before `next`. */
static void open_port(struct worker *worker, struct list *next, struct mg_port *port)
{
  int fd = port_take(port, worker->index - 1);
  if (fd < 0)
    return; /* a later snapshot is without it */
  struct open_port *open = calloc(1, sizeof(*open));
  if (!open) {
    close(fd); /* the other workers serve it */
    port_leave(port);
    log_error("out_of_memory", "object", "port");
    return;
  }
  open->port = port_ref(port);
  list_push(next->prev, &open->node);
  int err = (port_type(port) == SOCK_DGRAM ? open_udp : open_tcp)(worker, open, fd);
  if (err < 0) {
    log_error("port_not_open", "port", LOG_NUM(port_number(port)), "error", err_text(err));
    close_port(open);
  }
}

static uint32_t key_of(const struct mg_port *port)
{
  return port_key(port_type(port), port_number(port));
}

/* Closes what is open and not wanted, from `at` on up to the place of `port` (NULL: to the end); returns
 * where it has stopped. */
static struct list *close_before(struct worker *worker, struct list *at, const struct mg_port *port)
{
  while (at != &worker->ports) {
    struct open_port *open = entry_of(at);
    if (port && (open->port == port || key_of(open->port) > key_of(port)))
      break;
    at = at->next;
    close_port(open);
  }
  return at;
}

/* What is open and what is wanted are in one order. */
void ports_adopt(struct worker *worker, const struct mg_snapshot *snapshot)
{
  uint32_t count;
  const struct snapshot_port *wanted = snapshot_ports(snapshot, &count);
  struct list *at = worker->ports.next;
  for (uint32_t i = 0; i < count; i++) {
    struct mg_port *port = wanted[i].port;
    at = close_before(worker, at, port);
    if (at != &worker->ports && entry_of(at)->port == port)
      at = at->next;
    else
      open_port(worker, at, port);
  }
  (void)close_before(worker, at, NULL);
}

void ports_close(struct worker *worker)
{
  while (!list_empty(&worker->ports))
    close_port(entry_of(worker->ports.next));
}

/* endpoints */

static const struct snapshot_port *find(const struct worker *worker, int type, uint16_t number)
{
  const struct exchange_pin *pin = worker->exchanges.pin;
  return pin ? snapshot_port(pin->snapshot, type, number) : NULL;
}

int ports_expect_header(const struct worker *worker, uint16_t number)
{
  const struct snapshot_port *port = find(worker, SOCK_STREAM, number);
  return port && port->proxy & SNAPSHOT_PROXY_IN;
}

const struct snapshot_port *ports_choice_init(struct worker *worker, struct mg_choice *choice,
                                              int type, uint16_t number)
{
  const struct snapshot_port *port = find(worker, type, number);
  memset(choice, 0, sizeof(*choice));
  if (!port)
    return NULL;
  choice->snapshot = mg_snapshot_ref(worker->exchanges.pin->snapshot);
  choice->service = port->service;
  return port;
}

int ports_choose(struct worker *worker, struct mg_choice *choice, struct sockaddr_storage *to)
{
  struct mg_place *chosen = &choice->chosen;
  chosen->ip[0] = 0;
  int err = vm_call(&worker->vm, "choose", choice);
  if (err < 0)
    return err;
  memset(to, 0, sizeof(*to));
  err = uv_ip4_addr(chosen->ip, chosen->port, (struct sockaddr_in *)to);
  return err == 0 ? 0 : uv_ip6_addr(chosen->ip, chosen->port, (struct sockaddr_in6 *)to);
}

int ports_choose_again(struct worker *worker, struct mg_choice *choice, uint64_t started_ms)
{
  enum {
    TRIED_MAX = sizeof(choice->tried) / sizeof(choice->tried[0])
  };
  const struct mg_settings *settings = &worker->vm.settings;
  uint64_t passed_ms = uv_now(&worker->uv) - started_ms;
  if (choice->tried_count == TRIED_MAX)
    return 0;
  choice->tried[choice->tried_count++] = choice->chosen;
  if (settings->stream_tries > 0 && choice->tried_count >= settings->stream_tries)
    return 0;
  if (settings->stream_tries_ms > 0 && passed_ms >= settings->stream_tries_ms)
    return 0;
  stat_add(&worker->exchanges.stats.counts, STAT_STREAM_RETRIES, 1);
  return 1;
}

void ports_choice_fini(struct mg_choice *choice)
{
  mg_snapshot_unref(choice->snapshot);
  choice->snapshot = NULL;
}
