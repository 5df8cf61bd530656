/* SPDX-License-Identifier: Apache-2.0 */
/* One request on a connection to an upstream, and what it has to know of that connection. */
#ifndef HTTP_H2_REQUEST_H
#define HTTP_H2_REQUEST_H

#include "http/h2/client.h"
#include "http/h2/session.h"
#include "http/websocket.h"

enum client_state {
  CLIENT_OPEN,
  CLIENT_LEAVING,
  CLIENT_CLOSING,
  CLIENT_GONE,
  CLIENT_STATE_COUNT
};

/* What the connection's own deadline is for. */
enum client_wait {
  CLIENT_WAIT_NONE,
  CLIENT_WAIT_IDLE,
  CLIENT_WAIT_SILENCE,
  CLIENT_WAIT_PONG,
  CLIENT_WAIT_END /* of the other side, since nothing goes out any more */
};

struct h2_client {
  struct h2_session session; /* first */
  struct deadline deadline;
  struct h2_client_settings settings;
  struct h2_limits limits;
  const struct h2_client_owner *owner;
  void *data;
  uint64_t opened_ms;
  uint64_t heard_ms; /* when bytes last came */
  uint32_t served;   /* requests */
  enum client_state state;
  enum client_wait wait;
  uint8_t is_told;      /* what the upstream's SETTINGS allow */
  uint8_t has_answered; /* some request */
  uint8_t is_idle;      /* as its owner knows it */
  uint8_t is_lost;      /* the upstream closed it, or is silent */
};

struct h2_request {
  struct h2_stream stream; /* first */
  struct http_client_config config;
  uint8_t reused;     /* the connection had answered another one before: it may have died since */
  uint8_t answered;   /* a head has come */
  uint8_t is_kept;    /* its own waits for the upstream's SETTINGS, in stream.trailers */
  struct span target; /* of that one, in stream.text */
  char accept[WEBSOCKET_ACCEPT_BYTES + 1];
};

extern const struct http_ops h2_request_ops;

static inline struct h2_client *h2_client_of(const struct h2_stream *stream)
{
  return (struct h2_client *)stream->session;
}

/* For h2_side. */
void h2_request_on_head(struct h2_stream *stream, int ended);
void h2_request_on_progress(struct h2_stream *stream);
void h2_request_on_deadline(struct deadline *deadline);
/* The upstream's SETTINGS have come. */
void h2_request_on_settings(struct h2_request *request);

#endif
