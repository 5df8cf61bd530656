/* SPDX-License-Identifier: Apache-2.0 */
/* A byte stream over a socket, plain or through a filter (TLS). Reads arrive in the loop's one shared
 * buffer; writes are tried at once and only what the kernel does not take is copied and queued.
 *
 * CONNECTING -> OPEN -> CLOSING -> closed. A stream frees itself after its owner's on_closed. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/compiler.h"

struct stream;

/* What the owner is told. Any of these may end the stream (stream_close). */
struct stream_events {
  void (*on_open)(struct stream *stream, int err);                /* connect and handshake done */
  void (*on_data)(struct stream *stream, char *data, size_t len); /* data is borrowed */
  void (*on_end)(struct stream *stream, int err);                 /* 0: the peer's orderly end */
  void (*on_drained)(struct stream *stream);                      /* the queue is empty again */
  void (*on_closed)(struct stream *stream);                       /* the memory may go */
};

/* A filter stands between socket and owner. It is set by the layer to the right. */
struct stream_filter {
  int (*start)(struct stream *stream);                           /* the socket is open */
  void (*on_raw)(struct stream *stream, char *data, size_t len); /* from the socket */
  void (*on_raw_end)(struct stream *stream, int err);            /* as on_end, from the socket */
  void (*read)(struct stream *stream, int on);                   /* the owner's stream_read */
  int (*write)(struct stream *stream, const uv_buf_t *bufs, unsigned count);
  void (*shutdown)(struct stream *stream); /* say good-bye before FIN; may be NULL */
  void (*free)(void *filter_data);         /* after the owner's on_closed */
};

enum stream_kind {
  STREAM_TCP,
  STREAM_PIPE /* a unix socket */
};

enum stream_state {
  STREAM_CONNECTING,
  STREAM_OPEN,
  STREAM_CLOSING
};

struct stream {
  union {
    uv_handle_t handle;
    uv_stream_t uv;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  union { /* only one of them at a time: idle connections are many */
    uv_connect_t connecting;
    uv_write_t writing;
    uv_shutdown_t closing;
  };
  const struct stream_events *events;
  void *owner;                        /* of `events` */
  const struct stream_filter *filter; /* NULL: plain */
  void *filter_data;
  uv_buf_t *read_buf;   /* the loop's shared buffer, borrowed */
  struct buf queued;    /* accepted, not yet given to the kernel */
  struct buf in_flight; /* being written by libuv */
  enum stream_state state;
  uint32_t read_limit; /* bytes that one read may bring, 0: what the buffer holds */
  uint8_t reading;
  uint8_t flying;
  uint8_t ended;     /* the peer sent FIN */
  uint8_t finishing; /* FIN after the queue, then close */
  uint8_t lingering; /* after FIN go on reading until the peer ends */
};

/* From here on the stream is the loop's: it goes by stream_close and its kin alone. */
int stream_new(struct stream **out, uv_loop_t *loop, enum stream_kind kind,
               const struct stream_events *events, void *owner, uv_buf_t *read_buf);
/* From now on somebody else is told. */
void stream_give(struct stream *stream, const struct stream_events *events, void *owner);
/* Takes a connection from a listening socket. */
int stream_accept(struct stream *stream, uv_stream_t *listener);
int stream_connect(struct stream *stream, const struct sockaddr *addr);
/* As stream_connect, to the unix socket at `path`. */
int stream_connect_pipe(struct stream *stream, const char *path);
/* Takes over a connected unix socket or pipe, in failure too; the stream is a STREAM_PIPE. */
int stream_open(struct stream *stream, int fd);
/* Starts the filter on an open stream; on_open comes when its handshake is done. */
int stream_start_filter(struct stream *stream, const struct stream_filter *filter, void *data);
void stream_read(struct stream *stream, int on);
/* For filters: as stream_read, below the filter. */
void stream_read_raw(struct stream *stream, int on);
/* Writes what the kernel takes now, copies the rest. The buffers are borrowed. */
MG_MUST_USE int stream_write(struct stream *stream, const uv_buf_t *bufs, unsigned count);
/* For filters: as stream_write, below the filter. */
MG_MUST_USE int stream_write_raw(struct stream *stream, const uv_buf_t *bufs, unsigned count);
/* Bytes accepted and not yet given to the kernel. */
size_t stream_queued(const struct stream *stream);
/* The same to the byte, where stream_queued counts a write under way as a whole. */
size_t stream_unsent(const struct stream *stream);
/* Writes what is queued, sends FIN, then closes; also one that lingers. */
void stream_finish(struct stream *stream);
/* As stream_finish, but reads on, so that unread bytes do not turn FIN into RST (RFC 9112 9.6). The
 * owner drops what comes and closes on on_end or on its deadline. */
void stream_linger(struct stream *stream);
/* At once; on_closed follows from the loop. Calling it again does nothing. */
void stream_close(struct stream *stream);
/* Closes with RST, so that the peer cannot take a cut message for a whole one. */
void stream_reset(struct stream *stream);

#endif
