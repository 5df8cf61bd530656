/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1/parser.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "http/uri.h"

static struct h1_parser *self_of(llhttp_t *llhttp)
{
  return llhttp->data;
}

static int fail(struct h1_parser *parser, int err)
{
  parser->err = err;
  return HPE_USER;
}

/* Others write into the arena too, between two pieces of one text: then its beginning moves behind that.
 * Copies count as bytes of the head. */
static int grow(struct h1_parser *parser, struct span *span, const char *data, size_t len)
{
  struct buf *arena = parser->message->arena;
  int moves = span->len > 0 && span->at + span->len != arena->len;
  parser->head_bytes += (uint32_t)len + (moves ? span->len : 0);
  if (parser->head_bytes > parser->limits->head_bytes)
    return fail(parser, ERR_HEADERS_TOO_LARGE);
  int err = moves ? buf_reserve(arena, span->len + len) : 0;
  if (err == 0 && moves)
    err = text_put(arena, span_text(arena, *span), span->len, span);
  if (span->len == 0)
    span->at = (uint32_t)arena->len;
  span->len += (uint32_t)len;
  if (err == 0)
    err = buf_put(arena, data, len);
  return err < 0 ? fail(parser, err) : 0;
}

/* llhttp speaks RTSP and ICE as well, each with letters that HTTP does not have. The name may come in
 * pieces, so it is judged letter by letter. */
static int on_protocol(llhttp_t *llhttp, const char *data, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    if (data[i] != 'H' && data[i] != 'T' && data[i] != 'P')
      return fail(self_of(llhttp), ERR_BAD_REQUEST);
  }
  return 0;
}

static int on_begin(llhttp_t *llhttp)
{
  struct h1_parser *parser = self_of(llhttp);
  parser->message = parser->events->on_begin(parser);
  parser->in_trailers = 0;
  parser->head_bytes = 0;
  parser->name = parser->value = (struct span){ 0 };
  return parser->message ? 0 : fail(parser, ERR_NO_MEMORY);
}

static int on_url(llhttp_t *llhttp, const char *data, size_t len)
{
  struct h1_parser *parser = self_of(llhttp);
  struct span *target = &parser->message->head->target;
  if (target->len + len > parser->limits->target_bytes)
    return fail(parser, ERR_TARGET_TOO_LONG);
  return grow(parser, target, data, len);
}

static int on_field(llhttp_t *llhttp, const char *data, size_t len)
{
  struct h1_parser *parser = self_of(llhttp);
  return grow(parser, &parser->name, data, len);
}

static int on_value(llhttp_t *llhttp, const char *data, size_t len)
{
  struct h1_parser *parser = self_of(llhttp);
  return grow(parser, &parser->value, data, len);
}

static int on_value_complete(llhttp_t *llhttp)
{
  struct h1_parser *parser = self_of(llhttp);
  const struct http_message *message = parser->message;
  struct head *head = parser->in_trailers ? message->trailers : message->head;
  const char *text = message->arena->data;
  struct span value = parser->value;
  while (value.len > 0 &&
         (text[value.at + value.len - 1] == ' ' || text[value.at + value.len - 1] == '\t'))
    value.len--;
  const struct http_limits *limits = parser->limits;
  if (head->count >= limits->fields)
    return fail(parser, ERR_HEADERS_TOO_LARGE);
  if (limits->field_bytes > 0 && parser->name.len + value.len + 4 > limits->field_bytes)
    return fail(parser, ERR_FIELD_TOO_LONG);
  if (text_name_oddities(text + parser->name.at, parser->name.len) & limits->drop_names) {
    parser->name = parser->value = (struct span){ 0 };
    return 0;
  }
  int err = head_add_span(head, message->arena, parser->name, value);
  parser->name = parser->value = (struct span){ 0 };
  return err < 0 ? fail(parser, err) : 0;
}

/* RFC 9112 6.1, 6.3: Transfer-Encoding is `chunked` or refused, never beside a Content-Length, never
 * in HTTP/1.0. llhttp refuses some of it already; this does not depend on which. */
static int check_framing(struct h1_parser *parser, struct head *head)
{
  const struct buf *arena = parser->message->arena;
  int te = head_find_id(head, FIELD_TRANSFER_ENCODING, 0);
  int length = head_find_id(head, FIELD_CONTENT_LENGTH, 0);
  head->body_len = 0;
  if (te >= 0) {
    struct span value = head->fields[te].value;
    if (length >= 0 || head->version < 11 ||
        head_find_id(head, FIELD_TRANSFER_ENCODING, (uint32_t)te + 1) >= 0)
      return ERR_AMBIGUOUS_FRAMING;
    if (!text_equal(span_text(arena, value), value.len, "chunked", 7))
      return parser->is_response ? ERR_UPSTREAM_PROTOCOL : ERR_NOT_IMPLEMENTED;
    head->chunked = 1;
    head->body_len = -1;
  } else if (length >= 0) {
    if (head_find_id(head, FIELD_CONTENT_LENGTH, (uint32_t)length + 1) >= 0)
      return ERR_AMBIGUOUS_FRAMING;
    if (parser->llhttp.content_length > INT64_MAX)
      return ERR_BAD_REQUEST;
    head->body_len = (int64_t)parser->llhttp.content_length;
  } else if (parser->is_response) {
    head->body_len = -1; /* until the end of the connection */
  }
  return 0;
}

/* absolute-form (RFC 9112 3.2.2): its authority replaces Host, its path becomes the target. */
static int split_absolute(struct head *head, const struct buf *arena)
{
  const char *text = span_text(arena, head->target);
  uint32_t len = head->target.len;
  uint32_t scheme = 0;
  if (len > 7 && strncasecmp(text, "http://", 7) == 0)
    scheme = 7;
  else if (len > 8 && strncasecmp(text, "https://", 8) == 0)
    scheme = 8;
  else
    return ERR_BAD_REQUEST;
  uint32_t end = scheme;
  while (end < len && text[end] != '/' && text[end] != '?')
    end++;
  head->host = (struct span){ head->target.at + scheme, end - scheme };
  head->target.at += end;
  head->target.len -= end;
  return head->host.len > 0 ? 0 : ERR_BAD_REQUEST;
}

static int check_target(struct h1_parser *parser, struct head *head)
{
  struct buf *arena = parser->message->arena;
  if (parser->llhttp.method == HTTP_CONNECT || parser->llhttp.method == HTTP_TRACE)
    return ERR_METHOD; /* TRACE would show a client what the gateway adds, as nginx has it */
  uri_drop_fragment(&head->target, arena);
  const char *text = span_text(arena, head->target);
  if (!uri_is_target(text, head->target.len))
    return ERR_BAD_REQUEST;
  if (text[0] == '/')
    return 0;
  if (head->target.len == 1 && text[0] == '*')
    return parser->llhttp.method == HTTP_OPTIONS ? 0 : ERR_BAD_REQUEST;
  int err = split_absolute(head, arena);
  if (err < 0)
    return err;
  if (head->target.len == 0)
    return text_put(arena, "/", 1, &head->target);
  if (span_text(arena, head->target)[0] == '/')
    return 0;
  struct span query = head->target;
  err = buf_reserve(arena, query.len + 1u);
  if (err < 0)
    return err;
  err = text_put(arena, "/", 1, &head->target);
  if (err < 0)
    return err;
  head->target.len += query.len;
  return buf_put(arena, span_text(arena, query), query.len);
}

static int check_request(struct h1_parser *parser, struct head *head)
{
  struct buf *arena = parser->message->arena;
  if (head->version != 11 && head->version != 10)
    return ERR_VERSION;
  int err = check_target(parser, head);
  if (err < 0)
    return err;
  if (!uri_is_host(span_text(arena, head->host), head->host.len))
    return ERR_BAD_REQUEST;
  int host = head_find_id(head, FIELD_HOST, 0);
  if (host < 0 && head->version == 11)
    return ERR_BAD_REQUEST;
  if (host >= 0) {
    struct span value = head->fields[host].value;
    if (head_find_id(head, FIELD_HOST, (uint32_t)host + 1) >= 0 ||
        !uri_is_host(span_text(arena, value), value.len))
      return ERR_BAD_REQUEST;
    if (head->host.len == 0)
      head->host = value;
  }
  if (head->host.len == 0 &&
      head->version == 11) /* RFC 9110 4.2.1: no http URI has an empty host */
    return ERR_BAD_REQUEST;
  int expect = head_find_id(head, FIELD_EXPECT, 0);
  if (expect >= 0 && head->version == 11) {
    struct span value = head->fields[expect].value;
    if (!text_equal(span_text(arena, value), value.len, "100-continue", 12))
      return ERR_EXPECTATION;
    head->expect_continue = 1;
  }
  return 0;
}

static int check_response(const struct head *head)
{
  return (head->version == 11 || head->version == 10) && head->status >= 100
             ? 0
             : ERR_UPSTREAM_PROTOCOL;
}

static int on_headers_complete(llhttp_t *llhttp)
{
  struct h1_parser *parser = self_of(llhttp);
  struct head *head = parser->message->head;
  head->version = (uint32_t)(llhttp->http_major * 10 + llhttp->http_minor);
  head->keep_alive = (uint8_t)llhttp_should_keep_alive(llhttp);
  head->upgrade = llhttp->upgrade;
  int err = 0;
  if (parser->is_response) {
    head->status = (uint32_t)llhttp->status_code;
    err = check_response(head);
  } else {
    const char *method = llhttp_method_name((llhttp_method_t)llhttp->method);
    err = text_put(parser->message->arena, method, strlen(method), &head->method);
    if (err == 0)
      err = check_request(parser, head);
  }
  if (err == 0)
    err = check_framing(parser, head);
  if (err < 0)
    return fail(parser, err);
  err = parser->events->on_head(parser);
  parser->in_trailers = 1;
  return err < 0 ? fail(parser, err) : err;
}

/* Dropped, but counted: a sender may not hide a stream of its own in them. */
static int on_extension(llhttp_t *llhttp, const char *data, size_t len)
{
  (void)data;
  struct h1_parser *parser = self_of(llhttp);
  parser->head_bytes += (uint32_t)len;
  return parser->head_bytes > parser->limits->head_bytes ? fail(parser, ERR_HEADERS_TOO_LARGE) : 0;
}

static int on_body(llhttp_t *llhttp, const char *data, size_t len)
{
  struct h1_parser *parser = self_of(llhttp);
  int err = parser->events->on_body(parser, data, len);
  return err < 0 ? fail(parser, err) : 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
  struct h1_parser *parser = self_of(llhttp);
  parser->complete = 1;
  int err = parser->events->on_complete(parser);
  return err < 0 ? fail(parser, err) : HPE_PAUSED;
}

static const llhttp_settings_t settings = {
  .on_message_begin = on_begin,
  .on_protocol = on_protocol,
  .on_url = on_url,
  .on_header_field = on_field,
  .on_header_value = on_value,
  .on_header_value_complete = on_value_complete,
  .on_headers_complete = on_headers_complete,
  .on_chunk_extension_name = on_extension,
  .on_chunk_extension_value = on_extension,
  .on_body = on_body,
  .on_message_complete = on_message_complete,
};

void h1_parser_init(struct h1_parser *parser, int is_response, const struct http_limits *limits,
                    const struct h1_parser_events *events)
{
  memset(parser, 0, sizeof(*parser));
  llhttp_init(&parser->llhttp, is_response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
  parser->llhttp.data = parser;
  parser->events = events;
  parser->limits = limits;
  parser->is_response = (uint8_t)is_response;
}

/* What llhttp refuses without a code of ours: a bad request, or a bad gateway, which is also what our
 * own complaints about a response come to. */
static int translate(const struct h1_parser *parser, llhttp_errno_t code)
{
  switch (parser->err) {
  case 0:
    break;
  case ERR_BAD_REQUEST:
  case ERR_AMBIGUOUS_FRAMING:
    return parser->is_response ? ERR_UPSTREAM_PROTOCOL : parser->err;
  case ERR_HEADERS_TOO_LARGE:
    return parser->is_response ? ERR_UPSTREAM_HEAD_TOO_LARGE : parser->err;
  default:
    return parser->err;
  }
  if (parser->is_response)
    return ERR_UPSTREAM_PROTOCOL;
  if (code == HPE_UNEXPECTED_CONTENT_LENGTH || code == HPE_INVALID_TRANSFER_ENCODING)
    return ERR_AMBIGUOUS_FRAMING;
  /* llhttp also says so of what stands between a good version and its line's end. */
  int known = parser->llhttp.http_major == 1 && parser->llhttp.http_minor <= 1;
  return code == HPE_INVALID_VERSION && !known ? ERR_VERSION : ERR_BAD_REQUEST;
}

int64_t h1_parser_feed(struct h1_parser *parser, const char *data, size_t len)
{
  llhttp_errno_t code = llhttp_execute(&parser->llhttp, data, len);
  if (code == HPE_OK)
    return (int64_t)len;
  if (code == HPE_PAUSED || code == HPE_PAUSED_UPGRADE)
    return llhttp_get_error_pos(&parser->llhttp) - data;
  return translate(parser, code);
}

void h1_parser_next(struct h1_parser *parser)
{
  parser->complete = 0;
  parser->err = 0;
  llhttp_reset(&parser->llhttp); /* also out of a pause after Upgrade or Connection: close */
}

int h1_parser_end(struct h1_parser *parser)
{
  llhttp_errno_t code = llhttp_finish(&parser->llhttp);
  if (code == HPE_OK || code == HPE_PAUSED)
    return 0;
  return parser->is_response ? ERR_UPSTREAM_CLOSED : ERR_CLIENT_GONE;
}
