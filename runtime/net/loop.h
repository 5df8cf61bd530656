/* SPDX-License-Identifier: Apache-2.0 */
/* What every connection of a worker shares: the loop, one read buffer, the deadlines. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <uv.h>

#include "base/buf.h"
#include "net/deadline.h"
#include "net/turn.h"

enum {
  LOOP_READ_BYTES = 262144,
  LOOP_SPARE_BYTES = 65536
};

struct net_loop {
  uv_loop_t *uv;
  uv_buf_t read_buf; /* valid until the read callback returns */
  struct deadlines deadlines;
  struct turns turns;
  /* Memory for the next connection that gathers a write: most give it back within the same turn, so
   * that idle connections hold none and busy ones do not ask the heap. */
  struct buf spare;
};

/* Lends memory to an empty buffer, and takes it back when it is empty again. */
static inline void loop_lend(struct net_loop *loop, struct buf *buf)
{
  if (!buf->data) {
    *buf = loop->spare;
    loop->spare = (struct buf){ 0 };
  }
}

static inline void loop_return(struct net_loop *loop, struct buf *buf)
{
  if (loop->spare.data || buf->cap > LOOP_SPARE_BYTES) {
    buf_fini(buf);
  } else {
    loop->spare = *buf;
    loop->spare.len = 0;
    *buf = (struct buf){ 0 };
  }
}

#endif
