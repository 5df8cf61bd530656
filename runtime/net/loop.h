/* SPDX-License-Identifier: Apache-2.0 */
/* What every connection of a worker shares: the loop, one read buffer, the deadlines. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <uv.h>

#include "net/deadline.h"

enum {
  LOOP_READ_BYTES = 65536
};

struct net_loop {
  uv_loop_t *uv;
  uv_buf_t read_buf; /* valid until the read callback returns */
  struct deadlines deadlines;
};

#endif
