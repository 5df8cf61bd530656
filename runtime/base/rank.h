/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted rendezvous hashing: which of some nodes a key belongs to, and to which next. When a node
 * comes or goes, only the keys move that it gets or had. */
#ifndef BASE_RANK_H
#define BASE_RANK_H

#include <stdint.h>

enum {
  RANK_MAX = 32
};

/* Writes to `order` the positions of the `most` nodes (RANK_MAX at most) that the key ranks highest,
 * best first; returns how many. `seeds` tell nodes apart and must not change while a node lives. A
 * node gets a share of the keys that is proportional to its weight, which is above 0. */
uint32_t rank_nodes(const char *key, uint32_t length, const uint32_t *seeds, const double *weights,
                    uint32_t count, uint32_t *order, uint32_t most);

#endif
