/* SPDX-License-Identifier: Apache-2.0 */
/* The seam between a codec (HTTP/1.1, HTTP/2; client or server side) and the exchange. A codec parses
 * into a message that the exchange owns and tells of it through http_events; the exchange answers
 * through http_ops. Neither knows the other's version of HTTP. */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include "http/head.h"

/* Limits on what a peer may send (DESIGN 7). */
struct http_limits {
  uint32_t head_bytes;
  uint32_t target_bytes;
  uint32_t fields;
  uint32_t field_bytes; /* of one line, 0: no limit of its own */
  uint8_t drop_names;   /* bits of enum name_oddity: fields with such a name are passed over */
};

/* What is parsed into: heads share the arena. */
struct http_message {
  struct buf *arena;
  struct head *head;
  struct head *trailers;
};

/* What a codec tells its owner. `peer` is the codec's stream. */
struct http_peer;
struct http_events {
  /* The first byte of a message: where to parse it to. NULL refuses (out of memory). */
  const struct http_message *(*on_begin)(struct http_peer *peer);
  void (*on_head)(struct http_peer *peer);
  void (*on_body)(struct http_peer *peer, const char *data, size_t len);
  void (*on_complete)(struct http_peer *peer);
  /* The message is broken or the connection is gone; no event follows. */
  void (*on_abort)(struct http_peer *peer, int err);
  void (*on_drained)(struct http_peer *peer);
  /* All that one read brought has been told: the time to flush what was written meanwhile. */
  void (*on_turn)(struct http_peer *peer);
  /* Bytes of the protocol that an upgrade switched to. */
  void (*on_tunnel)(struct http_peer *peer, const char *data, size_t len);
  void (*on_tunnel_end)(struct http_peer *peer);
  /* Client side: the connection stands, the request may be sent, by the peer that is told of. */
  void (*on_ready)(struct http_peer *peer);
};

struct http_ops {
  /* `more`: a body follows. The framing follows from head->body_len. */
  int (*send_head)(struct http_peer *peer, const struct head *head, const struct buf *arena,
                   int more);
  int (*send_body)(struct http_peer *peer, const char *data, size_t len);
  /* `trailers` may be NULL. The message is whole afterwards. */
  int (*send_end)(struct http_peer *peer, const struct head *trailers, const struct buf *arena);
  /* Hands what was gathered to the socket; the exchange calls it once its turn is over. */
  int (*flush)(struct http_peer *peer);
  /* Stops and goes on reading the message (back-pressure). */
  void (*read)(struct http_peer *peer, int on);
  size_t (*queued)(const struct http_peer *peer);
  /* Client side, when it fails: 1 where the connection had served before and nothing of an answer has
   * come, so that the failure says nothing about the upstream; 2 where the upstream said that it has
   * not processed the request (RFC 9113 8.7). */
  int (*is_stale)(const struct http_peer *peer);
  /* The exchange lets go: after a whole message `reuse` keeps the connection. */
  void (*release)(struct http_peer *peer, int reuse);
  /* Raw bytes after an upgrade. */
  int (*tunnel)(struct http_peer *peer, const char *data, size_t len);
  void (*tunnel_end)(struct http_peer *peer);
};

struct stream;

/* Where a client's connection comes from. Lives as long as the connection. */
struct http_origin {
  const struct stream *stream; /* for what is known of its TLS */
  char ip[46];                 /* text of the address, without a scope; "" for a unix socket */
  uint8_t ip_len;
  uint8_t tls;
  uint16_t port;
  uint16_t local_port;
};

struct http_peer {
  const struct http_ops *ops;
  const struct http_events *events;
  void *owner;                      /* the exchange, from on_begin or take on until release */
  void *context;                    /* server side: what on_begin finds the table of exchanges by */
  const struct http_origin *origin; /* server side */
  uint32_t stream_id;               /* of HTTP/2 */
  uint32_t tunnel_ms;               /* server side: how long a tunnel may be silent at the least */
};

#endif
