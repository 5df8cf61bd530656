/* SPDX-License-Identifier: Apache-2.0 */
/* A map of names to pointers that is filled once and then only read: a snapshot's hosts and server
 * names. Reading needs no lock. */
#ifndef CONTROL_NAMES_H
#define CONTROL_NAMES_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

struct name_entry {
  void *value;
  uint32_t at; /* of the name in `text` */
  uint32_t length;
  uint32_t hash;
};

struct names {
  struct name_entry *entries;
  uint32_t *slots; /* index of an entry + 1; 0 is free; open addressing */
  uint32_t count;
  uint32_t slot_count; /* 0 or a power of two, at least 2 * count */
  struct buf text;
};

/* A zeroed struct is an empty map. `drop` is called for each value. */
void names_fini(struct names *names, void (*drop)(void *value));
/* Puts `value` in. *replaced is what the name stood for before, or NULL. UV_ENOMEM leaves the map as
 * it was. */
MG_MUST_USE int names_put(struct names *names, const char *name, uint32_t length, void *value,
                          void **replaced);
/* NULL: not there. */
void *names_find(const struct names *names, const char *name, uint32_t length);

#endif
