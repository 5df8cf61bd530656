/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rank.h"

#include <math.h>

#include "base/hash.h"

/* The finaliser of splitmix64. */
static uint64_t mix(uint64_t value)
{
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

/* The lesser the better. -ln(u) / weight of a uniform u is the smallest one with a probability that
 * is proportional to the weight. */
static double score(uint64_t key, uint32_t seed, double weight)
{
  uint64_t mixed = mix(key ^ mix(seed + 0x9e3779b97f4a7c15u));
  double uniform = ((double)(mixed >> 11) + 0.5) * 0x1p-53;
  return -log(uniform) / weight;
}

uint32_t rank_nodes(const char *key, uint32_t length, const uint32_t *seeds, const double *weights,
                    uint32_t count, uint32_t *order, uint32_t most)
{
  double scores[RANK_MAX];
  uint32_t kept = 0;
  if (most > RANK_MAX)
    most = RANK_MAX;
  uint64_t mixed = (uint64_t)hash_bytes(key, length, 1) << 32 | hash_bytes(key, length, 0);
  for (uint32_t i = 0; i < count && most > 0; i++) {
    double mine = score(mixed, seeds[i], weights[i]);
    if (kept == most && mine >= scores[kept - 1])
      continue;
    uint32_t at = kept < most ? kept++ : kept - 1;
    for (; at > 0 && scores[at - 1] > mine; at--) {
      scores[at] = scores[at - 1];
      order[at] = order[at - 1];
    }
    scores[at] = mine;
    order[at] = i;
  }
  return kept;
}
