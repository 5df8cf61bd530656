/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"

enum {
  STRIPES_MAX = 16,
  STRIPE_BYTES = 64 * 1024, /* a dictionary has as many stripes as these fit in */
  BYTES_MIN = 4 * 1024,
  BYTES_USUAL = 1024 * 1024,
  BYTES_OF_SLOT = 128, /* of a stripe's memory for each slot of its table */
  DICTS_MAX = 1024,
  NAME_MAX_BYTES = 255
};

struct entry {
  struct list used; /* of the stripe, the last used first */
  struct entry *next;
  double expires;
  double number; /* of a limit: tokens, or the count of the present window */
  double before; /* of a limit: the count of the window before */
  double at;     /* of a limit: the last time, or when the present window began */
  uint32_t hash;
  uint32_t key_length;
  uint32_t length;
  uint32_t kind;
  char text[]; /* key, then value */
};

struct stripe {
  uv_mutex_t mutex;
  struct list used;
  struct entry **slots;
  uint32_t mask;
  uint64_t count;
  size_t bytes;
  size_t most;
};

struct dict {
  uint32_t seed; /* clients choose keys: which of them meet must not be known */
  uint32_t stripe_count;
  struct stripe stripes[STRIPES_MAX];
};

/* entries; the stripe is locked */

static struct entry **slot_of(const struct stripe *stripe, uint32_t hash)
{
  return &stripe->slots[hash & stripe->mask];
}

static size_t bytes_of(size_t key_length, size_t length)
{
  return sizeof(struct entry) + key_length + length;
}

static void drop(struct stripe *stripe, struct entry *entry)
{
  struct entry **at = slot_of(stripe, entry->hash);
  while (*at != entry)
    at = &(*at)->next;
  *at = entry->next;
  list_remove(&entry->used);
  stripe->count--;
  stripe->bytes -= bytes_of(entry->key_length, entry->length);
  free(entry);
}

static void shrink(struct stripe *stripe, size_t more)
{
  while (stripe->bytes + more > stripe->most && !list_empty(&stripe->used))
    drop(stripe, LIST_ENTRY(stripe->used.prev, struct entry, used));
}

static struct entry *find(struct stripe *stripe, struct dict_key key, uint32_t hash, double now)
{
  struct entry *entry = *slot_of(stripe, hash);
  while (entry && (entry->hash != hash || entry->key_length != key.length ||
                   memcmp(entry->text, key.data, key.length) != 0))
    entry = entry->next;
  if (!entry)
    return NULL;
  if (entry->expires > 0 && entry->expires <= now) {
    drop(stripe, entry);
    return NULL;
  }
  list_remove(&entry->used);
  list_push(&stripe->used, &entry->used);
  return entry;
}

/* Makes an entry with room for `length` bytes of value. */
static int add(struct stripe *stripe, struct dict_key key, uint32_t hash, uint32_t length,
               struct entry **out)
{
  size_t bytes = bytes_of(key.length, length);
  if (bytes > stripe->most)
    return ERR_LIMIT;
  shrink(stripe, bytes);
  struct entry *entry = malloc(bytes);
  if (!entry)
    return UV_ENOMEM;
  struct entry **slot = slot_of(stripe, hash);
  *entry =
      (struct entry){ .next = *slot, .hash = hash, .key_length = key.length, .length = length };
  memcpy(entry->text, key.data, key.length);
  *slot = entry;
  list_push(&stripe->used, &entry->used);
  stripe->count++;
  stripe->bytes += bytes;
  *out = entry;
  return 0;
}

static int put(struct stripe *stripe, struct entry *entry, struct dict_key key, uint32_t hash,
               const struct dict_value *value, double expires)
{
  uint32_t length = value->kind == DICT_TEXT ? value->length : 0;
  if (entry && entry->length != length) {
    drop(stripe, entry);
    entry = NULL;
  }
  int err = entry ? 0 : add(stripe, key, hash, length, &entry);
  if (err < 0)
    return err;
  entry->kind = value->kind;
  entry->number = value->number;
  entry->expires = expires;
  if (length > 0)
    memcpy(entry->text + entry->key_length, value->data, length);
  return 1;
}

static struct stripe *lock(struct dict *dict, struct dict_key key, uint32_t *hash)
{
  *hash = hash_bytes(key.data, key.length, dict->seed);
  struct stripe *stripe = &dict->stripes[*hash >> 28 & (dict->stripe_count - 1)];
  uv_mutex_lock(&stripe->mutex);
  return stripe;
}

static int unlock(struct stripe *stripe, int result)
{
  uv_mutex_unlock(&stripe->mutex);
  return result;
}

/* values */

int dict_get(struct dict *dict, struct dict_key key, double now, struct dict_value *value,
             struct buf *text)
{
  uint32_t hash;
  struct stripe *stripe = lock(dict, key, &hash);
  const struct entry *entry = find(stripe, key, hash, now);
  if (!entry || entry->kind == DICT_LIMIT)
    return unlock(stripe, 0);
  *value = (struct dict_value){ .kind = entry->kind, .number = entry->number };
  if (entry->kind == DICT_TEXT) {
    text->len = 0;
    if (buf_put(text, entry->text + entry->key_length, entry->length) < 0)
      return unlock(stripe, UV_ENOMEM);
    value->data = text->data;
    value->length = entry->length;
  }
  return unlock(stripe, 1);
}

int dict_set(struct dict *dict, struct dict_key key, double now, const struct dict_value *value,
             double expires, enum dict_mode mode)
{
  uint32_t hash;
  struct stripe *stripe = lock(dict, key, &hash);
  struct entry *entry = find(stripe, key, hash, now);
  if ((mode == DICT_ADD && entry) || (mode == DICT_REPLACE && !entry))
    return unlock(stripe, 0);
  return unlock(stripe, put(stripe, entry, key, hash, value, expires));
}

static int is_equal(const struct entry *entry, const struct dict_value *value)
{
  if (!entry)
    return value->kind == DICT_NONE;
  if (entry->kind != value->kind)
    return 0;
  if (value->kind == DICT_TEXT)
    return entry->length == value->length &&
           memcmp(entry->text + entry->key_length, value->data, value->length) == 0;
  return value->kind != DICT_NUMBER ||
         !(entry->number < value->number || entry->number > value->number);
}

int dict_swap(struct dict *dict, struct dict_key key, double now, const struct dict_value *old,
              const struct dict_value *value, double expires)
{
  uint32_t hash;
  struct stripe *stripe = lock(dict, key, &hash);
  struct entry *entry = find(stripe, key, hash, now);
  if (!is_equal(entry, old))
    return unlock(stripe, 0);
  if (value->kind != DICT_NONE)
    return unlock(stripe, put(stripe, entry, key, hash, value, expires));
  if (entry)
    drop(stripe, entry);
  return unlock(stripe, 1);
}

int dict_add(struct dict *dict, struct dict_key key, double now, double by, const double *init,
             double expires, double *result)
{
  uint32_t hash;
  struct stripe *stripe = lock(dict, key, &hash);
  struct entry *entry = find(stripe, key, hash, now);
  if (!entry && !init)
    return unlock(stripe, 0);
  if (entry && entry->kind != DICT_NUMBER)
    return unlock(stripe, UV_EINVAL);
  if (!entry) {
    const struct dict_value value = { .kind = DICT_NUMBER, .number = *init + by };
    *result = value.number;
    return unlock(stripe, put(stripe, NULL, key, hash, &value, expires));
  }
  entry->number += by;
  *result = entry->number;
  return unlock(stripe, 1);
}

int dict_delete(struct dict *dict, struct dict_key key, double now)
{
  uint32_t hash;
  struct stripe *stripe = lock(dict, key, &hash);
  struct entry *entry = find(stripe, key, hash, now);
  if (entry)
    drop(stripe, entry);
  return unlock(stripe, entry != NULL);
}

int dict_expires(struct dict *dict, struct dict_key key, double now, double *expires)
{
  uint32_t hash;
  struct stripe *stripe = lock(dict, key, &hash);
  const struct entry *entry = find(stripe, key, hash, now);
  if (entry)
    *expires = entry->expires;
  return unlock(stripe, entry != NULL);
}

int dict_expire(struct dict *dict, struct dict_key key, double now, double expires)
{
  uint32_t hash;
  struct stripe *stripe = lock(dict, key, &hash);
  struct entry *entry = find(stripe, key, hash, now);
  if (entry)
    entry->expires = expires;
  return unlock(stripe, entry != NULL);
}

/* limits */

/* The limit's state; `*fresh` when it has none yet, or another value stood there. */
static int limit_of(struct stripe *stripe, struct dict_key key, uint32_t hash, double now,
                    struct entry **out, int *fresh)
{
  struct entry *entry = find(stripe, key, hash, now);
  if (entry && entry->kind != DICT_LIMIT) {
    drop(stripe, entry);
    entry = NULL;
  }
  *fresh = !entry;
  int err = entry ? 0 : add(stripe, key, hash, 0, &entry);
  if (err < 0)
    return err;
  entry->kind = DICT_LIMIT;
  *out = entry;
  return 0;
}

int dict_take_token(struct dict *dict, struct dict_key key, double now, double rate, double burst,
                    struct dict_verdict *verdict)
{
  uint32_t hash;
  int fresh;
  struct entry *entry;
  struct stripe *stripe = lock(dict, key, &hash);
  int err = limit_of(stripe, key, hash, now, &entry, &fresh);
  if (err < 0)
    return unlock(stripe, err);
  double passed = now > entry->at ? now - entry->at : 0;
  double tokens = fresh ? burst : fmin(burst, entry->number + passed * rate);
  int taken = tokens >= 1;
  entry->number = taken ? tokens - 1 : tokens;
  entry->at = now;
  entry->expires = now + burst / rate; /* full again: as good as none */
  verdict->remaining = floor(entry->number);
  verdict->wait_s = entry->number >= 1 ? 0 : (1 - entry->number) / rate;
  return unlock(stripe, taken);
}

/* The window before counts by the share of it that the sliding window still covers. */
int dict_window_add(struct dict *dict, struct dict_key key, double now, double limit,
                    double window_s, struct dict_verdict *verdict)
{
  uint32_t hash;
  int fresh;
  struct entry *entry;
  struct stripe *stripe = lock(dict, key, &hash);
  int err = limit_of(stripe, key, hash, now, &entry, &fresh);
  if (err < 0)
    return unlock(stripe, err);
  double begun = floor(now / window_s) * window_s;
  if (fresh || begun > entry->at) {
    int is_next = !fresh && begun - entry->at < window_s * 1.5;
    entry->before = is_next ? entry->number : 0;
    entry->number = 0;
    entry->at = begun;
  }
  double passed = (now - entry->at) / window_s;
  double used = entry->before * (1 - passed) + entry->number;
  int counted = used + 1 <= limit;
  if (counted) {
    entry->number++;
    used++;
  }
  entry->expires = entry->at + 2 * window_s;
  verdict->remaining = fmax(0, floor(limit - used));
  verdict->wait_s = entry->at + window_s - now;
  return unlock(stripe, counted);
}

/* the whole */

int dict_keys(struct dict *dict, double now, uint32_t most, struct buf *keys)
{
  keys->len = 0;
  for (uint32_t i = 0; i < dict->stripe_count && most > 0; i++) {
    struct stripe *stripe = &dict->stripes[i];
    uv_mutex_lock(&stripe->mutex);
    for (struct list *node = stripe->used.next; node != &stripe->used && most > 0;
         node = node->next) {
      const struct entry *entry = LIST_ENTRY(node, struct entry, used);
      if (entry->expires > 0 && entry->expires <= now)
        continue;
      most--;
      if (buf_put(keys, &entry->key_length, sizeof(entry->key_length)) < 0 ||
          buf_put(keys, entry->text, entry->key_length) < 0)
        return unlock(stripe, UV_ENOMEM);
    }
    uv_mutex_unlock(&stripe->mutex);
  }
  return 0;
}

uint64_t dict_count(struct dict *dict)
{
  uint64_t count = 0;
  for (uint32_t i = 0; i < dict->stripe_count; i++) {
    uv_mutex_lock(&dict->stripes[i].mutex);
    count += dict->stripes[i].count;
    uv_mutex_unlock(&dict->stripes[i].mutex);
  }
  return count;
}

static void empty(struct stripe *stripe)
{
  while (!list_empty(&stripe->used))
    drop(stripe, LIST_ENTRY(stripe->used.next, struct entry, used));
}

void dict_flush(struct dict *dict)
{
  for (uint32_t i = 0; i < dict->stripe_count; i++) {
    uv_mutex_lock(&dict->stripes[i].mutex);
    empty(&dict->stripes[i]);
    uv_mutex_unlock(&dict->stripes[i].mutex);
  }
}

static size_t share_of(const struct dict *dict, size_t bytes)
{
  return (bytes < BYTES_MIN ? BYTES_MIN : bytes) / dict->stripe_count;
}

/* Its table stays: with more memory its chains are longer. */
void dict_resize(struct dict *dict, size_t bytes)
{
  for (uint32_t i = 0; i < dict->stripe_count; i++) {
    struct stripe *stripe = &dict->stripes[i];
    uv_mutex_lock(&stripe->mutex);
    stripe->most = share_of(dict, bytes);
    shrink(stripe, 0);
    uv_mutex_unlock(&stripe->mutex);
  }
}

static int stripe_init(struct stripe *stripe, size_t bytes)
{
  uint32_t slots = 16;
  while (slots < bytes / BYTES_OF_SLOT && slots < 1u << 24)
    slots *= 2;
  list_init(&stripe->used);
  stripe->most = bytes;
  stripe->mask = slots - 1;
  stripe->slots = calloc(slots, sizeof(struct entry *));
  if (!stripe->slots)
    return UV_ENOMEM;
  int err = uv_mutex_init(&stripe->mutex);
  if (err < 0)
    free(stripe->slots);
  return err;
}

int dict_new(struct dict **out, size_t bytes)
{
  struct dict *dict = calloc(1, sizeof(*dict));
  if (!dict)
    return UV_ENOMEM;
  CHECK(uv_random(NULL, NULL, &dict->seed, sizeof(dict->seed), 0, NULL) == 0);
  uint32_t count = 1;
  while (count < STRIPES_MAX && (size_t)count * 2 * STRIPE_BYTES <= bytes)
    count *= 2;
  for (dict->stripe_count = 0; dict->stripe_count < count; dict->stripe_count++) {
    size_t share = (bytes < BYTES_MIN ? BYTES_MIN : bytes) / count;
    int err = stripe_init(&dict->stripes[dict->stripe_count], share);
    if (err < 0) {
      dict_free(dict);
      return err;
    }
  }
  *out = dict;
  return 0;
}

void dict_free(struct dict *dict)
{
  for (uint32_t i = 0; i < dict->stripe_count; i++) {
    empty(&dict->stripes[i]);
    free(dict->stripes[i].slots);
    uv_mutex_destroy(&dict->stripes[i].mutex);
  }
  free(dict);
}

/* by name */

struct dict_named {
  struct dict_named *next;
  struct dict *dict;
  uint32_t length;
  char name[];
};

int dicts_init(struct dicts *dicts)
{
  *dicts = (struct dicts){ 0 };
  return uv_mutex_init(&dicts->mutex);
}

void dicts_fini(struct dicts *dicts)
{
  while (dicts->first) {
    struct dict_named *named = dicts->first;
    dicts->first = named->next;
    dict_free(named->dict);
    free(named);
  }
  uv_mutex_destroy(&dicts->mutex);
}

static int add_named(struct dicts *dicts, const char *name, uint32_t length, size_t bytes,
                     struct dict **out)
{
  if (dicts->count >= DICTS_MAX || length > NAME_MAX_BYTES)
    return ERR_LIMIT;
  struct dict_named *named = malloc(sizeof(*named) + length);
  if (!named)
    return UV_ENOMEM;
  int err = dict_new(&named->dict, bytes ? bytes : BYTES_USUAL);
  if (err < 0) {
    free(named);
    return err;
  }
  named->length = length;
  memcpy(named->name, name, length);
  named->next = dicts->first;
  dicts->first = named;
  dicts->count++;
  *out = named->dict;
  return 0;
}

int dicts_find(struct dicts *dicts, const char *name, uint32_t length, size_t bytes,
               struct dict **out)
{
  uv_mutex_lock(&dicts->mutex);
  struct dict_named *named = dicts->first;
  while (named && (named->length != length || memcmp(named->name, name, length) != 0))
    named = named->next;
  int err = 0;
  if (!named)
    err = add_named(dicts, name, length, bytes, out);
  else
    *out = named->dict;
  if (named && bytes > 0)
    dict_resize(named->dict, bytes);
  uv_mutex_unlock(&dicts->mutex);
  return err;
}
