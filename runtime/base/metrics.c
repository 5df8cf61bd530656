/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* Texts follow the struct, each ended by NUL. */
struct mg_metric {
  struct mg_metric *chain;
  struct mg_metric *older;
  _Atomic uint64_t bits; /* of a double */
  int kind;
  uint32_t labels_at;
  uint32_t help_at;
  char text[];
};

int metrics_init(struct metrics *self)
{
  return uv_mutex_init(&self->mutex);
}

void metrics_fini(struct metrics *self)
{
  struct mg_metric *metric = atomic_load(&self->newest);
  while (metric) {
    struct mg_metric *older = metric->older;
    free(metric);
    metric = older;
  }
  uv_mutex_destroy(&self->mutex);
}

static uint32_t put(char *into, uint32_t at, struct metric_text text)
{
  if (text.len > 0)
    memcpy(into + at, text.data, text.len);
  into[at + text.len] = 0;
  return at + (uint32_t)text.len + 1;
}

static struct mg_metric *make(int kind, struct metric_text name, struct metric_text labels,
                              struct metric_text help)
{
  struct mg_metric *metric = calloc(1, sizeof(*metric) + name.len + labels.len + help.len + 3);
  if (!metric)
    return NULL;
  metric->kind = kind;
  metric->labels_at = put(metric->text, 0, name);
  metric->help_at = put(metric->text, metric->labels_at, labels);
  (void)put(metric->text, metric->help_at, help);
  return metric;
}

static int equals(const char *text, struct metric_text other)
{
  return strlen(text) == other.len && memcmp(text, other.data, other.len) == 0;
}

/* One name has one kind. */
static int kind_fits(const struct metrics *self, int kind, struct metric_text name)
{
  for (const struct mg_metric *at = atomic_load(&self->newest); at; at = at->older) {
    if (equals(at->text, name))
      return at->kind == kind;
  }
  return 1;
}

struct mg_metric *metrics_get(struct metrics *self, int kind, struct metric_text name,
                              struct metric_text labels, struct metric_text help)
{
  if (name.len > METRICS_TEXT_BYTES_MAX || labels.len > METRICS_TEXT_BYTES_MAX ||
      help.len > METRICS_TEXT_BYTES_MAX)
    return NULL;
  uint32_t hash = hash_bytes(name.data, (uint32_t)name.len, 0);
  hash = hash_bytes(labels.data, (uint32_t)labels.len, hash);
  uv_mutex_lock(&self->mutex);
  struct mg_metric **slot = &self->slots[hash % METRICS_SLOTS];
  struct mg_metric *metric = *slot;
  while (metric && !(equals(metric->text, name) && equals(metric_labels(metric), labels)))
    metric = metric->chain;
  if (metric) {
    if (metric->kind != kind)
      metric = NULL;
  } else if (self->count < METRICS_MAX && kind_fits(self, kind, name)) {
    metric = make(kind, name, labels, help);
    if (metric) {
      metric->chain = *slot;
      metric->older = atomic_load(&self->newest);
      *slot = metric;
      atomic_store(&self->newest, metric); /* whole before others see it */
      self->count++;
    }
  }
  uv_mutex_unlock(&self->mutex);
  return metric;
}

static double double_of(uint64_t bits)
{
  double value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

static uint64_t bits_of(double value)
{
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

void metric_add(struct mg_metric *metric, double by)
{
  uint64_t old = atomic_load_explicit(&metric->bits, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&metric->bits, &old, bits_of(double_of(old) + by),
                                                memory_order_relaxed, memory_order_relaxed))
    continue;
}

void metric_set(struct mg_metric *metric, double value)
{
  atomic_store_explicit(&metric->bits, bits_of(value), memory_order_relaxed);
}

double metric_value(const struct mg_metric *metric)
{
  return double_of(atomic_load_explicit(&metric->bits, memory_order_relaxed));
}

const struct mg_metric *metrics_next(const struct metrics *self, const struct mg_metric *metric)
{
  return metric ? metric->older : atomic_load(&self->newest);
}

int metric_kind(const struct mg_metric *metric)
{
  return metric->kind;
}

const char *metric_name(const struct mg_metric *metric)
{
  return metric->text;
}

const char *metric_labels(const struct mg_metric *metric)
{
  return metric->text + metric->labels_at;
}

const char *metric_help(const struct mg_metric *metric)
{
  return metric->text + metric->help_at;
}
