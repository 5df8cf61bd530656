/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2/head.h"

#include <string.h>

#include "base/err.h"
#include "http/uri.h"
#include "http/websocket.h"

enum {
  TOO_MUCH = 4 /* times the limit of a head: nobody sends that by mistake */
};

static int is(nghttp2_vec text, const char *other, size_t len)
{
  return text.len == len && memcmp(text.base, other, len) == 0;
}

static int put(struct buf *arena, nghttp2_vec text, struct span *span)
{
  return text_put(arena, (const char *)text.base, text.len, span);
}

static int add_pseudo(struct h2_head *self, const struct http_limits *limits, struct buf *arena,
                      struct head *head, nghttp2_vec name, nghttp2_vec value)
{
  if (is(name, ":method", 7))
    return put(arena, value, &head->method);
  if (is(name, ":path", 5))
    return value.len > limits->target_bytes ? ERR_TARGET_TOO_LONG
                                            : put(arena, value, &head->target);
  if (is(name, ":scheme", 7))
    return put(arena, value, &self->scheme);
  if (is(name, ":authority", 10))
    return put(arena, value, &self->authority);
  if (is(name, ":protocol", 9))
    return put(arena, value, &self->protocol);
  if (is(name, ":status", 7) && value.len == 3)
    head->status = (uint32_t)((value.base[0] - '0') * 100 + (value.base[1] - '0') * 10 +
                              (value.base[2] - '0'));
  return 0;
}

/* RFC 9113 8.2.3: cookies come in crumbs and leave as one field. Copies count as bytes of the head. */
static int add_crumb(struct h2_head *self, struct buf *arena, struct field *cookie,
                     nghttp2_vec value)
{
  struct span *whole = &cookie->value;
  int err = buf_reserve(arena, whole->len + value.len + 2);
  if (err < 0)
    return err;
  if (whole->at + whole->len != arena->len) {
    self->bytes += whole->len;
    err = text_put(arena, span_text(arena, *whole), whole->len, whole);
  }
  if (err == 0)
    err = buf_put(arena, "; ", 2);
  if (err == 0)
    err = buf_put(arena, value.base, value.len);
  whole->len += (uint32_t)value.len + 2;
  return err;
}

static int add(struct h2_head *self, const struct http_limits *limits, struct buf *arena,
               struct head *head, nghttp2_vec name, nghttp2_vec value)
{
  if (self->bytes > limits->head_bytes)
    return ERR_HEADERS_TOO_LARGE;
  if (name.base[0] == ':')
    return add_pseudo(self, limits, arena, head, name, value);
  if (limits->field_bytes > 0 && name.len + value.len + 4 > limits->field_bytes)
    return ERR_FIELD_TOO_LONG;
  if (text_name_oddities((const char *)name.base, name.len) & limits->drop_names)
    return 0;
  int cookie = is(name, "cookie", 6) ? head_find(head, arena, "cookie", 6, 0) : -1;
  if (cookie >= 0)
    return add_crumb(self, arena, &head->fields[cookie], value);
  if (head->count >= limits->fields)
    return ERR_HEADERS_TOO_LARGE;
  return head_add(head, arena, (const char *)name.base, name.len, (const char *)value.base,
                  value.len);
}

int h2_head_field(struct h2_head *self, const struct http_limits *limits, struct buf *arena,
                  struct head *head, nghttp2_vec name, nghttp2_vec value)
{
  self->bytes += (uint32_t)(name.len + value.len);
  if (self->err == 0)
    self->err = add(self, limits, arena, head, name, value);
  return self->bytes / TOO_MUCH > limits->head_bytes ? self->err : 0;
}

static void set_body(const struct buf *arena, struct head *head, int ended)
{
  int at = head_find_id(head, FIELD_CONTENT_LENGTH, 0);
  head->body_len = ended ? 0 : -1;
  if (ended || at < 0)
    return;
  struct span value = head->fields[at].value;
  const char *text = span_text(arena, value);
  int64_t len = 0;
  for (uint32_t i = 0; i < value.len; i++) /* nghttp2 takes digits alone, and no more than fit */
    len = len * 10 + (text[i] - '0');
  head->body_len = len;
}

static int check_target(const struct buf *arena, struct head *head)
{
  uri_drop_fragment(&head->target, arena);
  const char *text = span_text(arena, head->target);
  if (!uri_is_target(text, head->target.len))
    return ERR_BAD_REQUEST;
  if (text[0] == '/')
    return 0;
  int options = head->method.len == 7 && memcmp(span_text(arena, head->method), "OPTIONS", 7) == 0;
  return options && head->target.len == 1 && text[0] == '*' ? 0 : ERR_BAD_REQUEST;
}

/* RFC 9113 8.3.1: Host says what :authority says, or stands for it. */
static int check_host(const struct h2_head *self, const struct buf *arena, struct head *head)
{
  int at = head_find_id(head, FIELD_HOST, 0);
  head->host = self->authority;
  if (at >= 0) {
    struct span value = head->fields[at].value;
    if (head->host.len == 0)
      head->host = value;
    if (head_find_id(head, FIELD_HOST, (uint32_t)at + 1) >= 0 ||
        !text_equal(span_text(arena, value), value.len, span_text(arena, head->host),
                    head->host.len))
      return ERR_BAD_REQUEST;
  }
  return head->host.len > 0 && uri_is_host(span_text(arena, head->host), head->host.len)
             ? 0
             : ERR_BAD_REQUEST;
}

static int add_host(struct buf *arena, struct head *head)
{
  struct span name;
  if (head_find_id(head, FIELD_HOST, 0) >= 0)
    return 0;
  int err = text_put(arena, "host", 4, &name);
  return err < 0 ? err : head_add_span(head, arena, name, head->host);
}

static int check_expect(const struct buf *arena, struct head *head)
{
  int at = head_find_id(head, FIELD_EXPECT, 0);
  if (at < 0)
    return 0;
  struct span value = head->fields[at].value;
  if (!text_equal(span_text(arena, value), value.len, "100-continue", 12))
    return ERR_EXPECTATION;
  head->expect_continue = 1;
  return 0;
}

/* The key that HTTP/1.1 wants (RFC 6455 4.1) and RFC 8441 does not: any will do, its answer is dropped. */
static int add_key(struct buf *arena, struct head *head)
{
  char key[WEBSOCKET_KEY_BYTES + 1];
  int err = websocket_key(key);
  head_remove(head, arena, "sec-websocket-key", 17);
  return err < 0 ? err : head_add(head, arena, "Sec-WebSocket-Key", 17, key, WEBSOCKET_KEY_BYTES);
}

/* RFC 8441 5.1: extended CONNECT becomes the upgrade of HTTP/1.1. */
static int check_connect(const struct h2_head *self, struct buf *arena, struct head *head,
                         int ended)
{
  if (!text_equal(span_text(arena, self->protocol), self->protocol.len, "websocket", 9))
    return ERR_NOT_IMPLEMENTED;
  if (ended || head_find_id(head, FIELD_CONTENT_LENGTH, 0) >= 0)
    return ERR_BAD_REQUEST;
  head->upgrade = 1;
  head->body_len = 0;
  int err = text_put(arena, "GET", 3, &head->method);
  if (err == 0)
    err = head_add(head, arena, "Upgrade", 7, "websocket", 9);
  if (err == 0)
    err = head_add(head, arena, "Connection", 10, "Upgrade", 7);
  return err < 0 ? err : add_key(arena, head);
}

int h2_head_request(const struct h2_head *self, struct buf *arena, struct head *head, int ended)
{
  head->version = 20;
  head->keep_alive = 1;
  if (self->err < 0)
    return self->err;
  const char *method = span_text(arena, head->method);
  int connects = head->method.len == 7 && memcmp(method, "CONNECT", 7) == 0;
  if (connects && self->protocol.len == 0)
    return ERR_METHOD; /* no :path, no :scheme */
  if (head->method.len == 5 && memcmp(method, "TRACE", 5) == 0)
    return ERR_METHOD;
  const char *scheme = span_text(arena, self->scheme);
  if (!text_is_token(method, head->method.len) ||
      (!text_equal(scheme, self->scheme.len, "http", 4) &&
       !text_equal(scheme, self->scheme.len, "https", 5)))
    return ERR_BAD_REQUEST;
  int err = check_target(arena, head);
  if (err == 0)
    err = check_host(self, arena, head);
  if (err == 0)
    err = add_host(arena, head);
  if (err == 0)
    err = check_expect(arena, head);
  set_body(arena, head, ended);
  return err == 0 && connects ? check_connect(self, arena, head, ended) : err;
}

int h2_head_response(const struct h2_head *self, const struct buf *arena, struct head *head,
                     int ended)
{
  head->version = 20;
  head->keep_alive = 1;
  if (self->err < 0)
    return self->err;
  set_body(arena, head, ended);
  return 0;
}
