/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stats.h"

#include <stddef.h>

static const struct stat_info infos[STAT_COUNT] = {
#define X(id, kind, name, labels, help) { name, labels, NULL, help, STAT_##kind },
  STAT_LIST(X)
#undef X
};

static const char *const limits[LIMIT_COUNT] = {
#define X(id, setting) setting,
  LIMIT_LIST(X)
#undef X
};

static const struct stat_info histograms[HISTOGRAM_COUNT] = {
#define X(id, name, help) { name, "le", NULL, help, STAT_BUCKET },
  HISTOGRAM_LIST(X)
#undef X
};

static const struct {
  uint64_t bound_ns;
  const char *text;
} buckets[BUCKET_COUNT] = {
#define X(bound, text) { bound, text },
  BUCKET_LIST(X)
#undef X
};

enum {
  LIMITS_AT = STAT_COUNT,
  LIMITS_SHOWN = LIMIT_COUNT - 1, /* LIMIT_NONE is none */
  HISTOGRAMS_AT = LIMITS_AT + LIMITS_SHOWN,
  HISTOGRAM_LINES = BUCKET_COUNT + 1,
  LINES = HISTOGRAMS_AT + HISTOGRAM_COUNT * HISTOGRAM_LINES
};

void stats_limit(struct stats *stats, enum limit limit)
{
  stat_bump(&stats->limits[limit], 1);
}

void stats_observe(struct stats *stats, enum histogram histogram, uint64_t ns)
{
  unsigned i = 0;
  while (ns > buckets[i].bound_ns)
    i++;
  stat_bump(&stats->buckets[histogram][i], 1);
  stat_bump(&stats->sums_ns[histogram], ns);
}

const char *limit_name(enum limit limit)
{
  return limits[limit];
}

int stat_describe(uint32_t index, struct stat_info *info)
{
  if (index >= LINES)
    return 0;
  if (index < LIMITS_AT) {
    *info = infos[index];
  } else if (index < HISTOGRAMS_AT) {
    const char *name = limits[index - LIMITS_AT + 1];
    *info = (struct stat_info){ "limit_exceeded_total", "limit", name,
                                "Limits that were gone over, by the setting.", STAT_COUNTER };
  } else {
    uint32_t at = index - HISTOGRAMS_AT;
    uint32_t line = at % HISTOGRAM_LINES;
    *info = histograms[at / HISTOGRAM_LINES];
    if (line < BUCKET_COUNT)
      info->label_value = buckets[line].text;
    else
      info->kind = STAT_SUM;
  }
  return 1;
}

double stat_read(const struct stats *stats, uint32_t index)
{
  const uint64_t *value = &stats->values[index < LIMITS_AT ? index : 0];
  double scale = 1;
  if (index >= LIMITS_AT && index < HISTOGRAMS_AT) {
    value = &stats->limits[index - LIMITS_AT + 1];
  } else if (index >= HISTOGRAMS_AT) {
    uint32_t at = index - HISTOGRAMS_AT;
    uint32_t line = at % HISTOGRAM_LINES;
    value = &stats->buckets[at / HISTOGRAM_LINES][line];
    if (line == BUCKET_COUNT) {
      value = &stats->sums_ns[at / HISTOGRAM_LINES];
      scale = 1e9;
    }
  }
  return (double)stat_load(value) / scale;
}
