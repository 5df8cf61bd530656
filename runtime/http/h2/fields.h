/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP/2 messages on their way out: a struct head as HPACK's fields, less what is HTTP/1.1's own
 * (RFC 9113 8.2.2). */
#ifndef HTTP_H2_FIELDS_H
#define HTTP_H2_FIELDS_H

#include <nghttp2/nghttp2.h>

#include "http/message.h"

/* A head on its way out; the texts are borrowed but for these two. */
struct h2_fields {
  nghttp2_nv list[HEAD_FIELDS_MAX + 8];
  size_t count;
  char status[4];
  char length[24];
};

/* `tunnel`: the answer to extended CONNECT, 200 where HTTP/1.1 says 101. */
void h2_fields_response(struct h2_fields *fields, const struct head *head, const struct buf *arena,
                        int more, int tunnel);
/* `scheme`: how the connection is secured. */
void h2_fields_request(struct h2_fields *fields, const struct head *head, const struct buf *arena,
                       const char *scheme, int more);
/* Extended CONNECT, for an upgrade of HTTP/1.1 to `websocket`. */
void h2_fields_websocket(struct h2_fields *fields, const struct head *head, const struct buf *arena,
                         const char *scheme);
void h2_fields_trailers(struct h2_fields *fields, const struct head *head, const struct buf *arena);

#endif
