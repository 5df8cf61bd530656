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
#include "net/port.h"
#include "tls/certificate.h"
#include "tls/client_auth.h"
#include "tls/suites.h"

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

struct port_array {
  struct snapshot_port *items;
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
  struct names client_auths; /* of struct mg_client_auth */
  struct names suites;       /* of struct mg_suites */
  struct names passthroughs; /* of ids of services, and one more, in the pointer itself */
  struct port_array ports;
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

static void drop_client_auth(void *value)
{
  mg_client_auth_unref(value);
}

static void drop_suites(void *value)
{
  mg_suites_unref(value);
}

static void drop_id(void *value)
{
  (void)value; /* nothing is there */
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
  names_fini(&snapshot->client_auths, drop_client_auth);
  names_fini(&snapshot->suites, drop_suites);
  names_fini(&snapshot->passthroughs, drop_id);
  for (uint32_t i = 0; i < snapshot->ports.count; i++)
    port_unref(snapshot->ports.items[i].port);
  free(snapshot->ports.items);
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

/* Keeps the reference that it is given, or lets go of it. */
static int32_t put(struct names *names, const char *name, uint32_t length, void *value,
                   void (*drop)(void *value))
{
  void *replaced = NULL;
  if (names_put(names, name, length, value, &replaced) < 0) {
    drop(value);
    return ERR_NO_MEMORY;
  }
  if (replaced)
    drop(replaced);
  return 0;
}

int32_t mg_draft_host(struct mg_draft *draft, const char *name, uint32_t length,
                      struct mg_part *part)
{
  return put(&draft->snapshot->hosts, name, length, part_ref(part), drop_part);
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
  return put(&draft->snapshot->certificates, name, length, mg_certificate_ref(certificate),
             drop_certificate);
}

int32_t mg_draft_client_auth(struct mg_draft *draft, const char *name, uint32_t length,
                             struct mg_client_auth *auth)
{
  return put(&draft->snapshot->client_auths, name, length, mg_client_auth_ref(auth),
             drop_client_auth);
}

int32_t mg_draft_suites(struct mg_draft *draft, const char *name, uint32_t length,
                        struct mg_suites *suites)
{
  return put(&draft->snapshot->suites, name, length, mg_suites_ref(suites), drop_suites);
}

int32_t mg_draft_passthrough(struct mg_draft *draft, const char *name, uint32_t length,
                             uint32_t service)
{
  void *id = (void *)((uintptr_t)service + 1);
  return put(&draft->snapshot->passthroughs, name, length, id, drop_id);
}

int32_t mg_draft_port(struct mg_draft *draft, struct mg_port *port, uint32_t service,
                      uint32_t proxy)
{
  struct port_array *array = &draft->snapshot->ports;
  if (array->count == array->cap) {
    uint32_t cap = array->cap ? array->cap * 2 : 4;
    struct snapshot_port *items = realloc(array->items, cap * sizeof(*items));
    if (!items)
      return ERR_NO_MEMORY;
    array->items = items;
    array->cap = cap;
  }
  array->items[array->count++] = (struct snapshot_port){ port_ref(port), service, proxy };
  return 0;
}

static uint32_t key_of(const struct snapshot_port *item)
{
  return port_key(port_type(item->port), port_number(item->port));
}

static int by_key(const void *left, const void *right)
{
  uint32_t a = key_of(left);
  uint32_t b = key_of(right);
  return a < b ? -1 : a > b;
}

struct mg_snapshot *mg_draft_finish(struct mg_draft *draft)
{
  struct mg_snapshot *snapshot = draft->snapshot;
  if (snapshot->ports.count > 0)
    qsort(snapshot->ports.items, snapshot->ports.count, sizeof(*snapshot->ports.items), by_key);
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

/* What is kept for a server's name, or for the wildcard above it. NULL: nothing. */
static void *find_secure(const struct names *names, const char *name, uint32_t length)
{
  char clean[SERVER_NAME_BYTES];
  uint32_t size = clean_name(name, length, clean);
  void *found = size > 0 ? names_find(names, clean, size) : NULL;
  const char *dot = !found && size > 0 ? memchr(clean, '.', size) : NULL;
  if (!dot || dot == clean)
    return found;
  /* The label in front of the dot has at least one byte, which the star takes. */
  char *wildcard = clean + (dot - clean) - 1;
  *wildcard = '*';
  return names_find(names, wildcard, (uint32_t)(clean + size - wildcard));
}

struct mg_certificate *mg_snapshot_certificate(const struct mg_snapshot *snapshot, const char *name,
                                               uint32_t length)
{
  struct mg_certificate *found = find_secure(&snapshot->certificates, name, length);
  return found ? found : names_find(&snapshot->certificates, "", 0);
}

struct mg_client_auth *snapshot_client_auth(const struct mg_snapshot *snapshot, const char *name,
                                            uint32_t length)
{
  return find_secure(&snapshot->client_auths, name, length);
}

struct mg_suites *snapshot_suites(const struct mg_snapshot *snapshot, const char *name,
                                  uint32_t length)
{
  return find_secure(&snapshot->suites, name, length);
}

int32_t snapshot_passthrough(const struct mg_snapshot *snapshot, const char *name, uint32_t length)
{
  return (int32_t)(uintptr_t)find_secure(&snapshot->passthroughs, name, length) - 1;
}

const struct snapshot_port *snapshot_ports(const struct mg_snapshot *snapshot, uint32_t *count)
{
  *count = snapshot->ports.count;
  return snapshot->ports.items;
}

const struct snapshot_port *snapshot_port(const struct mg_snapshot *snapshot, int type,
                                          uint16_t number)
{
  uint32_t wanted = port_key(type, number);
  uint32_t from = 0;
  uint32_t to = snapshot->ports.count;
  while (from < to) {
    uint32_t middle = from + (to - from) / 2;
    const struct snapshot_port *item = &snapshot->ports.items[middle];
    uint32_t key = key_of(item);
    if (key == wanted)
      return item;
    if (key < wanted)
      from = middle + 1;
    else
      to = middle;
  }
  return NULL;
}
