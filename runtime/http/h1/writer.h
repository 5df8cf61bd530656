/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 messages to bytes. Heads are written anew from a checked head, never patched through. */
#ifndef HTTP_H1_WRITER_H
#define HTTP_H1_WRITER_H

#include "http/head.h"

/* Appends a request head; framing fields follow from body_len and `more`. */
MG_MUST_USE int h1_write_request(struct buf *out, const struct head *head, const struct buf *arena,
                                 int more);
/* Appends a response head. `more`: 1 a body follows, 0 none, -1 none and nobody knows how long it would
 * be (HEAD). `keep`: 1 keep-alive, 0 `Connection: close`. `version`: the client's. */
MG_MUST_USE int h1_write_response(struct buf *out, const struct head *head, const struct buf *arena,
                                  int more, int keep, uint32_t version);
/* Appends the fields of trailers and the empty line. NULL: just the empty line. */
MG_MUST_USE int h1_write_trailers(struct buf *out, const struct head *trailers,
                                  const struct buf *arena);
/* The size line of a chunk into `line` (at least 20 bytes); returns its length. */
size_t h1_chunk_line(char *line, size_t len);
/* The reason phrase of a status, "" when none is registered. */
const char *http_reason(uint32_t status);

#endif
