/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP/2 messages (RFC 9113 8): from HPACK's fields to a checked struct head. nghttp2
 * has seen to the syntax: names in lower case, values without control characters, pseudo-header fields
 * once and first, nothing of the connection's own. */
#ifndef HTTP_H2_HEAD_H
#define HTTP_H2_HEAD_H

#include <nghttp2/nghttp2.h>

#include "http/message.h"

/* What of a head, or of trailers, has come. Zeroes are a fresh one. */
struct h2_head {
  struct span scheme;
  struct span authority;
  struct span protocol; /* of extended CONNECT (RFC 8441) */
  uint32_t bytes;
  int err; /* the first limit that was gone over: what follows is dropped */
};

/* Adds one field. 0, or an error where it is no use to go on reading. */
MG_MUST_USE int h2_head_field(struct h2_head *self, const struct http_limits *limits,
                              struct buf *arena, struct head *head, nghttp2_vec name,
                              nghttp2_vec value);
/* Checks the request and makes it what HTTP/1.1's parser would: one Host, body_len, `expect`. `ended`:
 * no body follows. Returns what answers it otherwise. */
MG_MUST_USE int h2_head_request(const struct h2_head *self, struct buf *arena, struct head *head,
                                int ended);
MG_MUST_USE int h2_head_response(const struct h2_head *self, const struct buf *arena,
                                 struct head *head, int ended);

#endif
