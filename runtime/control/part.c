/* SPDX-License-Identifier: Apache-2.0 */
#include "control/part.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/regex.h"
#include "bridge/api.h"

/* Freed with the last reference, and its patterns with it. Written until it is in a snapshot. */
struct mg_part {
  atomic_uint references;
  uint32_t length;
  struct mg_regex **regexes;
  uint32_t regex_count;
  uint32_t regex_room;
  _Alignas(16) char bytes[];
};

struct mg_part *mg_part_new(const char *bytes, uint32_t length)
{
  struct mg_part *self = malloc(sizeof(*self) + length);
  if (!self)
    return NULL;
  atomic_init(&self->references, 1);
  self->length = length;
  self->regexes = NULL;
  self->regex_count = 0;
  self->regex_room = 0;
  if (length > 0)
    memcpy(self->bytes, bytes, length);
  return self;
}

struct mg_part *part_ref(struct mg_part *part)
{
  atomic_fetch_add_explicit(&part->references, 1, memory_order_relaxed);
  return part;
}

void part_unref(struct mg_part *part)
{
  /* The last one must see all that the others did before they let go. */
  if (!part || atomic_fetch_sub_explicit(&part->references, 1, memory_order_acq_rel) != 1)
    return;
  for (uint32_t i = 0; i < part->regex_count; i++)
    regex_free(part->regexes[i]);
  free(part->regexes);
  free(part);
}

void mg_part_unref(struct mg_part *part)
{
  part_unref(part);
}

const char *part_bytes(const struct mg_part *part)
{
  return part->bytes;
}

const char *mg_part_bytes(const struct mg_part *part)
{
  return part->bytes;
}

uint32_t mg_part_length(const struct mg_part *part)
{
  return part->length;
}

int32_t mg_part_keep_regex(struct mg_part *part, struct mg_regex *regex)
{
  if (part->regex_count == part->regex_room) {
    uint32_t room = part->regex_room ? 2 * part->regex_room : 4;
    struct mg_regex **grown = realloc(part->regexes, room * sizeof(struct mg_regex *));
    if (!grown) {
      regex_free(regex);
      return ERR_NO_MEMORY;
    }
    part->regexes = grown;
    part->regex_room = room;
  }
  part->regexes[part->regex_count++] = regex;
  return 0;
}
