/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <uv.h>

#include "base/err.h"

static const struct {
  const char *name;
  size_t len;
} known[FIELD_ID_COUNT] = { { NULL, 0 },
#define X(id, text) { text, sizeof(text) - 1 },
                            FIELD_LIST(X)
#undef X
};

int text_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
  return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

/* The last of the known fields of each length. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const uint8_t last_of_length[] = {
#define X(id, text) [sizeof(text) - 1] = id,
  FIELD_LIST(X)
#undef X
};
#pragma GCC diagnostic pop

enum field_id field_identify(const char *name, size_t len)
{
  if (len >= sizeof(last_of_length))
    return FIELD_OTHER;
  for (unsigned id = last_of_length[len]; id > 0 && known[id].len == len; id--) {
    if ((known[id].name[0] | 0x20) == (name[0] | 0x20) &&
        strncasecmp(known[id].name, name, len) == 0)
      return (enum field_id)id;
  }
  return FIELD_OTHER;
}

static int has_token(const char *value, size_t len, const char *token, size_t token_len)
{
  for (size_t at = 0; at < len;) {
    size_t end = at;
    while (end < len && value[end] != ',')
      end++;
    size_t first = at;
    size_t last = end;
    while (first < last && (value[first] == ' ' || value[first] == '\t'))
      first++;
    while (last > first && (value[last - 1] == ' ' || value[last - 1] == '\t'))
      last--;
    if (text_equal(value + first, last - first, token, token_len))
      return 1;
    at = end + 1;
  }
  return 0;
}

int text_has_token(const char *value, size_t len, const char *token)
{
  return has_token(value, len, token, strlen(token));
}

unsigned text_name_oddities(const char *name, size_t len)
{
  enum {
    O = NAME_OTHER
  };
  static const uint8_t oddities[256] = {
    ['_'] = NAME_UNDERSCORE,
    ['!'] = O,
    ['#'] = O,
    ['$'] = O,
    ['%'] = O,
    ['&'] = O,
    ['\''] = O,
    ['*'] = O,
    ['+'] = O,
    ['.'] = O,
    ['^'] = O,
    ['`'] = O,
    ['|'] = O,
    ['~'] = O,
  };
  unsigned found = 0;
  for (size_t i = 0; i < len; i++)
    found |= oddities[(unsigned char)name[i]];
  return found;
}

int text_is_token(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    int alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alnum && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
      return 0;
  }
  return len > 0;
}

int text_is_value(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f)
      return 0;
  }
  return 1;
}

void head_fini(struct head *head)
{
  free(head->fields);
  *head = (struct head){ 0 };
}

void head_clear(struct head *head)
{
  struct field *fields = head->fields;
  uint32_t cap = head->cap;
  *head = (struct head){ .fields = fields, .cap = cap };
}

static int reserve(struct head *head, uint32_t count)
{
  if (count <= head->cap)
    return 0;
  uint32_t cap = head->cap ? head->cap : 16;
  while (cap < count)
    cap *= 2;
  struct field *fields = realloc(head->fields, cap * sizeof(*fields));
  if (!fields)
    return UV_ENOMEM;
  head->fields = fields;
  head->cap = cap;
  return 0;
}

int head_copy(struct head *to, const struct head *from)
{
  int err = reserve(to, from->count);
  if (err < 0)
    return err;
  struct field *fields = to->fields;
  uint32_t cap = to->cap;
  *to = *from;
  to->fields = fields;
  to->cap = cap;
  if (from->count > 0)
    memcpy(to->fields, from->fields, from->count * sizeof(*fields));
  return 0;
}

int text_put(struct buf *arena, const char *text, size_t len, struct span *span)
{
  if (arena->len + len > UINT32_MAX)
    return ERR_HEADERS_TOO_LARGE;
  *span = (struct span){ .at = (uint32_t)arena->len, .len = (uint32_t)len };
  return buf_put(arena, text, len);
}

int head_add_span(struct head *head, const struct buf *arena, struct span name, struct span value)
{
  if (head->count >= HEAD_FIELDS_MAX)
    return ERR_HEADERS_TOO_LARGE;
  int err = reserve(head, head->count + 1);
  if (err < 0)
    return err;
  enum field_id id = field_identify(span_text(arena, name), name.len);
  head->fields[head->count++] = (struct field){ .name = name, .value = value, .id = id };
  head->ids |= 1u << id;
  return 0;
}

int head_add(struct head *head, struct buf *arena, const char *name, size_t name_len,
             const char *value, size_t value_len)
{
  struct span name_at;
  struct span value_at;
  int err = text_put(arena, name, name_len, &name_at);
  if (err < 0)
    return err;
  err = text_put(arena, value, value_len, &value_at);
  return err < 0 ? err : head_add_span(head, arena, name_at, value_at);
}

int head_find(const struct head *head, const struct buf *arena, const char *name, size_t name_len,
              uint32_t from)
{
  for (uint32_t i = from; i < head->count; i++) {
    const struct field *field = &head->fields[i];
    if (field->name.len == name_len &&
        strncasecmp(span_text(arena, field->name), name, name_len) == 0)
      return (int)i;
  }
  return -1;
}

int head_find_id(const struct head *head, enum field_id id, uint32_t from)
{
  if (!(head->ids & 1u << id))
    return -1;
  for (uint32_t i = from; i < head->count; i++) {
    if (head->fields[i].id == (uint32_t)id)
      return (int)i;
  }
  return -1;
}

static void drop(struct head *head, uint32_t at)
{
  memmove(&head->fields[at], &head->fields[at + 1], (head->count - at - 1) * sizeof(*head->fields));
  head->count--;
}

int head_remove(struct head *head, const struct buf *arena, const char *name, size_t name_len)
{
  int gone = 0;
  for (int at = head_find(head, arena, name, name_len, 0); at >= 0;
       at = head_find(head, arena, name, name_len, (uint32_t)at)) {
    drop(head, (uint32_t)at);
    gone++;
  }
  return gone;
}

int head_remove_id(struct head *head, enum field_id id)
{
  int gone = 0;
  for (int at = head_find_id(head, id, 0); at >= 0; at = head_find_id(head, id, (uint32_t)at)) {
    drop(head, (uint32_t)at);
    gone++;
  }
  return gone;
}

int head_set(struct head *head, struct buf *arena, const char *name, size_t name_len,
             const char *value, size_t value_len)
{
  head_remove(head, arena, name, name_len);
  return head_add(head, arena, name, name_len, value, value_len);
}

/* Removes the fields that one Connection value names. Content-Length and Host stay: naming them
 * there is an attack on framing and routing, never a need. */
static void strip_named(struct head *head, const struct buf *arena, struct span value)
{
  const char *text = span_text(arena, value);
  for (uint32_t i = 0; i < head->count;) {
    const struct field *field = &head->fields[i];
    int guarded = field->id == FIELD_CONTENT_LENGTH || field->id == FIELD_HOST ||
                  field->id == FIELD_CONNECTION;
    if (!guarded && has_token(text, value.len, span_text(arena, field->name), field->name.len))
      drop(head, i);
    else
      i++;
  }
}

void head_strip_hop_by_hop(struct head *head, const struct buf *arena)
{
  for (int at = head_find_id(head, FIELD_CONNECTION, 0); at >= 0;
       at = head_find_id(head, FIELD_CONNECTION, 0)) {
    struct span value = head->fields[at].value;
    drop(head, (uint32_t)at);
    strip_named(head, arena, value);
  }
  static const enum field_id always[] = { FIELD_KEEP_ALIVE, FIELD_PROXY_CONNECTION,
                                          FIELD_TRANSFER_ENCODING, FIELD_TE, FIELD_UPGRADE };
  for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
    head_remove_id(head, always[i]);
}

void head_strip_trailers(struct head *trailers)
{
  uint32_t kept = 0;
  for (uint32_t i = 0; i < trailers->count; i++) {
    if (trailers->fields[i].id == FIELD_OTHER)
      trailers->fields[kept++] = trailers->fields[i];
  }
  trailers->count = kept;
}
