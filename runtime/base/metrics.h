/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics that scripts define: series by name and labels, shared by all threads. A series stays for
 * ever once it is there, so a thread looks it up once and keeps the pointer. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/compiler.h"

enum {
  METRICS_SLOTS = 1024,
  METRICS_MAX = 20000,          /* series */
  METRICS_TEXT_BYTES_MAX = 4096 /* of a name, of labels, of a help */
};

struct mg_metric;

struct metrics {
  uv_mutex_t mutex;
  struct mg_metric *slots[METRICS_SLOTS]; /* chains, by hash of name and labels */
  _Atomic(struct mg_metric *) newest;     /* all of them */
  unsigned count;
};

struct metric_text {
  const char *data;
  size_t len;
};

MG_MUST_USE int metrics_init(struct metrics *self);
void metrics_fini(struct metrics *self);
/* Finds or makes. NULL: out of memory or METRICS_MAX, or the name is there with another kind. */
struct mg_metric *metrics_get(struct metrics *self, int kind, struct metric_text name,
                              struct metric_text labels, struct metric_text help);
/* From any thread. */
void metric_add(struct mg_metric *metric, double by);
void metric_set(struct mg_metric *metric, double value);
double metric_value(const struct mg_metric *metric);
const struct mg_metric *metrics_next(const struct metrics *self, const struct mg_metric *metric);
int metric_kind(const struct mg_metric *metric);
const char *metric_name(const struct mg_metric *metric);
const char *metric_labels(const struct mg_metric *metric);
const char *metric_help(const struct mg_metric *metric);

#endif
