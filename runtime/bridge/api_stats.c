/* SPDX-License-Identifier: Apache-2.0 */
/* Counters for Lua. */
#include <string.h>

#include "base/stats.h"
#include "bridge/api.h"
#include "bridge/vm.h"

int32_t mg_stat_at(uint32_t position, struct mg_stat *stat)
{
  struct stat_info info;
  if (!stat_describe(position, &info))
    return 0;
  *stat = (struct mg_stat){ info.name, info.label, info.label_value, info.help, info.kind };
  return 1;
}

void mg_count_limit(struct mg_vm *vm, const char *setting, uint32_t length)
{
  for (int i = 0; i < LIMIT_COUNT; i++) {
    const char *name = limit_name((enum limit)i);
    if (strlen(name) == length && memcmp(name, setting, length) == 0)
      stats_limit(&vm->exchanges->stats.counts, (enum limit)i);
  }
}

struct mg_metric *mg_metric(struct mg_vm *vm, int32_t kind, const char *name, uint32_t name_length,
                            const char *labels, uint32_t labels_length, const char *help,
                            uint32_t help_length)
{
  return metrics_get(vm->metrics, kind, (struct metric_text){ name, name_length },
                     (struct metric_text){ labels, labels_length },
                     (struct metric_text){ help, help_length });
}

void mg_metric_add(struct mg_metric *metric, double by)
{
  metric_add(metric, by);
}

void mg_metric_set(struct mg_metric *metric, double value)
{
  metric_set(metric, value);
}

double mg_metric_value(const struct mg_metric *metric)
{
  return metric_value(metric);
}

const struct mg_metric *mg_metric_next(struct mg_vm *vm, const struct mg_metric *metric)
{
  return metrics_next(vm->metrics, metric);
}

void mg_metric_describe(const struct mg_metric *metric, struct mg_stat *stat)
{
  *stat = (struct mg_stat){ metric_name(metric), metric_labels(metric), NULL, metric_help(metric),
                            metric_kind(metric) };
}
