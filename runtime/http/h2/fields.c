/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2/fields.h"

#include <string.h>

static void push(struct h2_fields *fields, const char *name, size_t name_len, const char *value,
                 size_t value_len, uint8_t flags)
{
  fields->list[fields->count++] = (nghttp2_nv){
    .name = (uint8_t *)name, /* nghttp2 copies both */
    .value = (uint8_t *)value,
    .namelen = name_len,
    .valuelen = value_len,
    .flags = flags,
  };
}

/* RFC 9113 8.2.1: a value neither begins nor ends with white space. */
static void push_field(struct h2_fields *fields, const struct field *field, const struct buf *arena)
{
  const char *value = span_text(arena, field->value);
  size_t len = field->value.len;
  while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
    len--;
  for (; len > 0 && (*value == ' ' || *value == '\t'); len--)
    value++;
  /* One that is new each time would push the others out of the table. */
  uint8_t flags = field->id == FIELD_X_REQUEST_ID ? NGHTTP2_NV_FLAG_NO_INDEX : 0;
  push(fields, span_text(arena, field->name), field->name.len, value, len, flags);
}

/* RFC 9113 8.2.2. Framing and Host are told otherwise. */
static int is_ours(const struct field *field)
{
  switch (field->id) {
  case FIELD_CONNECTION:
  case FIELD_KEEP_ALIVE:
  case FIELD_PROXY_CONNECTION:
  case FIELD_TRANSFER_ENCODING:
  case FIELD_UPGRADE:
  case FIELD_TE:
  case FIELD_CONTENT_LENGTH:
  case FIELD_HOST:
    return 1;
  default:
    return 0;
  }
}

static void push_fields(struct h2_fields *fields, const struct head *head, const struct buf *arena)
{
  for (uint32_t i = 0; i < head->count; i++) {
    if (!is_ours(&head->fields[i]))
      push_field(fields, &head->fields[i], arena);
  }
}

static void push_length(struct h2_fields *fields, int64_t len)
{
  char *at = fields->length + sizeof(fields->length);
  const char *end = at;
  do {
    *--at = (char)('0' + len % 10);
    len /= 10;
  } while (len > 0);
  push(fields, "content-length", 14, at, (size_t)(end - at), 0);
}

/* As HTTP/1.1's writer (RFC 9110 8.6), but that an end of the stream says that there is no body. */
static void push_framing(struct h2_fields *fields, const struct head *head, const struct buf *arena,
                         int more)
{
  if (head->status < 200 || head->status == 204)
    return;
  if (more) {
    if (head->body_len >= 0)
      push_length(fields, head->body_len);
    return;
  }
  int at = head_find_id(head, FIELD_CONTENT_LENGTH, 0);
  if (at >= 0)
    push_field(fields, &head->fields[at], arena);
}

static int is_named(const struct field *field, const struct buf *arena, const char *name,
                    size_t len)
{
  return text_equal(span_text(arena, field->name), field->name.len, name, len);
}

/* Key and its answer mean nothing where the stream itself is the tunnel (RFC 8441 5). */
static void push_without(struct h2_fields *fields, const struct head *head, const struct buf *arena,
                         const char *name, size_t len)
{
  for (uint32_t i = 0; i < head->count; i++) {
    if (!is_ours(&head->fields[i]) && !is_named(&head->fields[i], arena, name, len))
      push_field(fields, &head->fields[i], arena);
  }
}

/* RFC 9113 8.2.2: of TE, `trailers` alone may be said. */
static void push_te(struct h2_fields *fields, const struct head *head, const struct buf *arena)
{
  int at = head_find_id(head, FIELD_TE, 0);
  if (at < 0)
    return;
  struct span value = head->fields[at].value;
  if (text_has_token(span_text(arena, value), value.len, "trailers"))
    push(fields, "te", 2, "trailers", 8, 0);
}

static void push_span(struct h2_fields *fields, const char *name, size_t len,
                      const struct buf *arena, struct span value)
{
  push(fields, name, len, span_text(arena, value), value.len, 0);
}

static void push_target(struct h2_fields *fields, const struct head *head, const struct buf *arena,
                        const char *scheme)
{
  int host = head_find_id(head, FIELD_HOST, 0);
  push(fields, ":scheme", 7, scheme, strlen(scheme), 0);
  if (host >= 0)
    push_span(fields, ":authority", 10, arena, head->fields[host].value);
  push_span(fields, ":path", 5, arena, head->target);
}

void h2_fields_request(struct h2_fields *fields, const struct head *head, const struct buf *arena,
                       const char *scheme, int more)
{
  fields->count = 0;
  push_span(fields, ":method", 7, arena, head->method);
  push_target(fields, head, arena, scheme);
  push_fields(fields, head, arena);
  push_te(fields, head, arena);
  int known = more ? head->body_len >= 0 : head_find_id(head, FIELD_CONTENT_LENGTH, 0) >= 0;
  if (known)
    push_length(fields, more ? head->body_len : 0);
}

void h2_fields_websocket(struct h2_fields *fields, const struct head *head, const struct buf *arena,
                         const char *scheme)
{
  fields->count = 0;
  push(fields, ":method", 7, "CONNECT", 7, 0);
  push(fields, ":protocol", 9, "websocket", 9, 0);
  push_target(fields, head, arena, scheme);
  push_without(fields, head, arena, "sec-websocket-key", 17);
}

void h2_fields_response(struct h2_fields *fields, const struct head *head, const struct buf *arena,
                        int more, int tunnel)
{
  uint32_t status = tunnel ? 200 : head->status;
  fields->count = 0;
  for (size_t i = 3; i-- > 0; status /= 10)
    fields->status[i] = (char)('0' + status % 10);
  push(fields, ":status", 7, fields->status, 3, 0);
  if (tunnel) {
    push_without(fields, head, arena, "sec-websocket-accept", 20);
    return;
  }
  push_fields(fields, head, arena);
  push_framing(fields, head, arena, more);
}

void h2_fields_trailers(struct h2_fields *fields, const struct head *head, const struct buf *arena)
{
  fields->count = 0;
  push_fields(fields, head, arena);
}
