/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listener.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  BACKLOG = 4096
};

static int parse_port(const char *text)
{
  if (!*text)
    return UV_EINVAL;
  long port = 0;
  for (; *text; text++) {
    if (*text < '0' || *text > '9')
      return UV_EINVAL;
    port = port * 10 + (*text - '0');
    if (port > 65535)
      return UV_EINVAL;
  }
  return (int)port;
}

/* ":port" listens on both families by one IPv6 socket where there is IPv6. */
static int parse_address(const char *text, struct sockaddr_storage *out)
{
  char host[64];
  const char *colon = strrchr(text, ':');
  memset(out, 0, sizeof(*out));
  if (!colon)
    return UV_EINVAL;
  int port = parse_port(colon + 1);
  size_t len = (size_t)(colon - text);
  if (port < 0 || len >= sizeof(host))
    return UV_EINVAL;
  if (len == 0)
    return uv_ip6_addr("::", port, (struct sockaddr_in6 *)out);
  if (text[0] == '[' && text[len - 1] == ']') {
    memcpy(host, text + 1, len - 2);
    host[len - 2] = 0;
    return uv_ip6_addr(host, port, (struct sockaddr_in6 *)out);
  }
  memcpy(host, text, len);
  host[len] = 0;
  return uv_ip4_addr(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port,
                     (struct sockaddr_in *)out);
}

static socklen_t size_of(const struct sockaddr_storage *addr)
{
  return addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* Connections that have just ended do not keep a port of TCP; UDP would share it with anybody. */
static int allow_reuse(int fd, int type)
{
  int on = type == SOCK_STREAM;
  return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

static int bind_one(const struct sockaddr_storage *addr, int type)
{
  int on = 1;
  int fd = socket(addr->ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return uv_translate_sys_error(errno);
  if (allow_reuse(fd, type) < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
      bind(fd, (const struct sockaddr *)addr, size_of(addr)) < 0) {
    int err = uv_translate_sys_error(errno);
    close(fd);
    return err;
  }
  return fd;
}

/* SO_REUSEPORT would let a second gateway of the same user share a port unseen: the first socket is
 * bound without it once, to find out. */
static int probe(const struct sockaddr_storage *addr, int type)
{
  int fd = socket(addr->ss_family, type | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return uv_translate_sys_error(errno);
  int err = 0;
  if (allow_reuse(fd, type) < 0 || bind(fd, (const struct sockaddr *)addr, size_of(addr)) < 0)
    err = uv_translate_sys_error(errno);
  close(fd);
  return err;
}

static int bound_port(int fd, struct sockaddr_storage *addr)
{
  socklen_t size = sizeof(*addr);
  if (getsockname(fd, (struct sockaddr *)addr, &size) < 0)
    return uv_translate_sys_error(errno);
  return ntohs(addr->ss_family == AF_INET6 ? ((struct sockaddr_in6 *)addr)->sin6_port
                                           : ((struct sockaddr_in *)addr)->sin_port);
}

static void close_all(int *fds, unsigned count)
{
  for (unsigned i = 0; i < count; i++)
    close(fds[i]);
}

/* Whether `addr` can be bound. Where there is no IPv6, all addresses are those of IPv4. */
static int probe_any(const char *address, int type, struct sockaddr_storage *addr)
{
  int err = probe(addr, type);
  if (err != UV_EAFNOSUPPORT || address[0] != ':')
    return err;
  (void)uv_ip4_addr("0.0.0.0", parse_port(address + 1), (struct sockaddr_in *)addr);
  return probe(addr, type);
}

static int bind_inet(const char *address, int type, int shared, int *fds, unsigned count)
{
  struct sockaddr_storage addr;
  int port = parse_address(address, &addr);
  if (port < 0)
    return port;
  int err = probe_any(address, type, &addr);
  if (err < 0 && !(shared && err == UV_EADDRINUSE))
    return err;
  for (unsigned i = 0; i < count; i++) {
    fds[i] = bind_one(&addr, type);
    err = fds[i] < 0 ? fds[i] : bound_port(fds[i], &addr); /* the others get its port */
    if (err < 0) {
      close_all(fds, fds[i] < 0 ? i : i + 1);
      return err;
    }
  }
  return err;
}

static int bind_unix(const char *path, int *fds, unsigned count)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  struct stat old;
  if (strlen(path) >= sizeof(addr.sun_path))
    return UV_ENAMETOOLONG;
  memcpy(addr.sun_path, path, strlen(path) + 1);
  if (lstat(path, &old) == 0 && S_ISSOCK(old.st_mode))
    (void)unlink(path); /* bind tells when it could not be removed */
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return uv_translate_sys_error(errno);
  fds[0] = fd;
  if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
    int err = uv_translate_sys_error(errno);
    close(fd);
    return err;
  }
  for (unsigned i = 1; i < count; i++) {
    fds[i] = dup(fd);
    if (fds[i] < 0) {
      int err = uv_translate_sys_error(errno);
      close_all(fds, i);
      return err;
    }
  }
  return 0;
}

int listener_bind(const char *address, int *fds, unsigned count)
{
  if (strncmp(address, "unix:", 5) == 0)
    return bind_unix(address + 5, fds, count);
  return bind_inet(address, SOCK_STREAM, 0, fds, count);
}

int listener_bind_port(uint16_t port, int type, int shared, int *fds, unsigned count)
{
  char address[8];
  (void)snprintf(address, sizeof(address), ":%u", port);
  return bind_inet(address, type, shared, fds, count);
}

static void on_closed(uv_handle_t *handle)
{
  free(handle->data);
}

static void on_connection(uv_stream_t *stream, int err)
{
  struct listener *listener = stream->data;
  if (err == 0)
    listener->on_connection(listener);
}

static int is_unix(int fd)
{
  struct sockaddr_storage addr;
  socklen_t size = sizeof(addr);
  return getsockname(fd, (struct sockaddr *)&addr, &size) == 0 && addr.ss_family == AF_UNIX;
}

int listener_open(struct listener **out, uv_loop_t *loop, int fd,
                  void (*on_conn)(struct listener *listener), void *data, int kind)
{
  struct listener *self = calloc(1, sizeof(*self));
  if (!self) {
    close(fd);
    return UV_ENOMEM;
  }
  int pipe = is_unix(fd);
  int err = pipe ? uv_pipe_init(loop, &self->pipe, 0) : uv_tcp_init(loop, &self->tcp);
  if (err < 0) {
    free(self);
    close(fd);
    return err;
  }
  self->handle.data = self;
  self->on_connection = on_conn;
  self->data = data;
  self->kind = kind;
  err = pipe ? uv_pipe_open(&self->pipe, fd) : uv_tcp_open(&self->tcp, fd);
  if (err == 0 && !pipe)
    (void)uv_tcp_nodelay(&self->tcp, 1); /* what it accepts has it too: a call less for each */
  if (err < 0)
    close(fd);
  if (err == 0)
    err = uv_listen(&self->uv, BACKLOG, on_connection);
  if (err < 0)
    listener_close(self);
  else
    *out = self;
  return err;
}

void listener_close(struct listener *listener)
{
  uv_close(&listener->handle, on_closed);
}
