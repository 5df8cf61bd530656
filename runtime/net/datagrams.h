/* SPDX-License-Identifier: Apache-2.0 */
/* A UDP socket that is bound to a port of all addresses. It says at which of them a datagram came, so
 * that an answer comes from there: a client would not know it otherwise. Nothing is queued. */
#ifndef NET_DATAGRAMS_H
#define NET_DATAGRAMS_H

#include <netinet/in.h>
#include <stddef.h>

#include <uv.h>

#include "base/compiler.h"

struct datagrams;

/* Where a datagram comes from, and where it came in. Bytes that mean nothing are 0: two paths are the
 * same when their bytes are. */
struct datagram_path {
  struct sockaddr_in6 client; /* IPv4 as ::ffff:a.b.c.d */
  struct in6_addr local;      /* in the same way */
  unsigned interface;         /* of link-local addresses, else 0 */
};

/* `data` is borrowed. May close the socket. */
typedef void datagram_fn(struct datagrams *from, const struct datagram_path *path, char *data,
                         size_t length);

/* Takes `fd` over, in failure too. Reads into the loop's shared buffer (borrowed); `owner` is
 * handed back by datagrams_owner. */
MG_MUST_USE int datagrams_open(struct datagrams **out, uv_loop_t *loop, int fd, uv_buf_t *read_buf,
                               datagram_fn *fn, void *owner);
void *datagrams_owner(const struct datagrams *self);
/* Below 0: the kernel does not take it now, UV_EAGAIN, or at all. */
MG_MUST_USE int datagrams_send(const struct datagrams *self, const struct datagram_path *path,
                               const char *data, size_t length);
/* The socket is closed at once; the memory goes from the loop. */
void datagrams_close(struct datagrams *self);

#endif
