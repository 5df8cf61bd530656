/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by route, host, method and status, as the metrics of ingress-nginx have them. A table belongs
 * to one thread, which alone counts in it and makes its cells; others read it under the lock that the
 * owner takes only where cells come or go. A cell whose route is no more is retired by who reads, and
 * freed by the owner. */
#ifndef BASE_SERIES_H
#define BASE_SERIES_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/series_config.h"

enum {
  SERIES_KINDS = 3,
  SERIES_MAX = 10000, /* until a setting says otherwise */
  SERIES_CLASSES = 10 /* of status; each may have a cell beyond the limit */
};

enum series_kind {
  SERIES_TIME,
  SERIES_LENGTH,
  SERIES_SIZE
};

/* X(id, name, kind, help). */
#define SERIES_HISTOGRAM_LIST(X)                                                                   \
  X(SERIES_CONNECT, "connect_duration_seconds", SERIES_TIME,                                       \
    "Until there was a connection to the endpoint.")                                               \
  X(SERIES_HEADER, "header_duration_seconds", SERIES_TIME,                                         \
    "Until the head of the endpoint's response had come.")                                         \
  X(SERIES_REQUEST, "request_duration_seconds", SERIES_TIME,                                       \
    "From the first byte of a request to its end.")                                                \
  X(SERIES_RESPONSE, "response_duration_seconds", SERIES_TIME,                                     \
    "From the last attempt at an endpoint to the end.")                                            \
  X(SERIES_REQUEST_SIZE, "request_size", SERIES_LENGTH, "Bytes of requests, head and body.")       \
  X(SERIES_RESPONSE_SIZE, "response_size", SERIES_LENGTH, "Bytes of responses, head and body.")    \
  X(SERIES_BYTES_SENT, "bytes_sent", SERIES_SIZE, "The same by other buckets.")

enum series_histogram {
#define X(id, name, kind, help) id,
  SERIES_HISTOGRAM_LIST(X)
#undef X
  SERIES_HISTOGRAM_COUNT
};

/* A metric's position: 0 the requests, then the histograms. */
enum {
  SERIES_METRIC_COUNT = 1 + SERIES_HISTOGRAM_COUNT
};

#define SERIES_NOTHING UINT64_MAX /* was not measured */

struct series_text {
  const char *data;
  uint32_t len;
};

/* `route` 0: none. `status` below 10 stands for its class, 2 for 2xx. Texts are copied where a cell is made. */
struct series_key {
  uint32_t route;
  uint16_t status;
  uint8_t method; /* of series_method */
  struct series_text host;
  struct series_text alternative;
};

struct series;

/* `config` is kept; `limit` is of cells. UV_ENOMEM, or 0. */
MG_MUST_USE int series_new(struct series **out, const struct mg_series_config *config,
                           uint32_t limit);
/* NULL is permitted. */
void series_free(struct series *self);
const struct mg_series_config *series_config(const struct series *self);
/* For the owner. */
void series_limit(struct series *self, uint32_t limit);
/* The number of a method; those that are not known share one. */
uint8_t series_method(const char *name, uint32_t len);
const char *series_method_name(uint8_t method);
/* Adds a request: durations in nanoseconds, sizes in bytes, by histogram. ERR_LIMIT: there are too many
 * series, and it was counted in one that has its class of status alone. */
MG_MUST_USE int series_add(struct series *self, const struct series_key *key,
                           const uint64_t values[SERIES_HISTOGRAM_COUNT]);

/* For another thread's tables, into one of its own. */

/* Adds all cells of `from`; UV_ENOMEM. */
MG_MUST_USE int series_merge(struct series *self, struct series *from);
/* Positions there are, some of them without a cell. */
uint32_t series_positions(const struct series *self);
/* 1 when there is a cell at the position; the key's texts belong to it. */
int series_at(const struct series *self, uint32_t position, struct series_key *key);
/* Its route is no more: series_retire passes that on. */
void series_drop(struct series *self, uint32_t position);
/* Retires the cells of `from` that were dropped here. */
void series_retire(struct series *self, struct series *from);
/* Appends the lines of one metric of a cell, nothing where it was not measured. UV_ENOMEM. */
MG_MUST_USE int series_print(const struct series *self, uint32_t position, uint32_t metric,
                             const char *labels, struct buf *out);
const char *series_metric_name(uint32_t metric);
const char *series_metric_help(uint32_t metric);

#endif
