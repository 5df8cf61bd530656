/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of a loop: setting one is a store, a sweep every 100 ms finds what is past. For phases of
 * a connection, where a tenth of a second does not matter. Scripts' timers use uv_timer instead. */
#ifndef NET_DEADLINE_H
#define NET_DEADLINE_H

#include <stdint.h>

#include <uv.h>

#include "base/list.h"

struct deadline;
typedef void deadline_fn(struct deadline *deadline);

/* Embedded in what has the deadline. */
struct deadline {
  struct list node;
  uint64_t at_ms;  /* loop time; 0 = none */
  deadline_fn *fn; /* may end the object that embeds the deadline */
};

struct deadlines {
  uv_timer_t sweep;
  struct list all;
};

int deadlines_init(struct deadlines *self, uv_loop_t *loop);
/* Closes the timer; the loop must run once more. */
void deadlines_fini(struct deadlines *self);
void deadline_add(struct deadlines *self, struct deadline *deadline, deadline_fn *fn);
void deadline_remove(struct deadline *deadline);
/* 0 = never. */
void deadline_set(struct deadlines *self, struct deadline *deadline, uint64_t in_ms);

#endif
