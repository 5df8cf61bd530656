/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1/writer.h"

#include <string.h>

/* The registry of RFC 9110 16.2.1. */
#define STATUS_LIST(X)                                                                             \
  X(100, "Continue")                                                                               \
  X(101, "Switching Protocols")                                                                    \
  X(102, "Processing")                                                                             \
  X(103, "Early Hints")                                                                            \
  X(200, "OK")                                                                                     \
  X(201, "Created")                                                                                \
  X(202, "Accepted")                                                                               \
  X(203, "Non-Authoritative Information")                                                          \
  X(204, "No Content")                                                                             \
  X(205, "Reset Content")                                                                          \
  X(206, "Partial Content")                                                                        \
  X(207, "Multi-Status")                                                                           \
  X(208, "Already Reported")                                                                       \
  X(226, "IM Used")                                                                                \
  X(300, "Multiple Choices")                                                                       \
  X(301, "Moved Permanently")                                                                      \
  X(302, "Found")                                                                                  \
  X(303, "See Other")                                                                              \
  X(304, "Not Modified")                                                                           \
  X(305, "Use Proxy")                                                                              \
  X(307, "Temporary Redirect")                                                                     \
  X(308, "Permanent Redirect")                                                                     \
  X(400, "Bad Request")                                                                            \
  X(401, "Unauthorized")                                                                           \
  X(402, "Payment Required")                                                                       \
  X(403, "Forbidden")                                                                              \
  X(404, "Not Found")                                                                              \
  X(405, "Method Not Allowed")                                                                     \
  X(406, "Not Acceptable")                                                                         \
  X(407, "Proxy Authentication Required")                                                          \
  X(408, "Request Timeout")                                                                        \
  X(409, "Conflict")                                                                               \
  X(410, "Gone")                                                                                   \
  X(411, "Length Required")                                                                        \
  X(412, "Precondition Failed")                                                                    \
  X(413, "Content Too Large")                                                                      \
  X(414, "URI Too Long")                                                                           \
  X(415, "Unsupported Media Type")                                                                 \
  X(416, "Range Not Satisfiable")                                                                  \
  X(417, "Expectation Failed")                                                                     \
  X(421, "Misdirected Request")                                                                    \
  X(422, "Unprocessable Content")                                                                  \
  X(423, "Locked")                                                                                 \
  X(424, "Failed Dependency")                                                                      \
  X(425, "Too Early")                                                                              \
  X(426, "Upgrade Required")                                                                       \
  X(428, "Precondition Required")                                                                  \
  X(429, "Too Many Requests")                                                                      \
  X(431, "Request Header Fields Too Large")                                                        \
  X(451, "Unavailable For Legal Reasons")                                                          \
  X(500, "Internal Server Error")                                                                  \
  X(501, "Not Implemented")                                                                        \
  X(502, "Bad Gateway")                                                                            \
  X(503, "Service Unavailable")                                                                    \
  X(504, "Gateway Timeout")                                                                        \
  X(505, "HTTP Version Not Supported")                                                             \
  X(506, "Variant Also Negotiates")                                                                \
  X(507, "Insufficient Storage")                                                                   \
  X(508, "Loop Detected")                                                                          \
  X(511, "Network Authentication Required")

const char *http_reason(uint32_t status)
{
  switch (status) {
#define X(number, text)                                                                            \
  case number:                                                                                     \
    return text;
    STATUS_LIST(X)
#undef X
  default:
    return "";
  }
}

static char *copy(char *at, const char *text, size_t len)
{
  memcpy(at, text, len);
  return at + len;
}

/* One reservation for all fields, then plain copies: this runs twice for each request. */
static int put_fields(struct buf *out, const struct head *head, const struct buf *arena)
{
  size_t size = 0;
  for (uint32_t i = 0; i < head->count; i++)
    size += head->fields[i].name.len + head->fields[i].value.len + 4u;
  int err = buf_reserve(out, size);
  if (err < 0)
    return err;
  char *at = out->data + out->len;
  for (uint32_t i = 0; i < head->count; i++) {
    const struct field *field = &head->fields[i];
    if (field->id == FIELD_CONTENT_LENGTH || field->id == FIELD_TRANSFER_ENCODING)
      continue; /* framing is written by put_framing alone */
    at = copy(at, span_text(arena, field->name), field->name.len);
    at = copy(at, ": ", 2);
    at = copy(at, span_text(arena, field->value), field->value.len);
    at = copy(at, "\r\n", 2);
  }
  out->len = (size_t)(at - out->data);
  return 0;
}

static int put_length(struct buf *out, int64_t len)
{
  char text[48] = "content-length: ";
  char digits[20];
  size_t count = 0;
  size_t at = 16;
  do {
    digits[count++] = (char)('0' + len % 10);
    len /= 10;
  } while (len > 0);
  while (count > 0)
    text[at++] = digits[--count];
  text[at++] = '\r';
  text[at++] = '\n';
  return buf_put(out, text, at);
}

int h1_write_request(struct buf *out, const struct head *head, const struct buf *arena, int more)
{
  int err = buf_reserve(out, head->method.len + head->target.len + 16u);
  if (err < 0)
    return err;
  char *at = out->data + out->len;
  at = copy(at, span_text(arena, head->method), head->method.len);
  *at++ = ' ';
  at = copy(at, span_text(arena, head->target), head->target.len);
  at = copy(at, head->version == 10 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n", 11);
  out->len = (size_t)(at - out->data);
  err = put_fields(out, head, arena);
  if (err == 0 && more && head->body_len < 0)
    err = buf_put(out, "transfer-encoding: chunked\r\n", 28);
  else if (err == 0 && (more || head_find_id(head, FIELD_CONTENT_LENGTH, 0) >= 0))
    err = put_length(out, head->body_len);
  return err < 0 ? err : buf_put(out, "\r\n", 2);
}

/* RFC 9110 8.6: no Content-Length in 1xx and 204; 304 and answers to HEAD repeat the one received. */
static int put_framing(struct buf *out, const struct head *head, const struct buf *arena, int more,
                       uint32_t version)
{
  if (head->status < 200 || head->status == 204)
    return 0;
  if (more > 0 && head->body_len < 0)
    return version >= 11 ? buf_put(out, "transfer-encoding: chunked\r\n", 28) : 0;
  if (more > 0)
    return put_length(out, head->body_len);
  int at = head_find_id(head, FIELD_CONTENT_LENGTH, 0);
  if (at < 0)
    return head->status == 304 || more < 0 ? 0 : put_length(out, 0);
  struct span value = head->fields[at].value;
  int err = buf_put(out, "content-length: ", 16);
  if (err == 0)
    err = buf_put(out, span_text(arena, value), value.len);
  return err < 0 ? err : buf_put(out, "\r\n", 2);
}

static int put_status(struct buf *out, uint32_t status)
{
  const char *reason = http_reason(status);
  size_t len = strlen(reason);
  int err = buf_reserve(out, len + 16);
  if (err < 0)
    return err;
  char *at = copy(out->data + out->len, "HTTP/1.1 ", 9);
  *at++ = (char)('0' + status / 100 % 10);
  *at++ = (char)('0' + status / 10 % 10);
  *at++ = (char)('0' + status % 10);
  *at++ = ' ';
  at = copy(at, reason, len);
  at = copy(at, "\r\n", 2);
  out->len = (size_t)(at - out->data);
  return 0;
}

int h1_write_response(struct buf *out, const struct head *head, const struct buf *arena, int more,
                      int keep, uint32_t version)
{
  int err = put_status(out, head->status);
  if (err == 0)
    err = put_fields(out, head, arena);
  if (err == 0)
    err = put_framing(out, head, arena, more, version);
  if (err == 0 && head->status >= 200 && !keep)
    err = buf_put(out, "connection: close\r\n", 19);
  else if (err == 0 && head->status >= 200 && version < 11)
    err = buf_put(out, "connection: keep-alive\r\n", 24);
  return err < 0 ? err : buf_put(out, "\r\n", 2);
}

int h1_write_trailers(struct buf *out, const struct head *trailers, const struct buf *arena)
{
  int err = trailers ? put_fields(out, trailers, arena) : 0;
  return err < 0 ? err : buf_put(out, "\r\n", 2);
}

size_t h1_chunk_line(char *line, size_t len)
{
  static const char digits[] = "0123456789abcdef";
  char reversed[16];
  size_t count = 0;
  do {
    reversed[count++] = digits[len & 15];
    len >>= 4;
  } while (len);
  for (size_t i = 0; i < count; i++)
    line[i] = reversed[count - 1 - i];
  memcpy(line + count, "\r\n", 2);
  return count + 2;
}
