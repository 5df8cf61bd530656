/* SPDX-License-Identifier: Apache-2.0 */
#include "control/names.h"

#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/hash.h"

enum {
  FIRST_SLOTS = 16
};

void names_fini(struct names *names, void (*drop)(void *value))
{
  for (uint32_t i = 0; i < names->count; i++)
    drop(names->entries[i].value);
  free(names->entries);
  free(names->slots);
  buf_fini(&names->text);
}

/* The slot that holds the name, or the free one where it belongs. */
static uint32_t slot_of(const struct names *names, const char *name, uint32_t length, uint32_t hash)
{
  uint32_t mask = names->slot_count - 1;
  uint32_t slot = hash & mask;
  for (; names->slots[slot]; slot = (slot + 1) & mask) {
    const struct name_entry *entry = &names->entries[names->slots[slot] - 1];
    if (entry->hash == hash && entry->length == length &&
        (length == 0 || memcmp(names->text.data + entry->at, name, length) == 0))
      break;
  }
  return slot;
}

static int grow(struct names *names)
{
  uint32_t slot_count = names->slot_count ? 2 * names->slot_count : FIRST_SLOTS;
  struct name_entry *entries = realloc(names->entries, slot_count / 2 * sizeof(struct name_entry));
  if (!entries)
    return UV_ENOMEM;
  names->entries = entries;
  uint32_t *slots = calloc(slot_count, sizeof(*slots));
  if (!slots)
    return UV_ENOMEM;
  free(names->slots);
  names->slots = slots;
  names->slot_count = slot_count;
  for (uint32_t i = 0; i < names->count; i++) {
    uint32_t slot = entries[i].hash & (slot_count - 1);
    while (slots[slot])
      slot = (slot + 1) & (slot_count - 1);
    slots[slot] = i + 1;
  }
  return 0;
}

int names_put(struct names *names, const char *name, uint32_t length, void *value, void **replaced)
{
  *replaced = NULL;
  if (2 * (names->count + 1) > names->slot_count) {
    int err = grow(names);
    if (err < 0)
      return err;
  }
  uint32_t hash = hash_bytes(name, length, 0);
  uint32_t slot = slot_of(names, name, length, hash);
  if (names->slots[slot]) {
    struct name_entry *entry = &names->entries[names->slots[slot] - 1];
    *replaced = entry->value;
    entry->value = value;
    return 0;
  }
  uint32_t at = (uint32_t)names->text.len;
  int err = buf_put(&names->text, name, length);
  if (err < 0)
    return err;
  names->entries[names->count] =
      (struct name_entry){ .value = value, .at = at, .length = length, .hash = hash };
  names->slots[slot] = ++names->count;
  return 0;
}

void *names_find(const struct names *names, const char *name, uint32_t length)
{
  if (names->count == 0)
    return NULL;
  uint32_t slot = slot_of(names, name, length, hash_bytes(name, length, 0));
  return names->slots[slot] ? names->entries[names->slots[slot] - 1].value : NULL;
}
