/* SPDX-License-Identifier: Apache-2.0 */
#include "base/index.h"

#include <string.h>

#include "base/hash.h"

static uint32_t first_slot(const struct index *index, uint32_t kind, uint32_t hash)
{
  /* FNV's low bits are its weak ones. */
  return ((hash ^ hash >> 15) + kind) & index->mask;
}

uint32_t index_bytes(uint32_t keys)
{
  uint32_t slots = 4;
  while (slots < 4 * (uint64_t)keys)
    slots *= 2;
  return (uint32_t)(sizeof(struct index) + slots * sizeof(struct index_slot));
}

void index_init(struct index *index, uint32_t bytes)
{
  index->mask = (uint32_t)((bytes - sizeof(struct index)) / sizeof(struct index_slot)) - 1;
}

void index_put(struct index *index, uint32_t kind, const char *key, uint32_t length,
               const uint32_t values[2])
{
  uint32_t hash = hash_text(key, length);
  uint32_t at = first_slot(index, kind, hash);
  while (index->slots[at].kind)
    at = (at + 1) & index->mask;
  index->slots[at] = (struct index_slot){
    .hash = hash,
    .kind = kind,
    .key_at = (int32_t)(key - (const char *)index),
    .key_length = length,
    .values = { values[0], values[1] },
  };
}

int index_find(const struct index *index, uint32_t kind, const char *key, uint32_t length,
               uint32_t hash, uint32_t values[2])
{
  uint32_t at = first_slot(index, kind, hash);
  for (; index->slots[at].kind; at = (at + 1) & index->mask) {
    const struct index_slot *slot = &index->slots[at];
    if (slot->hash == hash && slot->kind == kind && slot->key_length == length &&
        (length == 0 || memcmp((const char *)index + slot->key_at, key, length) == 0)) {
      values[0] = slot->values[0];
      values[1] = slot->values[1];
      return 1;
    }
  }
  return 0;
}
