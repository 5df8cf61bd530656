/* SPDX-License-Identifier: Apache-2.0 */
#include "base/series.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/stats.h"

#define PREFIX "nginx_ingress_controller_"

enum {
  BOUNDS_MAX = sizeof(((struct mg_series_config *)0)->bounds[0]) / sizeof(double),
  CAP_MIN = 64
};

struct series {
  const struct mg_series_config *config;
  uint32_t limit; /* read by the owner alone */
  uint32_t count;
  uint32_t cap; /* a power of 2, or 0 */
  uint32_t seed;
  uint32_t value_count; /* of a cell: buckets of all histograms */
  uint32_t offsets[SERIES_HISTOGRAM_COUNT];
  uint64_t bounds[SERIES_KINDS][BOUNDS_MAX]; /* nanoseconds or bytes */
  struct series_cell **slots;
  atomic_uint retired; /* cells that the owner may free */
  uv_mutex_t mutex;
};

/* The texts follow the values: host, then alternative. */
struct series_cell {
  uint32_t hash;
  uint32_t route;
  uint16_t status;
  uint8_t method;
  atomic_uchar retired;
  uint32_t host_len;
  uint32_t alternative_len;
  uint64_t requests;
  uint64_t sums[SERIES_HISTOGRAM_COUNT];
  uint64_t values[];
};

static const struct {
  const char *name;
  enum series_kind kind;
  const char *help;
} histograms[SERIES_HISTOGRAM_COUNT] = {
#define X(id, name, kind, help) { PREFIX name, kind, help },
  SERIES_HISTOGRAM_LIST(X)
#undef X
};

/* The last one stands for all others. */
static const char *const methods[] = { "GET",       "POST",  "HEAD",  "PUT",     "DELETE",
                                       "OPTIONS",   "PATCH", "TRACE", "CONNECT", "PROPFIND",
                                       "PROPPATCH", "MKCOL", "COPY",  "MOVE",    "LOCK",
                                       "UNLOCK",    "OTHER" };

enum {
  METHOD_OTHER = sizeof(methods) / sizeof(methods[0]) - 1
};

uint8_t series_method(const char *name, uint32_t len)
{
  uint8_t i = 0;
  while (i < METHOD_OTHER && !(strlen(methods[i]) == len && memcmp(methods[i], name, len) == 0))
    i++;
  return i;
}

const char *series_method_name(uint8_t method)
{
  return methods[method];
}

const char *series_metric_name(uint32_t metric)
{
  return metric == 0 ? PREFIX "requests" : histograms[metric - 1].name;
}

const char *series_metric_help(uint32_t metric)
{
  return metric == 0 ? "Requests that have ended." : histograms[metric - 1].help;
}

/* the table */

static void set_bounds(struct series *self, const struct mg_series_config *config)
{
  for (unsigned kind = 0; kind < SERIES_KINDS; kind++) {
    double scale = kind == SERIES_TIME ? 1e9 : 1;
    for (uint32_t i = 0; i < config->bound_counts[kind]; i++)
      self->bounds[kind][i] = (uint64_t)(config->bounds[kind][i] * scale + 1e-6);
  }
  for (unsigned i = 0; i < SERIES_HISTOGRAM_COUNT; i++) {
    self->offsets[i] = self->value_count;
    self->value_count += config->bound_counts[histograms[i].kind] + 1; /* and the endless one */
  }
}

int series_new(struct series **out, const struct mg_series_config *config, uint32_t limit)
{
  struct series *self = calloc(1, sizeof(*self));
  if (!self)
    return UV_ENOMEM;
  self->config = config;
  self->limit = limit;
  set_bounds(self, config);
  int err = uv_random(NULL, NULL, &self->seed, sizeof(self->seed), 0, NULL);
  if (err == 0)
    err = uv_mutex_init(&self->mutex);
  if (err < 0)
    free(self);
  else
    *out = self;
  return err;
}

void series_free(struct series *self)
{
  if (!self)
    return;
  for (uint32_t i = 0; i < self->cap; i++)
    free(self->slots[i]);
  free(self->slots);
  uv_mutex_destroy(&self->mutex);
  free(self);
}

const struct mg_series_config *series_config(const struct series *self)
{
  return self->config;
}

void series_limit(struct series *self, uint32_t limit)
{
  self->limit = limit;
}

static const char *host_of(const struct series *self, const struct series_cell *cell)
{
  return (const char *)(cell->values + self->value_count);
}

static const char *alternative_of(const struct series *self, const struct series_cell *cell)
{
  return host_of(self, cell) + cell->host_len;
}

static struct series_key key_of(const struct series *self, const struct series_cell *cell)
{
  return (
      struct series_key){ .route = cell->route,
                          .status = cell->status,
                          .method = cell->method,
                          .host = { host_of(self, cell), cell->host_len },
                          .alternative = { alternative_of(self, cell), cell->alternative_len } };
}

/* The alternative is left to the comparison: a route has one or two. */
static uint32_t hash_key(const struct series *self, const struct series_key *key)
{
  uint32_t hash = (self->seed ^ key->route) * 0x9e3779b1u;
  hash = (hash ^ (uint32_t)key->status << 8 ^ key->method) * 0x85ebca6bu;
  return hash_bytes(key->host.data, key->host.len, hash);
}

static int is_text(const char *text, uint32_t len, struct series_text other)
{
  return len == other.len && (len == 0 || memcmp(text, other.data, len) == 0);
}

static int fits(const struct series *self, const struct series_cell *cell, uint32_t hash,
                const struct series_key *key)
{
  return cell->hash == hash && cell->route == key->route && cell->status == key->status &&
         cell->method == key->method && is_text(host_of(self, cell), cell->host_len, key->host) &&
         is_text(alternative_of(self, cell), cell->alternative_len, key->alternative);
}

static struct series_cell *find(const struct series *self, uint32_t hash,
                                const struct series_key *key)
{
  if (self->cap == 0)
    return NULL;
  for (uint32_t i = hash & (self->cap - 1); self->slots[i]; i = (i + 1) & (self->cap - 1)) {
    if (fits(self, self->slots[i], hash, key))
      return self->slots[i];
  }
  return NULL;
}

static void insert(struct series_cell **slots, uint32_t cap, struct series_cell *cell)
{
  uint32_t i = cell->hash & (cap - 1);
  while (slots[i])
    i = (i + 1) & (cap - 1);
  slots[i] = cell;
}

/* Moves all cells that are not retired to a table of that size. */
static int rebuild(struct series *self, uint32_t cap)
{
  struct series_cell **slots = calloc(cap, sizeof(struct series_cell *));
  if (!slots)
    return UV_ENOMEM;
  for (uint32_t i = 0; i < self->cap; i++) {
    struct series_cell *cell = self->slots[i];
    if (cell && atomic_load(&cell->retired)) {
      free(cell);
      self->count--;
    } else if (cell) {
      insert(slots, cap, cell);
    }
  }
  free(self->slots);
  self->slots = slots;
  self->cap = cap;
  atomic_store(&self->retired, 0);
  return 0;
}

/* A quarter of the slots stays free. */
static int make_room(struct series *self)
{
  int err = 0;
  if (atomic_load(&self->retired) > self->count / 4)
    err = rebuild(self, self->cap);
  if (err == 0 && (self->count + 1) * 4 > self->cap * 3)
    err = rebuild(self, self->cap ? self->cap * 2 : CAP_MIN);
  return err;
}

static struct series_cell *new_cell(const struct series *self, uint32_t hash,
                                    const struct series_key *key)
{
  size_t texts = key->host.len + (size_t)key->alternative.len;
  struct series_cell *cell =
      calloc(1, sizeof(*cell) + self->value_count * sizeof(uint64_t) + texts);
  if (!cell)
    return NULL;
  cell->hash = hash;
  cell->route = key->route;
  cell->status = key->status;
  cell->method = key->method;
  cell->host_len = key->host.len;
  cell->alternative_len = key->alternative.len;
  char *text = (char *)(cell->values + self->value_count);
  if (key->host.len > 0)
    memcpy(text, key->host.data, key->host.len);
  if (key->alternative.len > 0)
    memcpy(text + key->host.len, key->alternative.data, key->alternative.len);
  return cell;
}

/* NULL: out of memory, or `limit` cells are there. */
static struct series_cell *make(struct series *self, uint32_t hash, const struct series_key *key,
                                uint32_t limit)
{
  struct series_cell *cell = NULL;
  uv_mutex_lock(&self->mutex);
  if (make_room(self) == 0 && self->count < limit)
    cell = new_cell(self, hash, key);
  if (cell) {
    insert(self->slots, self->cap, cell);
    self->count++;
  }
  uv_mutex_unlock(&self->mutex);
  return cell;
}

static struct series_cell *find_or_make(struct series *self, const struct series_key *key,
                                        uint32_t limit)
{
  uint32_t hash = hash_key(self, key);
  struct series_cell *cell = find(self, hash, key);
  return cell ? cell : make(self, hash, key, limit);
}

/* counting */

static void observe(const struct series *self, struct series_cell *cell, unsigned histogram,
                    uint64_t value)
{
  enum series_kind kind = histograms[histogram].kind;
  const uint64_t *bounds = self->bounds[kind];
  uint32_t count = self->config->bound_counts[kind];
  uint32_t i = 0;
  while (i < count && value > bounds[i])
    i++;
  stat_bump(&cell->values[self->offsets[histogram] + i], 1);
  stat_bump(&cell->sums[histogram], value);
}

int series_add(struct series *self, const struct series_key *key,
               const uint64_t values[SERIES_HISTOGRAM_COUNT])
{
  int err = 0;
  struct series_cell *cell = find_or_make(self, key, self->limit);
  if (!cell) {
    err = ERR_LIMIT;
    uint16_t status = (uint16_t)(key->status < SERIES_CLASSES ? key->status : key->status / 100);
    struct series_key folded = { .status = status % SERIES_CLASSES, .method = METHOD_OTHER };
    cell = find_or_make(self, &folded, self->limit + SERIES_CLASSES);
  }
  if (!cell)
    return err;
  stat_bump(&cell->requests, 1);
  for (unsigned i = 0; i < SERIES_HISTOGRAM_COUNT; i++) {
    if (values[i] != SERIES_NOTHING && !(self->config->left_out & 2u << i))
      observe(self, cell, i, values[i]);
  }
  return err;
}

/* reading */

static int merge_cell(struct series *self, const struct series *from,
                      const struct series_cell *cell)
{
  struct series_key key = key_of(from, cell);
  struct series_cell *into = find_or_make(self, &key, UINT32_MAX);
  if (!into)
    return UV_ENOMEM;
  into->requests += stat_load(&cell->requests);
  for (unsigned i = 0; i < SERIES_HISTOGRAM_COUNT; i++)
    into->sums[i] += stat_load(&cell->sums[i]);
  for (uint32_t i = 0; i < self->value_count; i++)
    into->values[i] += stat_load(&cell->values[i]);
  return 0;
}

int series_merge(struct series *self, struct series *from)
{
  int err = 0;
  uv_mutex_lock(&from->mutex);
  for (uint32_t i = 0; i < from->cap && err == 0; i++) {
    const struct series_cell *cell = from->slots[i];
    if (cell && !atomic_load(&cell->retired))
      err = merge_cell(self, from, cell);
  }
  uv_mutex_unlock(&from->mutex);
  return err;
}

uint32_t series_positions(const struct series *self)
{
  return self->cap;
}

int series_at(const struct series *self, uint32_t position, struct series_key *key)
{
  const struct series_cell *cell = self->slots[position];
  if (!cell || atomic_load(&cell->retired))
    return 0;
  *key = key_of(self, cell);
  return 1;
}

void series_drop(struct series *self, uint32_t position)
{
  atomic_store(&self->slots[position]->retired, 1);
}

void series_retire(struct series *self, struct series *from)
{
  uv_mutex_lock(&from->mutex);
  for (uint32_t i = 0; i < from->cap; i++) {
    struct series_cell *cell = from->slots[i];
    if (!cell || atomic_load(&cell->retired))
      continue;
    struct series_key key = key_of(from, cell);
    const struct series_cell *here = find(self, hash_key(self, &key), &key);
    if (here && atomic_load(&here->retired)) {
      atomic_store(&cell->retired, 1);
      atomic_fetch_add(&from->retired, 1);
    }
  }
  uv_mutex_unlock(&from->mutex);
}

static int print_value(struct buf *out, const char *name, const char *ending, const char *labels,
                       const char *bound, double value)
{
  size_t room = strlen(name) + strlen(labels) + 128;
  int err = buf_reserve(out, room);
  if (err < 0)
    return err;
  int len =
      bound ? snprintf(out->data + out->len, room, "%s_bucket{%s,le=\"%s\"} %.0f\n", name, labels,
                       bound, value)
            : snprintf(out->data + out->len, room, "%s%s{%s} %.15g\n", name, ending, labels, value);
  out->len += (size_t)len;
  return 0;
}

/* As Go writes a number: short, and with an exponent from a million on. */
static void print_bound(char *text, size_t size, double bound)
{
  (void)snprintf(text, size, "%g", bound);
  if (strtod(text, NULL) != bound)
    (void)snprintf(text, size, "%.15g", bound);
}

static int print_histogram(const struct series *self, const struct series_cell *cell,
                           unsigned histogram, const char *labels, struct buf *out)
{
  enum series_kind kind = histograms[histogram].kind;
  const char *name = histograms[histogram].name;
  uint32_t count = self->config->bound_counts[kind];
  const uint64_t *values = cell->values + self->offsets[histogram];
  uint64_t all = 0;
  for (uint32_t i = 0; i <= count; i++)
    all += values[i];
  if (all == 0)
    return 0;
  uint64_t sum = 0;
  int err = 0;
  for (uint32_t i = 0; i <= count && err == 0; i++) {
    char bound[32] = "+Inf";
    if (i < count)
      print_bound(bound, sizeof(bound), self->config->bounds[kind][i]);
    sum += values[i];
    err = print_value(out, name, "", labels, bound, (double)sum);
  }
  double scale = kind == SERIES_TIME ? 1e9 : 1;
  if (err == 0)
    err = print_value(out, name, "_sum", labels, NULL, (double)cell->sums[histogram] / scale);
  return err < 0 ? err : print_value(out, name, "_count", labels, NULL, (double)all);
}

int series_print(const struct series *self, uint32_t position, uint32_t metric, const char *labels,
                 struct buf *out)
{
  const struct series_cell *cell = self->slots[position];
  if (self->config->left_out & 1u << metric)
    return 0;
  if (metric == 0)
    return print_value(out, PREFIX "requests", "", labels, NULL, (double)cell->requests);
  return print_histogram(self, cell, metric - 1, labels, out);
}
