/* SPDX-License-Identifier: Apache-2.0 */
#include "base/query.h"

#include <stdbool.h>
#include <string.h>

#include <uv.h>

#include "base/err.h"

static int digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* The byte at `*at`, decoded; moves on. */
static char next_byte(const char *text, uint32_t end, uint32_t *at)
{
  char c = text[(*at)++];
  if (c == '+')
    return ' ';
  if (c != '%' || end - *at < 2)
    return c;
  int high = digit(text[*at]);
  int low = digit(text[*at + 1]);
  if (high < 0 || low < 0)
    return c;
  *at += 2;
  return (char)(high << 4 | low);
}

static bool is_name(const char *text, uint32_t length, const char *name, uint32_t name_length)
{
  uint32_t at = 0;
  uint32_t same = 0;
  while (at < length) {
    char c = next_byte(text, length, &at);
    if (same == name_length || name[same++] != c)
      return false;
  }
  return same == name_length;
}

static int decode(const char *text, uint32_t length, char *out, uint32_t out_size)
{
  uint32_t used = 0;
  for (uint32_t at = 0; at < length;) {
    if (used == out_size)
      return ERR_LIMIT;
    out[used++] = next_byte(text, length, &at);
  }
  return (int)used;
}

int query_find(const char *query, uint32_t length, const char *name, uint32_t name_length,
               char *out, uint32_t out_size)
{
  uint32_t start = 0;
  while (start < length) {
    const char *cut = memchr(query + start, '&', length - start);
    uint32_t end = cut ? (uint32_t)(cut - query) : length;
    const char *equals = memchr(query + start, '=', end - start);
    uint32_t name_end = equals ? (uint32_t)(equals - query) : end;
    if (is_name(query + start, name_end - start, name, name_length)) {
      uint32_t value = equals ? name_end + 1 : end;
      return decode(query + value, end - value, out, out_size);
    }
    start = end + 1;
  }
  return UV_ENOENT;
}
