/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on one stream, either side: the filter between socket and HTTP. server.h and client.h start it.
 *
 * HELLO -> HANDSHAKE -> OPEN -> ENDED; HELLO, HANDSHAKE, OPEN -> FAILED
 * HELLO: a server's; the client's first message is not whole, or waits for a verdict; mbedTLS has not
 * begun. HANDSHAKE: on_open has not been told. OPEN: both ways are open. ENDED: the peer said
 * close_notify, we may still write. FAILED: on_open or on_end was told an error; only the close is left.
 *
 * An end without close_notify is ERR_TLS_TRUNCATED: a message that the end delimits may be cut. */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include <mbedtls/ssl.h>

#include "base/compiler.h"
#include "base/list.h"
#include "net/stream.h"
#include "tls/certificate.h"
#include "tls/context.h"
#include "tls/tickets.h"

enum tls_session_state {
  TLS_HELLO,
  TLS_HANDSHAKE,
  TLS_OPEN,
  TLS_ENDED,
  TLS_FAILED,
  TLS_STATE_COUNT
};

/* What becomes of a client once its hello is read. */
enum tls_verdict {
  TLS_MORE, /* not whole yet */
  TLS_WAIT, /* tls_server_resume tells */
  TLS_GO,
  TLS_PASS, /* not ours: the bytes go on as they are */
  TLS_REFUSE
};

struct tls_session;

/* What differs between the sides. What may be NULL is marked. */
struct tls_side {
  /* All bytes so far. A verdict, or the code that the session fails with, `alert` and `reason` set. After
   * TLS_GO mbedTLS is set up. NULL on the client's side. */
  int (*on_hello)(struct tls_session *session, const char *bytes, size_t length);
  /* TLS_PASS: the stream is plain now and `session` is freed next. NULL on the client's side. */
  void (*on_pass)(struct tls_session *session, char *bytes, size_t length);
  /* Once the handshake is done; 0, or the code of mbedTLS that it fails with. NULL */
  int (*on_handshake)(struct tls_session *session);
  /* The peer sent a ticket (TLS 1.3). NULL */
  void (*on_ticket)(struct tls_session *session);
  /* The handshake failed. NULL */
  void (*on_failure)(struct tls_session *session);
  void (*release)(void *owner);
};

/* On the heap; freed with its stream. */
struct tls_session {
  mbedtls_ssl_context ssl;
  struct stream *stream;
  struct tls_context *context;
  const struct tls_side *side;
  void *owner;                        /* struct tls_server or tls_client_config: one reference */
  struct mg_certificate *certificate; /* ours, on the server's side: one reference */
  mbedtls_ssl_config *config;         /* its own, that has `suites`; NULL: one of its server's */
  struct mg_suites *suites;           /* of its host: one reference; NULL: those of the settings */
  struct tls_trust *trust;    /* that a client's certificate is held against: one reference */
  const struct buf *response; /* of OCSP, of `certificate`: the client asked for it; NULL: none */
  char *name;                 /* SNI; NULL: none */
  struct tls_waiter
      waiter;      /* bytes are held: the owner reads again, or the handshake has its turn */
  const char *raw; /* what the socket brought, not yet taken by mbedTLS */
  size_t raw_len;
  struct buf held;  /* the same, kept: a hello in parts, or nobody reads */
  uintptr_t in_was; /* where mbedTLS's buffers were, see records.h */
  uintptr_t out_was;
  const char *reason; /* why it failed, where mbedTLS has no word for it; static */
  int failure;        /* the code of mbedTLS that the session failed with */
  uint32_t faults;    /* MBEDTLS_X509_BADCERT_*, beside those that mbedTLS keeps */
  int depth;          /* intermediates that a client's chain may have; < 0: no limit */
  enum tls_session_state state;
  uint8_t in_counter[8];    /* see records.h */
  uint8_t alert;            /* to be sent when mbedTLS has not begun; 0: none */
  uint8_t waits;            /* for a verdict */
  uint8_t auth;             /* enum tls_client_auth */
  uint8_t asks_for_status;  /* of the certificate */
  uint8_t applied;          /* certificate and trust are with mbedTLS */
  uint8_t key_updates;      /* since data came */
  uint8_t answers;          /* of the reading side, that the peer has not taken */
  uint8_t certificate_sent; /* and `response` is next (TLS 1.2) */
  uint8_t begun;            /* the handshake has had a turn */
  uint8_t full;             /* certificates were exchanged: the session is a new one */
  uint8_t wanted;           /* the owner reads */
  uint8_t pumping;          /* bytes are being taken; the end of that decides whether to read on */
};

/* Makes a session on an open stream; `owner` is released with it, in failure too. A client's then calls
 * tls_session_set_up, and either calls stream_start_filter with tls_filter. */
MG_MUST_USE int tls_session_new(struct tls_session **out, struct stream *stream,
                                struct tls_context *context, const struct tls_side *side,
                                void *owner);
/* Gives it its mbedTLS. UV_ENOMEM, or 0. */
MG_MUST_USE int tls_session_set_up(struct tls_session *session, const mbedtls_ssl_config *config);
/* What on_hello would have returned. May end: the stream. */
void tls_session_follow(struct tls_session *session, int verdict);
/* For a session that no stream has yet. */
void tls_session_free(struct tls_session *session);
extern const struct stream_filter tls_filter;

/* NULL: the stream has no TLS. */
const struct tls_session *tls_session_of(const struct stream *stream);

#endif
