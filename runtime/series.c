/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by route for the page /metrics: the workers' tables are added up in one that lives for the
 * time of a page. For the control thread. */
#include "base/series.h"

#include <stdlib.h>
#include <string.h>

#include "worker.h"

/* One page. */
struct series_page {
  struct series *sum;
  struct buf text;
};

static struct gateway *gateway_of(struct mg_vm *vm)
{
  return ((struct worker *)vm->owner)->gateway;
}

void mg_series_setup(struct mg_vm *vm, const struct mg_series_config *config)
{
  gateway_of(vm)->series = *config;
}

static void free_page(struct gateway *gateway)
{
  struct series_page *page = gateway->series_page;
  gateway->series_page = NULL;
  series_free(page->sum);
  buf_fini(&page->text);
  free(page);
}

static int merge(struct gateway *gateway, struct series *sum)
{
  int err = 0;
  for (unsigned i = 0; i < gateway->started && err == 0; i++)
    err = series_merge(sum, gateway->workers[i]->exchanges.series);
  return err;
}

int32_t mg_series_begin(struct mg_vm *vm)
{
  struct gateway *gateway = gateway_of(vm);
  if (!gateway->series.on)
    return 0;
  struct series_page *page = calloc(1, sizeof(*page));
  if (!page)
    return UV_ENOMEM;
  int err = series_new(&page->sum, &gateway->series, UINT32_MAX);
  if (err < 0) {
    free(page);
    return err;
  }
  gateway->series_page = page;
  err = merge(gateway, page->sum);
  int32_t positions = err < 0 ? err : (int32_t)series_positions(page->sum);
  if (positions <= 0)
    free_page(gateway);
  return positions;
}

int32_t mg_series_at(struct mg_vm *vm, uint32_t position, struct mg_series *series)
{
  struct series_key key;
  const struct series_page *page = gateway_of(vm)->series_page;
  if (!series_at(page->sum, position, &key))
    return 0;
  *series = (struct mg_series){ .route = key.route,
                                .status = key.status,
                                .method = series_method_name(key.method),
                                .host = { key.host.data, key.host.len },
                                .alternative = { key.alternative.data, key.alternative.len } };
  return 1;
}

void mg_series_drop(struct mg_vm *vm, uint32_t position)
{
  series_drop(gateway_of(vm)->series_page->sum, position);
}

int32_t mg_series_metric(uint32_t metric, struct mg_stat *stat)
{
  if (metric >= SERIES_METRIC_COUNT)
    return 0;
  *stat = (struct mg_stat){ .name = series_metric_name(metric),
                            .label = "",
                            .help = series_metric_help(metric),
                            .kind = metric == 0 ? STAT_COUNTER : STAT_BUCKET };
  return 1;
}

int32_t mg_series_print(struct mg_vm *vm, uint32_t position, uint32_t metric, const char *labels)
{
  struct series_page *page = gateway_of(vm)->series_page;
  return series_print(page->sum, position, metric, labels, &page->text);
}

void mg_series_take(struct mg_vm *vm, struct mg_text *text)
{
  struct series_page *page = gateway_of(vm)->series_page;
  *text = (struct mg_text){ page->text.data, (uint32_t)page->text.len };
  page->text.len = 0;
}

void mg_series_end(struct mg_vm *vm)
{
  struct gateway *gateway = gateway_of(vm);
  for (unsigned i = 0; i < gateway->started; i++)
    series_retire(gateway->series_page->sum, gateway->workers[i]->exchanges.series);
  free_page(gateway);
}
