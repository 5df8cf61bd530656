/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct mg_counter {
  struct mg_counter *next;
  uint32_t uses; /* under the lock */
  uint32_t length;
  _Atomic uint64_t value;
  char name[];
};

/* The one list of the process: threads have no other place in common that a counter could hang from.
 * It is walked when configuration is read, never for a request. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mg_counter *counters;

static struct mg_counter *find(const char *name, uint32_t length)
{
  struct mg_counter *counter = counters;
  while (counter && !(counter->length == length && memcmp(counter->name, name, length) == 0))
    counter = counter->next;
  return counter;
}

static struct mg_counter *make(const char *name, uint32_t length)
{
  struct mg_counter *counter = calloc(1, sizeof(*counter) + length);
  if (!counter)
    return NULL;
  counter->length = length;
  memcpy(counter->name, name, length);
  counter->next = counters;
  counters = counter;
  return counter;
}

struct mg_counter *counter_ref(const char *name, uint32_t length)
{
  (void)pthread_mutex_lock(&lock);
  struct mg_counter *counter = find(name, length);
  if (!counter)
    counter = make(name, length);
  if (counter)
    counter->uses++;
  (void)pthread_mutex_unlock(&lock);
  return counter;
}

void counter_unref(struct mg_counter *counter)
{
  if (!counter)
    return;
  (void)pthread_mutex_lock(&lock);
  int last = --counter->uses == 0;
  if (last) {
    struct mg_counter **at = &counters;
    while (*at != counter)
      at = &(*at)->next;
    *at = counter->next;
  }
  (void)pthread_mutex_unlock(&lock);
  if (last)
    free(counter);
}

uint32_t counter_next(struct mg_counter *counter, uint32_t modulus)
{
  return (uint32_t)(atomic_fetch_add_explicit(&counter->value, 1, memory_order_relaxed) % modulus);
}
