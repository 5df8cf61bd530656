/* SPDX-License-Identifier: Apache-2.0 */
/* What both sides of HTTP/2 share (RFC 9113): nghttp2's session over a stream of bytes, and the streams
 * on it, each the http_peer of one exchange.
 *
 * nghttp2 must not be entered from within its own callbacks, nor a stream freed there: what follows from
 * an event is put down (h2_session_wake, h2_stream_touch) and done when nghttp2 has returned, and what is
 * to go out is gathered at the end of the loop's turn. */
#ifndef HTTP_H2_SESSION_H
#define HTTP_H2_SESSION_H

#include <nghttp2/nghttp2.h>

#include "http/h2/bucket.h"
#include "http/h2/fields.h"
#include "http/h2/head.h"
#include "http/h2/watch.h"
#include "http/server.h"
#include "net/loop.h"
#include "net/stream.h"

struct h2_session;
struct h2_stream;

/* What differs between the sides. None but on_settled may end the session. */
struct h2_side {
  uint8_t is_server;
  int err_gone;    /* what an exchange is told when the other side closes its stream */
  int err_invalid; /* ... when the message is not valid */
  /* A peer opens a stream. NULL refuses it. */
  struct h2_stream *(*on_open)(struct h2_session *session, int32_t id);
  /* A head, not trailers, is whole. */
  void (*on_head)(struct h2_stream *stream, int ended);
  /* Bytes came or went: which deadline holds may have changed. */
  void (*on_progress)(struct h2_stream *stream);
  /* Of one stream. */
  deadline_fn *on_deadline;
  /* A frame that is no stream's business. */
  void (*on_frame)(struct h2_session *session, const nghttp2_frame *frame);
  void (*on_limit)(struct h2_session *session, enum limit limit);
  /* A GOAWAY of ours has gone into a write; NULL: nobody asks. */
  void (*on_farewell)(struct h2_session *session);
  /* All that was put down is done. */
  void (*on_settled)(struct h2_session *session);
};

/* Embedded, first, in the connection of a side. */
struct h2_session {
  nghttp2_session *ng; /* NULL: h2_session_init failed */
  const struct h2_side *side;
  const struct h2_limits *limits;
  struct stream *stream;
  struct net_loop *loop;
  struct turn turn;
  struct list streams;   /* all that live */
  struct list touched;   /* those that something is put down for */
  struct list passed;    /* those that have had their turn, and have more to send */
  struct buf out;        /* frames and small bodies, until they are written */
  struct gather *gather; /* while there is one: the write that is being put together */
  struct h2_watch watch;
  struct bucket resets;
  struct bucket controls;
  uint32_t credit; /* control frames that what we sent explains */
  uint32_t count;  /* of streams that nghttp2 has, or is to have */
  uint32_t round;  /* of turns at sending */
  int err;         /* the connection cannot go on */
  uint8_t entered; /* nghttp2 is in one of its callbacks */
  uint8_t working; /* what was put down is being done */
  uint8_t dirty;   /* ... and more has come */
  uint8_t is_slow; /* the side was told of a stream that stalled */
  uint8_t is_over; /* ... of a limit that ends the connection */
  uint8_t deaf;    /* nothing that comes is read any more */
};

enum h2_in {
  H2_IN_HEAD,
  H2_IN_BODY,
  H2_IN_TRAILERS,
  H2_IN_DONE
};

enum h2_out {
  H2_OUT_HEAD,
  H2_OUT_BODY,
  H2_OUT_LAST, /* all has been given to us */
  H2_OUT_DONE  /* END_STREAM was sent */
};

enum h2_tunnel {
  H2_TUNNEL_NONE,
  H2_TUNNEL_REFUSED, /* bytes of it are dropped */
  H2_TUNNEL_ASKED,   /* ... held back */
  H2_TUNNEL_GRANTED, /* ... told soon */
  H2_TUNNEL_OPEN
};

/* What a stream's deadline is for. */
enum h2_wait {
  H2_WAIT_NONE,
  H2_WAIT_HEAD,
  H2_WAIT_BODY,
  H2_WAIT_SEND,
  H2_WAIT_ANSWER, /* of an upstream */
  H2_WAIT_TUNNEL
};

/* Lives until both nghttp2 and the exchange have let it go. */
struct h2_stream {
  struct http_peer peer; /* first */
  struct h2_session *session;
  struct list node;       /* of session->streams */
  struct list touch_node; /* of session->touched */
  struct list pass_node;  /* of session->passed */
  struct deadline deadline;
  const struct http_limits *limits;
  const struct http_message *message; /* NULL: nobody wants it */
  struct h2_head head;
  struct buf out; /* body bytes on their way out */
  size_t out_at;  /* of `out`: what DATA frames have had */
  uv_buf_t lent;  /* more of them, as long as the call of send_body lasts */
  struct buf text;
  struct head trailers; /* to be sent; their text is in `text` */
  struct buf early;     /* of a tunnel that has not begun */
  size_t unread;        /* bytes that came and count against its window, a client's against both */
  uint32_t taken;       /* bytes since its window last grew */
  uint32_t code;        /* what it was closed with */
  uint32_t round;       /* in which it last sent of its body */
  int err;              /* what it is lost by */
  int32_t id;
  enum h2_in in;
  enum h2_out out_state;
  enum h2_tunnel tunnel;
  enum h2_wait wait;
  uint8_t is_open;   /* nghttp2 has it */
  uint8_t is_lost;   /* nothing that is sent on it goes out */
  uint8_t is_deaf;   /* nobody is told of what comes */
  uint8_t paused;    /* the exchange does not read */
  uint8_t waiting;   /* nghttp2 waits for body bytes */
  uint8_t is_full;   /* the exchange may have stopped: on_drained follows */
  uint8_t has_sent;  /* bytes have gone into a write */
  uint8_t has_turn;  /* on_turn follows */
  uint8_t head_only; /* the request is HEAD */
  uint8_t is_narrow; /* its window does not grow */
};

/* Takes no stream over in failure. `settings`: what the other side is told first. */
MG_MUST_USE int h2_session_init(struct h2_session *session, const struct h2_side *side,
                                struct stream *stream, struct net_loop *loop,
                                const struct h2_limits *limits,
                                const nghttp2_settings_entry *settings, size_t count);
/* Frees all streams; none has an exchange any more. */
void h2_session_fini(struct h2_session *session);
/* Bytes that have come. May end: session. */
void h2_session_feed(struct h2_session *session, const char *data, size_t len);
/* There is something to send or to do: at the end of this turn. */
void h2_session_wake(struct h2_session *session);
/* Does it now. May end: session. */
void h2_session_work(struct h2_session *session);
/* Writes what nghttp2 has, as far as the socket takes it. Not from within nghttp2's callbacks. */
void h2_session_send(struct h2_session *session);
/* The connection ends with GOAWAY, an NGHTTP2_* code in it. */
void h2_session_terminate(struct h2_session *session, uint32_t code);
/* The same, for going over a limit. */
void h2_session_calm(struct h2_session *session, enum limit limit);
/* A limit was gone over that ends the connection, or one of its streams, by itself. */
void h2_session_tell_limit(struct h2_session *session, enum limit limit);
/* Counts a frame of the other side that brings nothing, or a reset. */
void h2_session_count_control(struct h2_session *session);
void h2_session_count_reset(struct h2_session *session);

/* A stream in H2_IN_HEAD that nghttp2 does not know by us yet; NULL: out of memory. `id` is 0 for one that
 * is to be opened. `size` is of the struct that it begins. */
struct h2_stream *h2_stream_new(struct h2_session *session, int32_t id, size_t size);
/* It is looked at, by h2_stream_settle, when nghttp2 has returned. */
void h2_stream_touch(struct h2_stream *stream);
void h2_stream_settle(struct h2_stream *stream);
/* Its exchange is to be told `err`; nothing more goes out on it. */
void h2_stream_lose(struct h2_stream *stream, int err);
void h2_stream_reset(struct h2_stream *stream, uint32_t code);
/* Bytes of its body, of nghttp2's callback. */
void h2_stream_take(struct h2_stream *stream, const char *data, size_t len);
/* END_STREAM has come. */
void h2_stream_end_in(struct h2_stream *stream);
/* The exchange has let go: frees it, soon, if nghttp2 has as well. */
void h2_stream_leave(struct h2_stream *stream);
/* Copies fields to what it has to send, stream->trailers. UV_ENOMEM, or 0. */
MG_MUST_USE int h2_stream_keep(struct h2_stream *stream, const struct head *head,
                               const struct buf *arena);
/* What its body's DATA frames come from. */
nghttp2_data_provider2 h2_stream_source(struct h2_stream *stream);
/* Whether streams that had passed their turn may send again. */
int h2_session_next_round(struct h2_session *session);
/* Its deadline is for `wait` from now on; for H2_WAIT_SEND, only bytes that have gone begin it anew. */
void h2_stream_wait(struct h2_stream *stream, enum h2_wait wait, uint64_t ms);
/* Bytes of the body that are not in a DATA frame yet. */
static inline size_t h2_stream_pending(const struct h2_stream *stream)
{
  return stream->out.len - stream->out_at + stream->lent.len;
}

/* Whether its exchange was told that the message, or the tunnel behind it, has ended. An answer is not
 * taken back then. */
static inline int h2_stream_is_whole(const struct h2_stream *stream)
{
  return stream->in == H2_IN_DONE && stream->tunnel != H2_TUNNEL_ASKED &&
         stream->tunnel != H2_TUNNEL_GRANTED;
}

static inline struct h2_stream *h2_stream_of(struct http_peer *peer)
{
  return (struct h2_stream *)peer;
}

/* The ops that are the same on both sides. */
int h2_stream_send_body(struct http_peer *peer, const char *data, size_t len);
int h2_stream_send_end(struct http_peer *peer, const struct head *trailers,
                       const struct buf *arena);
int h2_stream_flush(struct http_peer *peer);
void h2_stream_read(struct http_peer *peer, int on);
size_t h2_stream_queued(const struct http_peer *peer);
int h2_stream_tunnel(struct http_peer *peer, const char *data, size_t len);
void h2_stream_tunnel_end(struct http_peer *peer);

#endif
