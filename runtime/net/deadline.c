/* SPDX-License-Identifier: Apache-2.0 */
#include "net/deadline.h"

enum {
  SWEEP_MS = 100
};

/* Expired ones move to a list of their own first: a callback may remove any deadline, also the next. */
static void on_sweep(uv_timer_t *timer)
{
  struct deadlines *self = timer->data;
  uint64_t now = uv_now(timer->loop);
  struct list expired;
  list_init(&expired);
  for (struct list *node = self->all.next; node != &self->all;) {
    struct list *next = node->next;
    const struct deadline *deadline = LIST_ENTRY(node, struct deadline, node);
    if (deadline->at_ms && deadline->at_ms <= now) {
      list_remove(node);
      list_push(&expired, node);
    }
    node = next;
  }
  while (!list_empty(&expired)) {
    struct list *node = expired.next;
    struct deadline *deadline = LIST_ENTRY(node, struct deadline, node);
    list_remove(node);
    list_push(&self->all, node);
    if (!deadline->at_ms || deadline->at_ms > now)
      continue; /* one before it has said otherwise */
    deadline->at_ms = 0;
    deadline->fn(deadline);
  }
}

int deadlines_init(struct deadlines *self, uv_loop_t *loop)
{
  list_init(&self->all);
  int err = uv_timer_init(loop, &self->sweep);
  if (err < 0)
    return err;
  self->sweep.data = self;
  err = uv_timer_start(&self->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
  uv_unref((uv_handle_t *)&self->sweep);
  return err;
}

void deadlines_fini(struct deadlines *self)
{
  uv_close((uv_handle_t *)&self->sweep, NULL);
}

void deadline_add(struct deadlines *self, struct deadline *deadline, deadline_fn *fn)
{
  deadline->at_ms = 0;
  deadline->fn = fn;
  list_push(&self->all, &deadline->node);
}

void deadline_remove(struct deadline *deadline)
{
  list_remove(&deadline->node);
}

void deadline_set(struct deadlines *self, struct deadline *deadline, uint64_t in_ms)
{
  deadline->at_ms = in_ms ? uv_now(self->sweep.loop) + in_ms : 0;
}
