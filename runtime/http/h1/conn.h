/* SPDX-License-Identifier: Apache-2.0 */
/* What both sides of HTTP/1.1 share: a stream, a parser, and the bytes gathered for one write. */
#ifndef HTTP_H1_CONN_H
#define HTTP_H1_CONN_H

#include "http/h1/parser.h"
#include "net/loop.h"
#include "net/stream.h"

struct h1_conn {
  struct http_peer peer;
  struct stream *stream;
  struct h1_parser parser;
  struct net_loop *loop;
  struct buf out;      /* heads and small bodies, until flush */
  uint8_t out_chunked; /* the body being written is chunked */
  uint8_t out_none;    /* the message being written has no body */
};

/* Writes body bytes: small ones join `out`, large ones go with it in one writev. */
MG_MUST_USE int h1_conn_body(struct h1_conn *conn, const char *data, size_t len);
/* The last chunk and trailers where the body is chunked. */
MG_MUST_USE int h1_conn_end(struct h1_conn *conn, const struct head *trailers,
                            const struct buf *arena);
MG_MUST_USE int h1_conn_flush(struct h1_conn *conn);

#endif
