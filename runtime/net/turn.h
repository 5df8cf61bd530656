/* SPDX-License-Identifier: Apache-2.0 */
/* Work put off to the end of the loop's turn, when all that was ready has been read: what many requests
 * of one connection have to say then goes out in one write. */
#ifndef NET_TURN_H
#define NET_TURN_H

#include <uv.h>

#include "base/compiler.h"
#include "base/list.h"

struct turn;
typedef void turn_fn(struct turn *turn);

/* Embedded in what has the work. Zeroes are no node: turn_init first. */
struct turn {
  struct list node;
  turn_fn *fn; /* may end the object that embeds the turn */
};

struct turns {
  uv_check_t after_poll;
  uv_prepare_t before_poll; /* for what timers and closing handles caused */
  struct list all;
};

MG_MUST_USE int turns_init(struct turns *self, uv_loop_t *loop);
/* Closes the handles; the loop must run once more. */
void turns_fini(struct turns *self);
void turn_init(struct turn *turn, turn_fn *fn);
/* Once per turn, however often it is asked for. */
void turn_add(struct turns *self, struct turn *turn);
void turn_remove(struct turn *turn);

#endif
