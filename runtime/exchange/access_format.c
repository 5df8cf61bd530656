/* SPDX-License-Identifier: Apache-2.0 */
/* Formats of the access log: compiled to operations, which make a line. */
#include "exchange/access_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/exchange.h"

/* compiling */

enum op_kind {
  OP_LITERAL,
  OP_VARIABLE,
  OP_REQUEST, /* $request: three texts with blanks between them */
  OP_HTTP,
  OP_SENT_HTTP,
  OP_ARG,
  OP_COOKIE
};

struct access_op {
  enum op_kind kind;
  access_variable *fn;
  const char *text; /* of a literal, or the name of a field, argument or cookie */
  uint32_t len;
};

static const struct mg_text absent = { NULL, 0 };

static const struct {
  const char *prefix;
  enum op_kind kind;
} families[] = {
  { "upstream_http_", OP_SENT_HTTP },
  { "sent_http_", OP_SENT_HTTP },
  { "http_", OP_HTTP },
  { "arg_", OP_ARG },
  { "cookie_", OP_COOKIE },
};

/* `name` lies in the format's own text: the name of a field is made of it in place. */
static int find_family(struct access_op *op, char *name, uint32_t len)
{
  for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
    uint32_t prefix = (uint32_t)strlen(families[i].prefix);
    if (len <= prefix || memcmp(name, families[i].prefix, prefix) != 0)
      continue;
    enum op_kind kind = families[i].kind;
    for (uint32_t at = prefix; at < len && (kind == OP_HTTP || kind == OP_SENT_HTTP); at++) {
      if (name[at] == '_')
        name[at] = '-';
    }
    *op = (struct access_op){ .kind = kind, .text = name + prefix, .len = len - prefix };
    return 1;
  }
  return 0;
}

static int is_name(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* NULL: there is none of that name. */
static access_variable *find_named(const struct access_named *at, const char *name, uint32_t len)
{
  while (at->name && (strlen(at->name) != len || memcmp(at->name, name, len) != 0))
    at++;
  return at->fn;
}

static int find_variable(const struct access_format *format, struct access_op *op, char *name,
                         uint32_t len)
{
  const struct access_named *known = format->streams ? access_session_variables : access_variables;
  access_variable *fn = find_named(known, name, len);
  *op = (struct access_op){ .kind = OP_VARIABLE, .fn = fn ? fn : access_nothing };
  if (fn || format->streams)
    return fn != NULL;
  if (len == 7 && memcmp(name, "request", 7) == 0)
    *op = (struct access_op){ .kind = OP_REQUEST };
  return op->kind == OP_REQUEST || find_family(op, name, len);
}

/* A variable begins at `at`; returns where it ends. */
static uint32_t compile_variable(struct access_format *format, uint32_t at, uint32_t len,
                                 struct access_op *op, int *known)
{
  char *text = format->text;
  int braced = at + 1 < len && text[at + 1] == '{';
  uint32_t from = at + 1 + (uint32_t)braced;
  uint32_t to = from;
  while (to < len && is_name(text[to]))
    to++;
  *known = 1;
  if (to == from || (braced && (to == len || text[to] != '}'))) {
    *op = (struct access_op){ .kind = OP_LITERAL, .text = text + at, .len = to - at };
    return to;
  }
  *known = find_variable(format, op, text + from, to - from);
  return to + (uint32_t)braced;
}

int access_format_init(struct access_format *format, const char *text, uint32_t len,
                       struct mg_text *unknown)
{
  format->text = malloc(len + 1u);
  format->ops = calloc(len + 1u, sizeof(struct access_op)); /* an op is a byte of text at least */
  if (!format->text || !format->ops) {
    access_format_fini(format);
    return UV_ENOMEM;
  }
  memcpy(format->text, text, len);
  for (uint32_t at = 0; at < len;) {
    struct access_op *op = &format->ops[format->count++];
    uint32_t from = at;
    if (format->text[at] == '$') {
      int known;
      at = compile_variable(format, at, len, op, &known);
      if (!known && unknown && !unknown->data)
        *unknown = (struct mg_text){ text + from, at - from };
    } else {
      while (at < len && format->text[at] != '$')
        at++;
      *op = (struct access_op){ .kind = OP_LITERAL, .text = format->text + from, .len = at - from };
    }
  }
  return 0;
}

void access_format_fini(struct access_format *format)
{
  free(format->ops);
  free(format->text);
  *format = (struct access_format){ 0 };
}

/* writing */

static int put_escape(struct buf *out, enum access_escape escape, unsigned char c)
{
  char text[8];
  int len = 0;
  if (escape == ACCESS_ESCAPE_DEFAULT)
    len = snprintf(text, sizeof(text), "\\x%02X", c);
  else if (c == '"' || c == '\\')
    len = snprintf(text, sizeof(text), "\\%c", c);
  else
    len = snprintf(text, sizeof(text), "\\u%04x", c);
  return buf_put(out, text, (size_t)len);
}

static int is_plain(enum access_escape escape, unsigned char c)
{
  if (c == '"' || c == '\\' || c < 0x20)
    return 0;
  return escape == ACCESS_ESCAPE_JSON || c < 0x7f;
}

/* A line must stay one: without escapes CR and LF become blanks. */
static int put_value(struct access_line *line, struct mg_text value)
{
  enum access_escape escape = line->log->format.escape;
  struct buf *out = &line->log->out;
  if (!value.data)
    return escape == ACCESS_ESCAPE_DEFAULT ? buf_put(out, "-", 1) : 0;
  const char *end = value.data + value.length;
  int err = 0;
  for (const char *at = value.data; at < end && err == 0;) {
    const char *from = at;
    if (escape == ACCESS_ESCAPE_NONE)
      while (at < end && *at != '\n' && *at != '\r')
        at++;
    else
      while (at < end && is_plain(escape, (unsigned char)*at))
        at++;
    err = buf_put(out, from, (size_t)(at - from));
    if (err == 0 && at < end) {
      err = escape == ACCESS_ESCAPE_NONE ? buf_put(out, " ", 1)
                                         : put_escape(out, escape, (unsigned char)*at);
      at++;
    }
  }
  return err;
}

static int put_request(struct access_line *line)
{
  struct mg_text parts[3] = { access_method(line), access_target(line), access_protocol(line) };
  if (!parts[0].data)
    return put_value(line, absent);
  int err = 0;
  for (size_t i = 0; i < 3 && err == 0 && parts[i].data; i++) {
    if (i > 0)
      err = buf_put(&line->log->out, " ", 1);
    if (err == 0)
      err = put_value(line, parts[i]);
  }
  return err;
}

/* The first piece `name=value` of a list. */
static struct mg_text find_pair(struct mg_text list, char separator, const struct access_op *op)
{
  const char *end = list.data + list.length;
  for (const char *at = list.data; at && at < end;) {
    while (at < end && *at == ' ')
      at++;
    const char *stop = memchr(at, separator, (size_t)(end - at));
    if (!stop)
      stop = end;
    if ((size_t)(stop - at) > op->len && at[op->len] == '=' && memcmp(at, op->text, op->len) == 0)
      return (struct mg_text){ at + op->len + 1, (uint32_t)(stop - at) - op->len - 1 };
    at = stop + 1;
  }
  return absent;
}

static int put_op(struct access_line *line, const struct access_op *op)
{
  const struct exchange *exchange = line->exchange;
  switch (op->kind) {
  case OP_LITERAL:
    return buf_put(&line->log->out, op->text, op->len);
  case OP_VARIABLE:
    return put_value(line, op->fn(line));
  case OP_REQUEST:
    return put_request(line);
  case OP_HTTP:
    return put_value(line, access_header(line, &exchange->request, op->text, op->len));
  case OP_SENT_HTTP:
    return put_value(line, access_header(line, &exchange->response, op->text, op->len));
  case OP_ARG:
    return put_value(line, find_pair(exchange->record.query, '&', op));
  case OP_COOKIE:
    return put_value(line,
                     find_pair(access_header(line, &exchange->request, "cookie", 6), ';', op));
  }
  return 0;
}

int access_line_put(struct access_line *line)
{
  const struct access_format *format = &line->log->format;
  int err = 0;
  for (uint32_t i = 0; i < format->count && err == 0; i++)
    err = put_op(line, &format->ops[i]);
  return err == 0 ? buf_put(&line->log->out, "\n", 1) : err;
}
