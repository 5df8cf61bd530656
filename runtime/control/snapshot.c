/* SPDX-License-Identifier: Apache-2.0 */
#include "control/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "bridge/api.h"
#include "control/names.h"
#include "control/part.h"
#include "tls/certificate.h"

enum {
  SERVER_NAME_BYTES = 255
};

/* Parts by id; an id without a part is NULL. */
struct part_array {
  struct mg_part **parts;
  uint32_t count;
};

/* A host by a pattern of its name. The regex is the part's. */
struct alias {
  const struct mg_regex *regex;
  struct mg_part *part;
};

struct alias_array {
  struct alias *items;
  uint32_t count;
  uint32_t cap;
};

struct mg_snapshot {
  atomic_uint references;
  uint64_t number;
  struct names hosts; /* of struct mg_part */
  struct alias_array aliases;
  struct part_array services;
  struct part_array plans;
  struct names certificates; /* of struct mg_certificate */
};

/* A snapshot that nobody has seen yet. */
struct mg_draft {
  struct mg_snapshot *snapshot;
};

static void drop_part(void *value)
{
  part_unref(value);
}

static void drop_certificate(void *value)
{
  mg_certificate_unref(value);
}

static void array_fini(struct part_array *array)
{
  for (uint32_t i = 0; i < array->count; i++)
    part_unref(array->parts[i]);
  free(array->parts);
}

static int array_put(struct part_array *array, uint32_t id, struct mg_part *part)
{
  if (id >= SNAPSHOT_ID_LIMIT)
    return ERR_LIMIT;
  if (id >= array->count) {
    uint32_t count = array->count ? array->count : 16;
    while (count <= id)
      count *= 2;
    struct mg_part **grown = realloc(array->parts, count * sizeof(struct mg_part *));
    if (!grown)
      return ERR_NO_MEMORY;
    memset(grown + array->count, 0, (count - array->count) * sizeof(struct mg_part *));
    array->parts = grown;
    array->count = count;
  }
  part_unref(array->parts[id]);
  array->parts[id] = part_ref(part);
  return 0;
}

static const char *array_bytes(const struct part_array *array, uint32_t id)
{
  return id < array->count && array->parts[id] ? part_bytes(array->parts[id]) : NULL;
}

static void snapshot_free(struct mg_snapshot *snapshot)
{
  names_fini(&snapshot->hosts, drop_part);
  for (uint32_t i = 0; i < snapshot->aliases.count; i++)
    part_unref(snapshot->aliases.items[i].part);
  free(snapshot->aliases.items);
  array_fini(&snapshot->services);
  array_fini(&snapshot->plans);
  names_fini(&snapshot->certificates, drop_certificate);
  free(snapshot);
}

struct mg_draft *mg_draft_new(uint64_t number)
{
  struct mg_draft *self = malloc(sizeof(*self));
  if (!self)
    return NULL;
  self->snapshot = calloc(1, sizeof(*self->snapshot));
  if (!self->snapshot) {
    free(self);
    return NULL;
  }
  atomic_init(&self->snapshot->references, 1);
  self->snapshot->number = number;
  return self;
}

int32_t mg_draft_host(struct mg_draft *draft, const char *name, uint32_t length,
                      struct mg_part *part)
{
  void *replaced = NULL;
  if (names_put(&draft->snapshot->hosts, name, length, part, &replaced) < 0)
    return ERR_NO_MEMORY;
  part_ref(part);
  part_unref(replaced);
  return 0;
}

int32_t mg_draft_alias(struct mg_draft *draft, const struct mg_regex *regex, struct mg_part *part)
{
  struct alias_array *array = &draft->snapshot->aliases;
  if (array->count == array->cap) {
    uint32_t cap = array->cap ? array->cap * 2 : 4;
    struct alias *items = realloc(array->items, cap * sizeof(*items));
    if (!items)
      return ERR_NO_MEMORY;
    array->items = items;
    array->cap = cap;
  }
  array->items[array->count++] = (struct alias){ regex, part_ref(part) };
  return 0;
}

int32_t mg_draft_service(struct mg_draft *draft, uint32_t id, struct mg_part *part)
{
  return array_put(&draft->snapshot->services, id, part);
}

int32_t mg_draft_plan(struct mg_draft *draft, uint32_t id, struct mg_part *part)
{
  return array_put(&draft->snapshot->plans, id, part);
}

int32_t mg_draft_certificate(struct mg_draft *draft, const char *name, uint32_t length,
                             struct mg_certificate *certificate)
{
  void *replaced = NULL;
  if (names_put(&draft->snapshot->certificates, name, length, certificate, &replaced) < 0)
    return ERR_NO_MEMORY;
  mg_certificate_ref(certificate);
  if (replaced)
    mg_certificate_unref(replaced);
  return 0;
}

struct mg_snapshot *mg_draft_finish(struct mg_draft *draft)
{
  struct mg_snapshot *snapshot = draft->snapshot;
  free(draft);
  return snapshot;
}

void mg_draft_free(struct mg_draft *draft)
{
  if (!draft)
    return;
  snapshot_free(draft->snapshot);
  free(draft);
}

struct mg_snapshot *mg_snapshot_ref(struct mg_snapshot *snapshot)
{
  atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
  return snapshot;
}

void mg_snapshot_unref(struct mg_snapshot *snapshot)
{
  if (!snapshot)
    return;
  /* The last one must see all that the others did before they let go. */
  unsigned before = atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel);
  CHECK(before > 0);
  if (before == 1)
    snapshot_free(snapshot);
}

uint64_t mg_snapshot_number(const struct mg_snapshot *snapshot)
{
  return snapshot->number;
}

const char *mg_snapshot_host(const struct mg_snapshot *snapshot, const char *name, uint32_t length)
{
  const struct mg_part *part = names_find(&snapshot->hosts, name, length);
  return part ? part_bytes(part) : NULL;
}

const char *mg_snapshot_wildcard(const struct mg_snapshot *snapshot, const char *name,
                                 uint32_t length, uint32_t *cursor)
{
  while (cursor[0] < length) {
    const char *dot = memchr(name + cursor[0], '.', length - cursor[0]);
    if (!dot)
      break;
    uint32_t at = (uint32_t)(dot - name);
    cursor[0] = at + 1;
    cursor[1]++;
    const char *bytes = mg_snapshot_host(snapshot, dot, length - at);
    if (bytes)
      return bytes;
  }
  cursor[0] = length;
  return NULL;
}

const char *mg_snapshot_alias(const struct mg_snapshot *snapshot, const char *name, uint32_t length)
{
  for (uint32_t i = 0; i < snapshot->aliases.count; i++) {
    const struct alias *alias = &snapshot->aliases.items[i];
    if (mg_regex_match(alias->regex, name, length, NULL, 0) > 0)
      return part_bytes(alias->part);
  }
  return NULL;
}

uint32_t mg_snapshot_service_count(const struct mg_snapshot *snapshot)
{
  return snapshot->services.count;
}

const char *mg_snapshot_service(const struct mg_snapshot *snapshot, uint32_t id)
{
  return array_bytes(&snapshot->services, id);
}

const char *mg_snapshot_plan(const struct mg_snapshot *snapshot, uint32_t id)
{
  return array_bytes(&snapshot->plans, id);
}

/* Lower-cases without the final dot. 0: no name that a certificate could have. */
static uint32_t clean_name(const char *name, uint32_t length, char out[SERVER_NAME_BYTES])
{
  if (length > 0 && name[length - 1] == '.')
    length--;
  if (length > SERVER_NAME_BYTES)
    return 0;
  for (uint32_t i = 0; i < length; i++)
    out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i]);
  return length;
}

struct mg_certificate *mg_snapshot_certificate(const struct mg_snapshot *snapshot, const char *name,
                                               uint32_t length)
{
  char clean[SERVER_NAME_BYTES];
  uint32_t size = clean_name(name, length, clean);
  const struct names *certificates = &snapshot->certificates;
  struct mg_certificate *found = size > 0 ? names_find(certificates, clean, size) : NULL;
  const char *dot = !found && size > 0 ? memchr(clean, '.', size) : NULL;
  if (dot && dot > clean) {
    /* The label in front of the dot has at least one byte, which the star takes. */
    char *wildcard = clean + (dot - clean) - 1;
    *wildcard = '*';
    found = names_find(certificates, wildcard, (uint32_t)(clean + size - wildcard));
  }
  return found ? found : names_find(certificates, "", 0);
}
