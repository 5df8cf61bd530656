/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 messages from bytes (RFC 9112): llhttp in its strict mode, with our own checks where it is
 * lenient or silent: one Host, one framing, limits. */
#ifndef HTTP_H1_PARSER_H
#define HTTP_H1_PARSER_H

#include <llhttp.h>

#include "http/message.h"

struct h1_parser;

struct h1_parser_events {
  const struct http_message *(*on_begin)(struct h1_parser *parser);
  int (*on_head)(
      struct h1_parser *parser); /* 0, 1: no body follows whatever it says, or an error */
  int (*on_body)(struct h1_parser *parser, const char *data, size_t len);
  int (*on_complete)(struct h1_parser *parser);
};

struct h1_parser {
  llhttp_t llhttp;
  const struct h1_parser_events *events;
  const struct http_limits *limits;
  const struct http_message *message;
  struct span name;
  struct span value;
  uint32_t head_bytes;
  int err;
  uint8_t in_trailers;
  uint8_t is_response;
  uint8_t complete;
};

void h1_parser_init(struct h1_parser *parser, int is_response, const struct http_limits *limits,
                    const struct h1_parser_events *events);
/* Parses up to the end of one message. Returns an error, or how many bytes were used; `complete` says
 * whether the message ended there. Call h1_parser_next before feeding the following message. */
int64_t h1_parser_feed(struct h1_parser *parser, const char *data, size_t len);
void h1_parser_next(struct h1_parser *parser);
/* The peer's end of stream: 0 when the message may end so, or an error. */
int h1_parser_end(struct h1_parser *parser);

#endif
