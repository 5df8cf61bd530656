/* SPDX-License-Identifier: Apache-2.0 */
/* Part of bridge/api.h, which takes in the text between the markers. */
#ifndef BASE_SERIES_CONFIG_H
#define BASE_SERIES_CONFIG_H

#include <stdint.h>

/* cdef-begin */
/* What requests are counted by; stands before the workers run, and stays. */
struct mg_series_config {
  uint32_t on;
  uint32_t by_host;         /* 1: the host is a label */
  uint32_t any_host;        /* 1: hosts of no object are counted too */
  uint32_t classes;         /* 1: 2xx stands for 200 */
  uint32_t left_out;        /* 1 << metric, by its position */
  uint32_t bound_counts[3]; /* of durations, lengths, sizes */
  double bounds[3][64];     /* seconds or bytes, rising */
};
/* cdef-end */

#endif
