/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's exchanges: their slots, which are used again, and the pins that they hold. */
#include <stdlib.h>

#include "base/check.h"
#include "exchange/internal.h"

enum {
  ARENA_KEEP_BYTES = 16 * 1024 /* of one that is free */
};

void exchanges_init(struct exchanges *all)
{
  list_init(&all->free);
  CHECK(uv_random(NULL, NULL, &all->seed, sizeof(all->seed), 0, NULL) == 0);
}

static void free_bodies(struct exchange *exchange)
{
  buf_fini(&exchange->body);
  buf_fini(&exchange->kept);
  buf_fini(&exchange->answer);
  encoder_free(exchange->encoder);
  buf_fini(&exchange->request_hook.piece);
  buf_fini(&exchange->response_hook.piece);
}

static void free_slot(struct exchange *exchange)
{
  buf_fini(&exchange->arena);
  free_bodies(exchange);
  head_fini(&exchange->request);
  head_fini(&exchange->request_trailers);
  head_fini(&exchange->outgoing);
  head_fini(&exchange->response);
  head_fini(&exchange->response_trailers);
  free(exchange);
}

void exchanges_fini(struct exchanges *all)
{
  for (uint32_t i = 0; i < all->count; i++)
    free_slot(all->slots[i]);
  free(all->slots);
  free(all->trusted);
  buf_fini(&all->tls_fact);
}

static struct exchange *add_slot(struct exchanges *all)
{
  if (all->count == all->cap) {
    uint32_t cap = all->cap ? all->cap * 2 : 64;
    struct exchange **slots = realloc(all->slots, cap * sizeof(struct exchange *));
    if (!slots)
      return NULL;
    all->slots = slots;
    all->cap = cap;
  }
  struct exchange *exchange = calloc(1, sizeof(*exchange));
  if (!exchange)
    return NULL;
  exchange->all = all;
  exchange->record.slot = all->count;
  list_init(&exchange->free_node);
  list_init(&exchange->deadline.node);
  all->slots[all->count++] = exchange;
  return exchange;
}

struct exchange *exchange_at(const struct exchanges *all, uint32_t slot)
{
  return slot < all->count ? all->slots[slot] : NULL;
}

/* The heads keep their memory; text beyond the usual is given back. */
static void reset(struct exchange *exchange)
{
  deadline_remove(&exchange->deadline);
  free_bodies(exchange);
  struct exchange old = *exchange;
  head_clear(&old.request);
  head_clear(&old.request_trailers);
  head_clear(&old.outgoing);
  head_clear(&old.response);
  head_clear(&old.response_trailers);
  if (old.arena.cap > ARENA_KEEP_BYTES)
    buf_fini(&old.arena);
  old.arena.len = 0;
  *exchange = (struct exchange){ .all = old.all,
                                 .arena = old.arena,
                                 .request = old.request,
                                 .request_trailers = old.request_trailers,
                                 .outgoing = old.outgoing,
                                 .response = old.response,
                                 .response_trailers = old.response_trailers };
  exchange->record.slot = old.record.slot;
  exchange->record.generation = old.record.generation + 1;
  list_init(&exchange->free_node);
  list_init(&exchange->deadline.node);
}

struct exchange *exchange_take(struct exchanges *all)
{
  struct exchange *exchange;
  if (list_empty(&all->free)) {
    exchange = add_slot(all);
  } else {
    exchange = LIST_ENTRY(all->free.next, struct exchange, free_node);
    list_remove(&exchange->free_node);
  }
  if (!exchange)
    return NULL;
  exchange_enter(exchange, EX_HEAD);
  exchange->record.stages = all->stages;
  exchange->record.endpoint = -1;
  exchange->record.connect_s = exchange->record.first_byte_s = -1;
  exchange->started_ns = uv_hrtime();
  exchange->record.started_s = (double)exchange->started_ns / 1e9;
  exchange->pin = all->pin;
  if (exchange->pin) {
    exchange->pin->uses++;
    exchange->record.snapshot = exchange->pin->snapshot;
  }
  stat_set(&all->stats.counts, STAT_IN_FLIGHT, ++all->stats.active);
  return exchange;
}

static void unpin(struct exchange_pin *pin)
{
  if (pin && --pin->uses == 0)
    pin->on_unused(pin);
}

void exchanges_pin(struct exchanges *all, struct exchange_pin *pin)
{
  struct exchange_pin *old = all->pin;
  if (pin)
    pin->uses++;
  all->pin = pin;
  unpin(old);
}

void exchange_end(struct exchange *exchange)
{
  struct exchanges *all = exchange->all;
  unpin(exchange->pin);
  exchange_enter(exchange, EX_FREE);
  reset(exchange);
  stat_set(&all->stats.counts, STAT_IN_FLIGHT, --all->stats.active);
  list_push(&all->free, &exchange->free_node);
}
