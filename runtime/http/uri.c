/* SPDX-License-Identifier: Apache-2.0 */
#include "http/uri.h"

#include <string.h>

static int is_one_of(char c, const char *extra)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != 0 && strchr(extra, c));
}

static int is_of_address(char c)
{
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
         c == '.';
}

/* Length of the host at the start of an authority, without its port; -1 when it is none. */
static int64_t host_length(const char *text, uint32_t len)
{
  uint32_t at = 0;
  if (len > 0 && text[0] == '[') {
    for (at = 1; at < len && is_of_address(text[at]); at++)
      continue;
    return at > 2 && at < len && text[at] == ']' ? (int64_t)at + 1 : -1;
  }
  for (; at < len && is_one_of(text[at], "-._~%!$&'()*+,;="); at++) {
    if (text[at] == '.' && at + 1 < len && text[at + 1] == '.')
      return -1;
  }
  return at;
}

int uri_is_host(const char *text, uint32_t len)
{
  if (len == 0)
    return 1;
  int64_t host = host_length(text, len);
  if (host <= 0)
    return 0;
  if (host == len)
    return 1;
  uint32_t port = 0;
  for (uint32_t at = (uint32_t)host + 1; at < len; at++) {
    if (text[at] < '0' || text[at] > '9')
      return 0;
    port = port * 10 + (uint32_t)(text[at] - '0');
    if (port > UINT16_MAX)
      return 0;
  }
  return text[host] == ':';
}

int uri_is_target(const char *text, uint32_t len)
{
  for (uint32_t i = 0; i < len; i++) {
    if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f)
      return 0;
  }
  return len > 0;
}

void uri_drop_fragment(struct span *target, const struct buf *arena)
{
  const char *text = span_text(arena, *target);
  const char *mark = target->len > 0 ? memchr(text, '#', target->len) : NULL;
  if (mark)
    target->len = (uint32_t)(mark - text);
}
