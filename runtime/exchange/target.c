/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/target.h"

#include "base/err.h"

static int hex(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int decode(const char *raw, size_t len, char *out)
{
  size_t used = 0;
  for (size_t i = 0; i < len; i++) {
    char c = raw[i];
    if (c == '%') {
      if (i + 2 >= len)
        return ERR_BAD_REQUEST;
      int high = hex(raw[i + 1]);
      int low = hex(raw[i + 2]);
      if (high < 0 || low < 0 || (high | low) == 0)
        return ERR_BAD_REQUEST;
      c = (char)(high << 4 | low);
      i += 2;
    }
    out[used++] = c;
  }
  return (int)used;
}

/* `out[0..at)` ends with a slash; drops the segment before it. */
static int parent(const char *out, size_t at)
{
  if (at < 2)
    return ERR_BAD_REQUEST;
  at--;
  while (at > 0 && out[at - 1] != '/')
    at--;
  return (int)at;
}

/* In place: a segment is only ever moved to the left. */
static int resolve(char *path, size_t len)
{
  size_t at = 0;
  for (size_t i = 0; i < len;) {
    size_t end = i;
    while (end < len && path[end] != '/')
      end++;
    size_t segment = end - i;
    int last = end == len;
    if (segment == 2 && path[i] == '.' && path[i + 1] == '.') {
      int up = parent(path, at);
      if (up < 0)
        return up;
      at = (size_t)up;
    } else if (segment > 0 && !(segment == 1 && path[i] == '.')) {
      for (size_t k = 0; k < segment; k++)
        path[at++] = path[i + k];
      if (!last)
        path[at++] = '/';
    } else if (at == 0) {
      path[at++] = '/';
    }
    i = end + 1;
  }
  return (int)at;
}

static int is_plain(const char *raw, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    if (raw[i] == '%' || (raw[i] == '/' && i + 1 < len && (raw[i + 1] == '/' || raw[i + 1] == '.')))
      return 0;
  }
  return 1;
}

int target_normalise(const char *raw, size_t len, char *out)
{
  if (len == 0 || raw[0] != '/')
    return ERR_BAD_REQUEST;
  if (is_plain(raw, len)) {
    for (size_t i = 0; i < len; i++)
      out[i] = raw[i];
    return (int)len;
  }
  int used = decode(raw, len, out);
  return used < 0 ? used : resolve(out, (size_t)used);
}
