/* SPDX-License-Identifier: Apache-2.0 */
/* A rate: so many at once, and so many a second on top. */
#ifndef HTTP_H2_BUCKET_H
#define HTTP_H2_BUCKET_H

#include <stdint.h>

/* Zeroes are a full one. */
struct bucket {
  uint64_t at_ms; /* when `used` was last made less */
  uint32_t used;
};

/* 1, or 0 when it is empty. A burst of 0 sets no limit. */
static inline int bucket_take(struct bucket *bucket, uint32_t burst, uint32_t rate, uint64_t now_ms)
{
  if (burst == 0)
    return 1;
  if (bucket->used == 0) {
    bucket->at_ms = now_ms;
  } else if (now_ms > bucket->at_ms) {
    uint64_t back = (now_ms - bucket->at_ms) * rate / 1000;
    if (back > 0) { /* less than one goes on adding up */
      bucket->used = back < bucket->used ? bucket->used - (uint32_t)back : 0;
      bucket->at_ms = now_ms;
    }
  }
  if (bucket->used >= burst)
    return 0;
  bucket->used++;
  return 1;
}

#endif
