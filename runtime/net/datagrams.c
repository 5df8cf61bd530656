/* SPDX-License-Identifier: Apache-2.0 */
#include "net/datagrams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  TURN_DATAGRAMS = 64 /* read before others have a turn */
};

struct datagrams {
  uv_poll_t poll;
  int fd; /* -1: closed */
  int family;
  uv_buf_t *read_buf;
  datagram_fn *fn;
  void *owner;
};

/* Room for either kind of packet information. */
union control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* addresses: this module speaks IPv6 with its owner, and with the kernel what the socket is of */

static void map(struct in_addr v4, struct in6_addr *out)
{
  memset(out, 0, sizeof(*out));
  out->s6_addr[10] = out->s6_addr[11] = 0xff;
  memcpy(&out->s6_addr[12], &v4, sizeof(v4));
}

static struct in_addr unmap(const struct in6_addr *v6)
{
  struct in_addr v4;
  memcpy(&v4, &v6->s6_addr[12], sizeof(v4));
  return v4;
}

static void read_client(const struct sockaddr_storage *from, struct datagram_path *path)
{
  path->client.sin6_family = AF_INET6;
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
    path->client.sin6_port = v4->sin_port;
    map(v4->sin_addr, &path->client.sin6_addr);
    return;
  }
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
  path->client.sin6_port = v6->sin6_port;
  path->client.sin6_addr = v6->sin6_addr;
  path->client.sin6_scope_id = v6->sin6_scope_id;
}

static void read_local(struct msghdr *message, struct datagram_path *path)
{
  for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(at), sizeof(info));
      map(info.ipi_addr, &path->local);
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(at), sizeof(info));
      path->local = info.ipi6_addr;
      if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
        path->interface = info.ipi6_ifindex;
    }
  }
}

/* reading */

/* Below 0: there is nothing to read. */
static ssize_t receive(struct datagrams *self, struct datagram_path *path)
{
  struct sockaddr_storage from;
  union control control;
  struct iovec into = { self->read_buf->base, self->read_buf->len };
  struct msghdr message = { .msg_name = &from,
                            .msg_namelen = sizeof(from),
                            .msg_iov = &into,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes) };
  ssize_t length = recvmsg(self->fd, &message, 0);
  if (length < 0)
    return length;
  memset(path, 0, sizeof(*path));
  read_client(&from, path);
  read_local(&message, path);
  return length;
}

static void on_readable(uv_poll_t *poll, int err, int events)
{
  struct datagrams *self = poll->data;
  (void)err; /* of the socket: recvmsg takes it away */
  (void)events;
  for (int i = 0; i < TURN_DATAGRAMS && self->fd >= 0; i++) {
    struct datagram_path path;
    ssize_t length = receive(self, &path);
    if (length < 0 && errno != EINTR)
      return;
    if (length >= 0)
      self->fn(self, &path, self->read_buf->base, (size_t)length);
  }
}

/* writing */

/* Has the answer come from `path->local`. */
static void put_local(const struct datagrams *self, const struct datagram_path *path,
                      struct msghdr *message, union control *control)
{
  memset(control, 0, sizeof(*control));
  message->msg_control = control->bytes;
  struct cmsghdr *header = &control->align;
  if (self->family == AF_INET) {
    struct in_pktinfo info = { .ipi_spec_dst = unmap(&path->local) };
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(info));
    message->msg_controllen = CMSG_SPACE(sizeof(info));
    memcpy(CMSG_DATA(header), &info, sizeof(info));
    return;
  }
  struct in6_pktinfo info = { .ipi6_addr = path->local, .ipi6_ifindex = path->interface };
  header->cmsg_level = IPPROTO_IPV6;
  header->cmsg_type = IPV6_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(info));
  message->msg_controllen = CMSG_SPACE(sizeof(info));
  memcpy(CMSG_DATA(header), &info, sizeof(info));
}

int datagrams_send(const struct datagrams *self, const struct datagram_path *path, const char *data,
                   size_t length)
{
  union control control;
  struct sockaddr_in v4 = { .sin_family = AF_INET,
                            .sin_port = path->client.sin6_port,
                            .sin_addr = unmap(&path->client.sin6_addr) };
  struct sockaddr_in6 v6 = path->client;
  struct iovec from = { (void *)(uintptr_t)data, length }; /* it is only read */
  struct msghdr message = { .msg_iov = &from, .msg_iovlen = 1 };
  message.msg_name = self->family == AF_INET ? (void *)&v4 : (void *)&v6;
  message.msg_namelen = self->family == AF_INET ? sizeof(v4) : sizeof(v6);
  put_local(self, path, &message, &control);
  return sendmsg(self->fd, &message, 0) < 0 ? uv_translate_sys_error(errno) : 0;
}

/* open and close */

static void on_closed(uv_handle_t *handle)
{
  free(handle->data);
}

static int ask_for_local(struct datagrams *self)
{
  int on = 1;
  struct sockaddr_storage addr;
  socklen_t size = sizeof(addr);
  if (getsockname(self->fd, (struct sockaddr *)&addr, &size) < 0)
    return uv_translate_sys_error(errno);
  self->family = addr.ss_family;
  int err = self->family == AF_INET
                ? setsockopt(self->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on))
                : setsockopt(self->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
  return err < 0 ? uv_translate_sys_error(errno) : 0;
}

int datagrams_open(struct datagrams **out, uv_loop_t *loop, int fd, uv_buf_t *read_buf,
                   datagram_fn *fn, void *owner)
{
  struct datagrams *self = calloc(1, sizeof(*self));
  if (!self) {
    close(fd);
    return UV_ENOMEM;
  }
  *self = (struct datagrams){ .fd = fd, .read_buf = read_buf, .fn = fn, .owner = owner };
  int err = ask_for_local(self);
  if (err == 0)
    err = uv_poll_init(loop, &self->poll, fd);
  if (err < 0) {
    close(fd);
    free(self);
    return err;
  }
  self->poll.data = self;
  err = uv_poll_start(&self->poll, UV_READABLE, on_readable);
  if (err < 0)
    datagrams_close(self);
  else
    *out = self;
  return err;
}

void *datagrams_owner(const struct datagrams *self)
{
  return self->owner;
}

void datagrams_close(struct datagrams *self)
{
  uv_close((uv_handle_t *)&self->poll, on_closed);
  close(self->fd); /* the loop has let go of it; the port is free as soon as that is said */
  self->fd = -1;
}
