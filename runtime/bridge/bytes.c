/* SPDX-License-Identifier: Apache-2.0 */
/* Lua's way to patterns, hashes, tables of texts and queries. */
#include <string.h>

#include <uv.h>

#include "base/hash.h"
#include "base/index.h"
#include "base/query.h"
#include "base/rank.h"
#include "base/regex.h"
#include "bridge/api.h"

struct mg_regex *mg_regex_new(const char *pattern, uint32_t length, uint32_t flags, char *error,
                              uint32_t error_size)
{
  return regex_new(pattern, length, flags, error, error_size);
}

int32_t mg_regex_match(const struct mg_regex *regex, const char *text, uint32_t length,
                       uint32_t *captures, uint32_t pairs)
{
  return regex_match(regex, text, length, captures, pairs);
}

int32_t mg_regex_match_from(const struct mg_regex *regex, const char *text, uint32_t length,
                            uint32_t from, uint32_t *captures, uint32_t pairs)
{
  return regex_match_from(regex, text, length, from, captures, pairs);
}

uint32_t mg_regex_first(const struct mg_regex *const *list, uint32_t count, uint32_t first,
                        const char *text, uint32_t length, uint32_t *limited)
{
  int matched = 0;
  uint32_t i = first;
  for (; i < count; i++) {
    matched = regex_match(list[i], text, length, NULL, 0);
    if (matched != 0)
      break;
  }
  *limited = matched < 0;
  return i;
}

void mg_regex_free(struct mg_regex *regex)
{
  regex_free(regex);
}

uint32_t mg_hash(const char *bytes, uint32_t length, uint32_t seed)
{
  return hash_bytes(bytes, length, seed);
}

uint32_t mg_hash_path(const char *path, uint32_t length, uint32_t *marks, uint32_t most)
{
  return hash_path(path, length, marks, most);
}

uint32_t mg_index_bytes(uint32_t keys)
{
  return index_bytes(keys);
}

void mg_index_init(char *index, uint32_t bytes)
{
  index_init((struct index *)(void *)index, bytes);
}

void mg_index_put(char *index, uint32_t kind, const char *key, uint32_t length, uint32_t first,
                  uint32_t second)
{
  const uint32_t values[2] = { first, second };
  index_put((struct index *)(void *)index, kind, key, length, values);
}

static const struct index *index_at(const char *index)
{
  return (const struct index *)(const void *)index;
}

int32_t mg_index_find(const char *index, uint32_t kind, const char *key, uint32_t length,
                      uint32_t *values)
{
  return index_find(index_at(index), kind, key, length, hash_text(key, length), values);
}

int32_t mg_index_find_mark(const char *index, uint32_t kind, const char *path,
                           const uint32_t *marks, uint32_t mark, uint32_t *values)
{
  return index_find(index_at(index), kind, path, marks[2 * mark], marks[2 * mark + 1], values);
}

uint32_t mg_index_find_longest(const char *index, uint32_t kind, const char *path,
                               const uint32_t *marks, uint32_t mark, uint32_t *values)
{
  while (mark > 0 && !mg_index_find_mark(index, kind, path, marks, mark, values))
    mark--;
  return mark;
}

uint32_t mg_index_find_length(const char *index, uint32_t kind, const char *path, uint32_t length,
                              const uint32_t *lengths, uint32_t count, uint32_t first,
                              uint32_t *values)
{
  uint32_t i = first;
  while (i < count &&
         !(lengths[i] <= length && mg_index_find(index, kind, path, lengths[i], values)))
    i++;
  return i;
}

uint32_t mg_rank(const char *key, uint32_t length, const uint32_t *seeds, const double *weights,
                 uint32_t count, uint32_t *order, uint32_t most)
{
  return rank_nodes(key, length, seeds, weights, count, order, most);
}

int32_t mg_md5(const char *bytes, uint32_t length, char *out)
{
  return hash_md5(bytes, length, out);
}

int32_t mg_sha256(const char *bytes, uint32_t length, char *out)
{
  return hash_sha256(bytes, length, (unsigned char *)out);
}

int32_t mg_bytes_equal(const char *a, const char *b, uint32_t length)
{
  return length == 0 || memcmp(a, b, length) == 0;
}

int32_t mg_query_value(const char *query, uint32_t length, const char *name, uint32_t name_length,
                       char *out, uint32_t out_size)
{
  int found = query_find(query, length, name, name_length, out, out_size);
  if (found == UV_ENOENT)
    return -1;
  return found < 0 ? -2 : found;
}
