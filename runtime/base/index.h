/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table inside a block of bytes that may be copied elsewhere: from a text and a kind to two
 * numbers. Filled once, then only read. The texts lie in the same block. */
#ifndef BASE_INDEX_H
#define BASE_INDEX_H

#include <stdint.h>

struct index_slot {
  uint32_t hash;  /* hash_text of the key */
  uint32_t kind;  /* 0: free */
  int32_t key_at; /* from the index */
  uint32_t key_length;
  uint32_t values[2];
};

struct index {
  uint32_t mask; /* number of slots - 1, which is a power of two - 1 */
  uint32_t unused;
  struct index_slot slots[];
};

/* Bytes of an index for that many keys; at most a quarter of its slots is used. */
uint32_t index_bytes(uint32_t keys);
/* `bytes` is what index_bytes gave, and zeroed. */
void index_init(struct index *index, uint32_t bytes);
/* `key` lies in the block of the index and is not in there yet; `kind` is not 0. */
void index_put(struct index *index, uint32_t kind, const char *key, uint32_t length,
               const uint32_t values[2]);
/* 1 and the numbers, or 0. `hash` is hash_text of the key. */
int index_find(const struct index *index, uint32_t kind, const char *key, uint32_t length,
               uint32_t hash, uint32_t values[2]);

#endif
