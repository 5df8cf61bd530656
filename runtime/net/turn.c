/* SPDX-License-Identifier: Apache-2.0 */
#include "net/turn.h"

/* What one causes another to do belongs to the same turn. */
static void run(struct turns *self)
{
  while (!list_empty(&self->all)) {
    struct turn *turn = LIST_ENTRY(self->all.prev, struct turn, node);
    list_remove(&turn->node);
    turn->fn(turn);
  }
}

static void on_check(uv_check_t *check)
{
  run(check->data);
}

static void on_prepare(uv_prepare_t *prepare)
{
  run(prepare->data);
}

int turns_init(struct turns *self, uv_loop_t *loop)
{
  list_init(&self->all);
  int err = uv_check_init(loop, &self->after_poll);
  if (err == 0)
    err = uv_prepare_init(loop, &self->before_poll);
  if (err < 0)
    return err;
  self->after_poll.data = self->before_poll.data = self;
  err = uv_check_start(&self->after_poll, on_check);
  if (err == 0)
    err = uv_prepare_start(&self->before_poll, on_prepare);
  uv_unref((uv_handle_t *)&self->after_poll);
  uv_unref((uv_handle_t *)&self->before_poll);
  return err;
}

void turns_fini(struct turns *self)
{
  uv_close((uv_handle_t *)&self->after_poll, NULL);
  uv_close((uv_handle_t *)&self->before_poll, NULL);
}

void turn_init(struct turn *turn, turn_fn *fn)
{
  list_init(&turn->node);
  turn->fn = fn;
}

void turn_add(struct turns *self, struct turn *turn)
{
  if (list_empty(&turn->node))
    list_push(&self->all, &turn->node);
}

void turn_remove(struct turn *turn)
{
  list_remove(&turn->node);
}
