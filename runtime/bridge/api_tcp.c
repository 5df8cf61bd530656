/* SPDX-License-Identifier: Apache-2.0 */
/* Byte streams for Lua: connect, listen, read into a bounded buffer, write. */
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "bridge/api.h"
#include "bridge/socket.h"
#include "bridge/task.h"
#include "net/listener.h"

enum {
  READ_AHEAD_BYTES = 64 * 1024,
  FINISH_MS = 5000,
  SOCKETS_MAX = 1 << 16
};

struct socket {
  struct stream *stream; /* NULL in one that listens, and once libuv has let go */
  struct mg_vm *vm;
  struct list node;          /* of sockets->all */
  struct list accepted_node; /* of the listener's `accepted`, until Lua takes it */
  struct list accepted;
  struct listener *listener;
  struct deadline deadline; /* of closing */
  struct buf in;
  struct task *reader; /* waits for open, data, or a connection */
  struct task *writer;
  size_t least; /* bytes that the reader waits for */
  uint32_t slot;
  int end;          /* why nothing more comes, 0: it may */
  uint8_t slotted;  /* a handle names it */
  uint8_t open;     /* connected */
  uint8_t shut;     /* our side is over */
  uint8_t released; /* no handle names it any more */
};

struct slot {
  struct socket *socket;
  uint32_t generation;
  uint32_t next_free;
};

struct sockets {
  struct list all;
  struct slot *slots;
  uint32_t count;
  uint32_t cap;
  uint32_t free; /* position + 1 */
  uint8_t closed;
};

/* slots */

static int sockets_of(struct mg_vm *vm, struct sockets **out)
{
  if (!vm->sockets) {
    vm->sockets = calloc(1, sizeof(*vm->sockets));
    if (!vm->sockets)
      return UV_ENOMEM;
    list_init(&vm->sockets->all);
  }
  *out = vm->sockets;
  return vm->sockets->closed ? UV_ECANCELED : 0;
}

static int add_slot(struct sockets *all, uint32_t *number)
{
  if (all->free > 0) {
    *number = all->free - 1;
    all->free = all->slots[*number].next_free;
    return 0;
  }
  if (all->count == all->cap) {
    uint32_t cap = all->cap ? all->cap * 2 : 16;
    if (cap > SOCKETS_MAX)
      return ERR_LIMIT;
    struct slot *slots = realloc(all->slots, cap * sizeof(*slots));
    if (!slots)
      return UV_ENOMEM;
    all->slots = slots;
    all->cap = cap;
  }
  all->slots[all->count] = (struct slot){ 0 };
  *number = all->count++;
  return 0;
}

static int name_socket(struct socket *socket, struct mg_handle *handle)
{
  struct sockets *all = socket->vm->sockets;
  uint32_t number = 0;
  int err = add_slot(all, &number);
  if (err < 0)
    return err;
  all->slots[number].socket = socket;
  socket->slot = number;
  socket->slotted = 1;
  *handle = (struct mg_handle){ number, all->slots[number].generation };
  return 0;
}

static struct socket *find(struct mg_vm *vm, const struct mg_handle *handle)
{
  const struct sockets *all = vm->sockets;
  if (!all || handle->number >= all->count)
    return NULL;
  const struct slot *slot = &all->slots[handle->number];
  return slot->generation == handle->generation ? slot->socket : NULL;
}

static void unname(struct socket *socket)
{
  if (!socket->slotted)
    return;
  struct sockets *all = socket->vm->sockets;
  struct slot *slot = &all->slots[socket->slot];
  slot->socket = NULL;
  slot->generation++;
  slot->next_free = all->free;
  all->free = socket->slot + 1;
  socket->slotted = 0;
}

/* waiting */

static void on_timeout(uv_timer_t *timer)
{
  task_wake(timer->data, UV_ETIMEDOUT);
}

static void cancel_read(struct task *task)
{
  struct socket *socket = task->operation;
  socket->reader = NULL;
  (void)uv_timer_stop(&task->timer); /* always 0 */
}

static void cancel_write(struct task *task)
{
  struct socket *socket = task->operation;
  socket->writer = NULL;
  (void)uv_timer_stop(&task->timer); /* always 0 */
}

static int begin_wait(struct socket *socket, int writes, double seconds)
{
  struct mg_vm *vm = socket->vm;
  struct task **waiter = writes ? &socket->writer : &socket->reader;
  if (*waiter)
    return UV_EBUSY;
  if (!(seconds >= 0) || seconds > 1e9)
    return UV_EINVAL;
  int err = task_wait(vm, writes ? cancel_write : cancel_read, socket);
  if (err < 0)
    return err;
  *waiter = vm->current;
  return seconds > 0
             ? uv_timer_start(&vm->current->timer, on_timeout, (uint64_t)(seconds * 1000 + 0.5), 0)
             : 0;
}

static void wake(struct task *task, int result)
{
  if (task)
    task_wake(task, result);
}

/* life */

static void free_socket(struct socket *socket)
{
  deadline_remove(&socket->deadline);
  list_remove(&socket->node);
  list_remove(&socket->accepted_node);
  buf_fini(&socket->in);
  free(socket);
}

static void on_deadline(struct deadline *deadline)
{
  struct socket *socket = LIST_ENTRY(deadline, struct socket, deadline);
  stream_close(socket->stream);
}

/* No handle names it from now on. `gently`: what is queued is still sent. */
static void release(struct socket *socket, int gently)
{
  unname(socket);
  socket->released = 1;
  wake(socket->reader, UV_ECANCELED);
  wake(socket->writer, UV_ECANCELED);
  if (socket->listener) {
    while (!list_empty(&socket->accepted)) {
      struct socket *other = LIST_ENTRY(socket->accepted.next, struct socket, accepted_node);
      list_remove(&other->accepted_node);
      release(other, 0);
    }
    listener_close(socket->listener);
    free_socket(socket);
  } else if (!socket->stream) {
    free_socket(socket);
  } else if (gently) {
    deadline_set(&socket->vm->loop->deadlines, &socket->deadline, FINISH_MS);
    stream_finish(socket->stream);
  } else {
    stream_close(socket->stream);
  }
}

/* stream events */

static struct socket *of(struct stream *stream)
{
  return stream->owner;
}

static void on_open(struct stream *stream, int err)
{
  struct socket *socket = of(stream);
  socket->open = err == 0;
  socket->end = err;
  if (err == 0)
    stream_read(stream, 1);
  wake(socket->reader, err);
}

static void on_data(struct stream *stream, char *data, size_t len)
{
  struct socket *socket = of(stream);
  if (socket->released)
    return;
  if (buf_put(&socket->in, data, len) < 0) {
    socket->end = UV_ENOMEM;
    stream_close(stream);
    wake(socket->reader, UV_ENOMEM);
    return;
  }
  int enough = socket->in.len >= socket->least;
  if (socket->in.len >= READ_AHEAD_BYTES && (enough || !socket->reader))
    stream_read(stream, 0);
  if (enough)
    wake(socket->reader, 0);
}

static void on_end(struct stream *stream, int err)
{
  struct socket *socket = of(stream);
  socket->end = err < 0 ? err : UV_EOF;
  if (socket->released)
    stream_close(stream);
  wake(socket->reader, socket->end);
  if (err < 0)
    wake(socket->writer, err);
}

static void on_drained(struct stream *stream)
{
  struct socket *socket = of(stream);
  if (socket->shut)
    stream_linger(stream);
  wake(socket->writer, 0);
}

static void on_closed(struct stream *stream)
{
  struct socket *socket = of(stream);
  if (!socket->released) {
    if (socket->end == 0)
      socket->end = UV_ECONNABORTED;
    wake(socket->reader, socket->end);
    wake(socket->writer, socket->end);
  }
  socket->stream = NULL; /* not before: who was woken may have let go of it, and it would be gone */
  if (socket->released)
    free_socket(socket);
}

static const struct stream_events events = { on_open, on_data, on_end, on_drained, on_closed };

/* making */

static int make(struct mg_vm *vm, int pipe, struct socket **out)
{
  struct sockets *all;
  int err = sockets_of(vm, &all);
  if (err < 0)
    return err;
  struct socket *socket = calloc(1, sizeof(*socket));
  if (!socket)
    return UV_ENOMEM;
  struct net_loop *loop = vm->loop;
  err = stream_new(&socket->stream, loop->uv, pipe ? STREAM_PIPE : STREAM_TCP, &events, socket,
                   &loop->read_buf);
  if (err < 0) {
    free(socket);
    return err;
  }
  socket->vm = vm;
  socket->least = 1;
  list_init(&socket->accepted_node);
  list_init(&socket->accepted);
  list_push(&all->all, &socket->node);
  deadline_add(&loop->deadlines, &socket->deadline, on_deadline);
  *out = socket;
  return 0;
}

/* A failed one goes as any other does. */
static int named_or_gone(struct socket *socket, int err, struct mg_handle *handle)
{
  if (err >= 0)
    err = name_socket(socket, handle);
  if (err < 0)
    release(socket, 0);
  return err;
}

int socket_adopt(struct mg_vm *vm, int fd, struct mg_handle *handle)
{
  struct socket *socket;
  int err = make(vm, 1, &socket);
  if (err < 0) {
    close(fd);
    return err;
  }
  err = stream_open(socket->stream, fd);
  if (err == 0) {
    socket->open = 1;
    stream_read(socket->stream, 1);
  }
  return named_or_gone(socket, err, handle);
}

int32_t mg_tcp_connect(struct mg_vm *vm, const char *address, uint32_t length, uint32_t port,
                       struct mg_handle *handle)
{
  struct sockaddr_storage addr = { 0 };
  char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 5];
  if (length >= sizeof(text) || port > 65535)
    return UV_EINVAL;
  memcpy(text, address, length);
  text[length] = 0;
  int pipe = strncmp(text, "unix:", 5) == 0;
  if (!pipe && uv_ip4_addr(text, (int)port, (struct sockaddr_in *)&addr) < 0 &&
      uv_ip6_addr(text, (int)port, (struct sockaddr_in6 *)&addr) < 0)
    return UV_EINVAL;
  struct socket *socket;
  int err = make(vm, pipe, &socket);
  if (err < 0)
    return err;
  err = pipe ? stream_connect_pipe(socket->stream, text + 5)
             : stream_connect(socket->stream, (const struct sockaddr *)&addr);
  return named_or_gone(socket, err, handle);
}

static void on_connection(struct listener *listener)
{
  struct socket *self = listener->data;
  struct socket *socket;
  if (make(self->vm, listener->handle.type == UV_NAMED_PIPE, &socket) < 0)
    return; /* the client sees its connection close with the listener */
  if (stream_accept(socket->stream, &listener->uv) < 0) {
    release(socket, 0);
    return;
  }
  socket->open = 1;
  stream_read(socket->stream, 1);
  list_push(self->accepted.prev, &socket->accepted_node); /* in the order of their coming */
  wake(self->reader, 0);
}

int32_t mg_tcp_listen(struct mg_vm *vm, const char *address, uint32_t length,
                      struct mg_handle *handle)
{
  char text[160];
  int fd;
  if (length >= sizeof(text))
    return UV_EINVAL;
  memcpy(text, address, length);
  text[length] = 0;
  struct sockets *all;
  int err = sockets_of(vm, &all);
  if (err < 0)
    return err;
  int port = listener_bind(text, &fd, 1);
  if (port < 0)
    return port;
  struct socket *socket = calloc(1, sizeof(*socket));
  if (!socket) {
    close(fd);
    return UV_ENOMEM;
  }
  err = listener_open(&socket->listener, vm->loop->uv, fd, on_connection, socket, 0);
  if (err < 0) {
    free(socket);
    return err;
  }
  socket->vm = vm;
  list_init(&socket->accepted_node);
  list_init(&socket->accepted);
  list_push(&all->all, &socket->node);
  list_init(&socket->deadline.node);
  err = named_or_gone(socket, 0, handle);
  return err < 0 ? err : port;
}

/* what Lua calls */

int32_t mg_tcp_wait_open(struct mg_vm *vm, const struct mg_handle *handle, double seconds)
{
  struct socket *socket = find(vm, handle);
  if (!socket || socket->listener)
    return ERR_STALE;
  int err = begin_wait(socket, 0, seconds);
  if (err == 0 && (socket->open || socket->end < 0))
    wake(socket->reader, socket->open ? 0 : socket->end);
  return err;
}

int32_t mg_tcp_wait_data(struct mg_vm *vm, const struct mg_handle *handle, uint32_t least,
                         double seconds)
{
  struct socket *socket = find(vm, handle);
  if (!socket || socket->listener)
    return ERR_STALE;
  int err = begin_wait(socket, 0, seconds);
  if (err < 0)
    return err;
  socket->least = least;
  if (socket->in.len >= least)
    wake(socket->reader, 0);
  else if (socket->end < 0)
    wake(socket->reader, socket->end);
  else
    stream_read(socket->stream, 1);
  return 0;
}

int32_t mg_tcp_data(struct mg_vm *vm, const struct mg_handle *handle, struct mg_text *data)
{
  const struct socket *socket = find(vm, handle);
  if (!socket)
    return ERR_STALE;
  *data = (struct mg_text){ socket->in.data, (uint32_t)socket->in.len };
  return socket->end;
}

int32_t mg_tcp_take(struct mg_vm *vm, const struct mg_handle *handle, uint32_t length)
{
  struct socket *socket = find(vm, handle);
  if (!socket || length > socket->in.len)
    return socket ? UV_EINVAL : ERR_STALE;
  buf_drop(&socket->in, length);
  if (socket->in.len < READ_AHEAD_BYTES && socket->stream)
    stream_read(socket->stream, 1);
  return 0;
}

int32_t mg_tcp_write(struct mg_vm *vm, const struct mg_handle *handle, const char *data,
                     uint32_t length)
{
  struct socket *socket = find(vm, handle);
  if (!socket || socket->listener)
    return ERR_STALE;
  if (socket->shut || !socket->stream)
    return UV_EPIPE;
  uv_buf_t out = uv_buf_init((char *)data, length); /* libuv does not write to it */
  int err = length > 0 ? stream_write(socket->stream, &out, 1) : 0;
  return err < 0 ? err : stream_queued(socket->stream) > 0;
}

int32_t mg_tcp_wait_drained(struct mg_vm *vm, const struct mg_handle *handle, double seconds)
{
  struct socket *socket = find(vm, handle);
  if (!socket || socket->listener)
    return ERR_STALE;
  int err = begin_wait(socket, 1, seconds);
  if (err == 0 && (!socket->stream || stream_queued(socket->stream) == 0))
    wake(socket->writer, socket->stream ? 0 : socket->end);
  return err;
}

int32_t mg_tcp_shutdown(struct mg_vm *vm, const struct mg_handle *handle)
{
  struct socket *socket = find(vm, handle);
  if (!socket || socket->listener)
    return ERR_STALE;
  socket->shut = 1;
  if (socket->stream && stream_queued(socket->stream) == 0)
    stream_linger(socket->stream); /* else on_drained does, which a writer may wait for */
  return 0;
}

int32_t mg_tcp_wait_accept(struct mg_vm *vm, const struct mg_handle *handle, double seconds)
{
  struct socket *socket = find(vm, handle);
  if (!socket || !socket->listener)
    return ERR_STALE;
  int err = begin_wait(socket, 0, seconds);
  if (err == 0 && !list_empty(&socket->accepted))
    wake(socket->reader, 0);
  return err;
}

int32_t mg_tcp_accept(struct mg_vm *vm, const struct mg_handle *handle, struct mg_handle *out)
{
  struct socket *self = find(vm, handle);
  if (!self || !self->listener)
    return ERR_STALE;
  if (list_empty(&self->accepted))
    return UV_EAGAIN;
  struct socket *socket = LIST_ENTRY(self->accepted.next, struct socket, accepted_node);
  list_remove(&socket->accepted_node);
  return named_or_gone(socket, 0, out);
}

void mg_tcp_close(struct mg_vm *vm, const struct mg_handle *handle, int32_t at_once)
{
  struct socket *socket = find(vm, handle);
  if (socket)
    release(socket, !at_once && socket->open);
}

void mg_tcp_reset(struct mg_vm *vm, const struct mg_handle *handle)
{
  struct socket *socket = find(vm, handle);
  if (!socket)
    return;
  if (socket->stream)
    stream_reset(socket->stream);
  release(socket, 0);
}

/* the end of the thread */

void sockets_close(struct mg_vm *vm)
{
  struct sockets *all = vm->sockets;
  if (!all)
    return;
  all->closed = 1;
  struct list rest; /* those that wait for libuv leave `all` later */
  list_init(&rest);
  while (!list_empty(&all->all)) {
    struct socket *socket = LIST_ENTRY(all->all.next, struct socket, node);
    list_remove(&socket->node);
    list_push(&rest, &socket->node);
    if (socket->released)
      stream_close(socket->stream);
    else
      release(socket, 0);
  }
  while (!list_empty(&rest)) {
    struct list *node = rest.next;
    list_remove(node);
    list_push(&all->all, node);
  }
}

void sockets_fini(struct mg_vm *vm)
{
  if (vm->sockets)
    free(vm->sockets->slots);
  free(vm->sockets);
}
