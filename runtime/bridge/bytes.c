/* SPDX-License-Identifier: Apache-2.0 */
/* Lua's way to patterns, hashes and queries. */
#include <string.h>

#include <uv.h>

#include "base/hash.h"
#include "base/query.h"
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

void mg_regex_free(struct mg_regex *regex)
{
  regex_free(regex);
}

uint32_t mg_hash(const char *bytes, uint32_t length, uint32_t seed)
{
  return hash_bytes(bytes, length, seed);
}

uint32_t mg_hash_text(const char *bytes, uint32_t length)
{
  return hash_text(bytes, length);
}

uint32_t mg_hash_path(const char *path, uint32_t length, uint32_t *marks, uint32_t most)
{
  return hash_path(path, length, marks, most);
}

int32_t mg_md5(const char *bytes, uint32_t length, char *out)
{
  return hash_md5(bytes, length, out);
}

int32_t mg_bytes_equal(const char *a, const char *b, uint32_t length)
{
  return length == 0 || memcmp(a, b, length) == 0;
}

uint32_t mg_bytes_find(const char *bytes, uint32_t length, uint32_t from, uint32_t byte)
{
  const char *found = from < length ? memchr(bytes + from, (int)byte, length - from) : NULL;
  return found ? (uint32_t)(found - bytes) : length;
}

int32_t mg_query_value(const char *query, uint32_t length, const char *name, uint32_t name_length,
                       char *out, uint32_t out_size)
{
  int found = query_find(query, length, name, name_length, out, out_size);
  if (found == UV_ENOENT)
    return -1;
  return found < 0 ? -2 : found;
}
