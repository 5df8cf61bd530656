/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets of the HTTP/1.1 parser share: messages are written down as text, so that the
 * same bytes fed whole and in pieces can be compared. */
#ifndef FUZZ_MESSAGE_H
#define FUZZ_MESSAGE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "http/h1/parser.h"

struct record {
  struct h1_parser parser; /* first: the events find the record by it */
  struct buf arena;
  struct head head;
  struct head trailers;
  struct http_message message;
  struct buf text; /* all that was told */
  int skip_body;
};

static void record_put(struct record *record, const char *data, size_t len)
{
  CHECK(buf_put(&record->text, data, len) == 0);
}

static void record_number(struct record *record, const char *name, int64_t value)
{
  char line[64];
  int len = snprintf(line, sizeof(line), "%s=%lld\n", name, (long long)value);
  record_put(record, line, (size_t)len);
}

static void record_fields(struct record *record, const struct head *head)
{
  for (uint32_t i = 0; i < head->count; i++) {
    const struct field *field = &head->fields[i];
    const char *name = span_text(&record->arena, field->name);
    const char *value = span_text(&record->arena, field->value);
    CHECK(text_is_token(name, field->name.len));
    CHECK(text_is_value(value, field->value.len));
    CHECK(field->id == (uint32_t)field_identify(name, field->name.len));
    record_put(record, name, field->name.len);
    record_put(record, ":", 1);
    record_put(record, value, field->value.len);
    record_put(record, "\n", 1);
  }
}

static const struct http_message *record_begin(struct h1_parser *parser)
{
  struct record *record = (struct record *)parser;
  record->arena.len = 0;
  head_clear(&record->head);
  head_clear(&record->trailers);
  record->message = (struct http_message){ &record->arena, &record->head, &record->trailers };
  record_put(record, "begin\n", 6);
  return &record->message;
}

/* What may be relied on behind the parser. */
static void record_check(const struct record *record)
{
  const struct head *head = &record->head;
  CHECK(head->version == 10 || head->version == 11);
  CHECK(head->body_len >= -1);
  int te = head_find_id(head, FIELD_TRANSFER_ENCODING, 0);
  int length = head_find_id(head, FIELD_CONTENT_LENGTH, 0);
  CHECK(te < 0 || length < 0);
  CHECK(te < 0 || head_find_id(head, FIELD_TRANSFER_ENCODING, (uint32_t)te + 1) < 0);
  CHECK(length < 0 || head_find_id(head, FIELD_CONTENT_LENGTH, (uint32_t)length + 1) < 0);
  if (record->parser.is_response) {
    CHECK(head->status >= 100 && head->status <= 999);
    return;
  }
  CHECK(head->method.len > 0 && head->target.len > 0);
  char first = span_text(&record->arena, head->target)[0];
  CHECK(first == '/' || (first == '*' && head->target.len == 1));
  CHECK((te >= 0) == (head->body_len == -1));
}

static int record_head(struct h1_parser *parser)
{
  struct record *record = (struct record *)parser;
  const struct head *head = &record->head;
  record_check(record);
  record_put(record, span_text(&record->arena, head->method), head->method.len);
  record_put(record, " ", 1);
  record_put(record, span_text(&record->arena, head->target), head->target.len);
  record_put(record, " ", 1);
  record_put(record, span_text(&record->arena, head->host), head->host.len);
  record_number(record, " status", head->status);
  record_number(record, "length", head->body_len);
  record_number(record, "keep", head->keep_alive);
  record_number(record, "upgrade", head->upgrade);
  record_fields(record, head);
  return record->skip_body;
}

static int record_body(struct h1_parser *parser, const char *data, size_t len)
{
  struct record *record = (struct record *)parser;
  record_put(record, data, len);
  return 0;
}

static int record_complete(struct h1_parser *parser)
{
  struct record *record = (struct record *)parser;
  record_fields(record, &record->trailers);
  record_put(record, "end\n", 4);
  return 0;
}

static const struct h1_parser_events record_events = { record_begin, record_head, record_body,
                                                       record_complete };
static const struct http_limits record_limits = { 8192, 2048, 32 };

/* Feeds `data` in pieces of `step` bytes and writes down what the parser told. */
static void record_run(struct record *record, int is_response, int skip_body, const char *data,
                       size_t size, size_t step)
{
  memset(record, 0, sizeof(*record));
  record->skip_body = skip_body;
  h1_parser_init(&record->parser, is_response, &record_limits, &record_events);
  size_t at = 0;
  while (at < size) {
    size_t len = size - at < step ? size - at : step;
    int64_t used = h1_parser_feed(&record->parser, data + at, len);
    if (used < 0) {
      record_number(record, "error", used);
      return;
    }
    CHECK((size_t)used <= len);
    CHECK(used > 0 || record->parser.complete);
    at += (size_t)used;
    if (record->parser.complete)
      h1_parser_next(&record->parser);
    else
      CHECK((size_t)used == len);
  }
  record_number(record, "finish", h1_parser_end(&record->parser));
}

static void record_fini(struct record *record)
{
  buf_fini(&record->arena);
  buf_fini(&record->text);
  head_fini(&record->head);
  head_fini(&record->trailers);
}

/* The first byte chooses the size of the pieces; the rest is the stream. */
static int record_compare(const uint8_t *data, size_t size, int is_response)
{
  if (size < 2)
    return 0;
  size_t step = 1 + data[0] % 16;
  int skip_body = is_response && data[0] & 128 ? 1 : 0;
  const char *bytes = (const char *)data + 1;
  struct record whole;
  struct record pieces;
  record_run(&whole, is_response, skip_body, bytes, size - 1, size);
  record_run(&pieces, is_response, skip_body, bytes, size - 1, step);
  CHECK(whole.text.len == pieces.text.len);
  CHECK(memcmp(whole.text.data, pieces.text.data, whole.text.len) == 0);
  record_fini(&whole);
  record_fini(&pieces);
  return 0;
}

#endif
