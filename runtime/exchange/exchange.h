/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its answer: takes messages from a codec on either side, asks Lua at the stages,
 * moves bodies with bounded memory. Knows neither the version of HTTP nor Lua.
 *
 * HEAD -> REQUEST -> UPSTREAM -> RESPONSE -> ANSWER -> LOG -> freed
 * UPSTREAM -> RETRY -> UPSTREAM; REQUEST, UPSTREAM, RETRY -> RESPONSE when the gateway answers itself;
 * ANSWER -> TUNNEL after 101; any -> LOG when the client leaves.
 * HEAD: the head is incomplete. REQUEST: Lua decides. UPSTREAM: an attempt lives, no final head has
 * come. RETRY: Lua chooses again. RESPONSE: the head of the answer stands, Lua may change it. ANSWER:
 * the head is out, the body flows. TUNNEL: raw bytes both ways. LOG: both peers are gone. */
#ifndef EXCHANGE_EXCHANGE_H
#define EXCHANGE_EXCHANGE_H

#include <time.h>

#include "base/encoder.h"
#include "base/list.h"
#include "base/series.h"
#include "base/stats.h"
#include "exchange/record.h"
#include "exchange/stage.h"
#include "net/cidr.h"
#include "net/loop.h"
#include "upstream/pool.h"

enum exchange_state {
  EX_FREE,
  EX_HEAD,
  EX_REQUEST,
  EX_UPSTREAM,
  EX_RETRY,
  EX_RESPONSE,
  EX_ANSWER,
  EX_TUNNEL,
  EX_LOG,
  EX_STATE_COUNT
};

/* What a stage said. */
enum exchange_verdict {
  VERDICT_GO_ON,
  VERDICT_WAIT,
  VERDICT_ANSWER,
  VERDICT_ABORT, /* the client's connection is to be cut */
  VERDICT_FAIL   /* the script itself failed */
};

struct access_log;
struct exchange;
struct exchanges;

/* Fields that the gateway adds to requests. */
enum exchange_fields {
  FIELDS_FORWARDED = 1, /* X-Forwarded-For, -Proto, -Host, -Port */
  FIELDS_VIA = 2,
  FIELDS_REAL_IP = 4,          /* X-Real-IP */
  FIELDS_SCHEME = 8,           /* X-Scheme, X-Forwarded-Scheme */
  FIELDS_REQUEST_ID = 16,      /* X-Request-ID */
  FIELDS_ORIGINAL_URI = 32,    /* X-Original-URI */
  FIELDS_FORWARDED_APPEND = 64 /* X-Forwarded-For is extended, not replaced */
};

/* Set by Lua when settings change; read by each new exchange. */
struct exchange_config {
  uint32_t fields;
  uint32_t public_http_port;
  uint32_t public_https_port;
  char port_texts[2][8]; /* the same as texts: plain, TLS */
};

struct exchange_stats {
  struct stats counts; /* for other threads */
  uint64_t active;     /* requests that live */
  uint64_t heads;      /* of these, whose head is not whole */
};

/* What requests are pinned to. Each holds one use of the pin it began with. */
struct exchange_pin {
  void *snapshot;
  uint64_t uses; /* requests, and 1 while it is the present one */
  void (*on_unused)(struct exchange_pin *pin);
};

/* A network of proxies whose forwarding fields are believed. */
struct trusted_proxy {
  struct cidr network;
  uint8_t address_only; /* who the client is, and nothing else */
};

enum {
  ADDRESS_FIELD_MAX = 64,
  SERVER_NAME_MAX = 64
};

/* One worker's exchanges. */
struct exchanges {
  struct net_loop *loop;
  struct pool *pool;
  /* Runs a stage; when it waits, exchange_resume follows with its verdict. */
  enum exchange_verdict (*run)(void *data, struct exchange *exchange, enum mg_stage stage);
  void *data;
  struct access_log *access_log; /* NULL: none */
  struct series *series;         /* requests by route; NULL: nobody asks for them */
  struct exchange_pin *pin;      /* for new requests; NULL: none */
  struct exchange_config config;
  struct exchange_stats stats;
  uint32_t stages;               /* what a request that never reached Lua shows to it */
  struct trusted_proxy *trusted; /* owned */
  uint32_t trusted_count;
  uint32_t address_field_len;
  char address_field[ADDRESS_FIELD_MAX]; /* where trusted proxies say who the client is */
  uint32_t server_name_len;
  char server_name[SERVER_NAME_MAX]; /* Server of responses that have none; empty: they stay so */
  uint64_t seed;                     /* of request ids */
  time_t date_at;                    /* the second that `date` tells */
  size_t date_len;
  char date[32];
  struct buf tls_fact; /* the last one that was asked for and is not lying about */
  struct exchange **slots;
  uint32_t count;
  uint32_t cap;
  struct list free;
};

/* A body on its way through its hook, piece by piece. */
struct body_hook {
  struct buf piece; /* what the hook has, and makes of it */
  size_t seen;      /* of the request's `body`: what it has seen already */
  uint8_t last;     /* the piece is the last one */
  uint8_t done;     /* it has seen the end */
};

/* Called once: the body asked for is whole (0), too long, or will never come. */
typedef void exchange_body_fn(void *data, int err);

struct exchange {
  struct mg_request record; /* first: Lua's pointer is this one */
  struct exchanges *all;
  struct list free_node;
  struct http_peer *client;           /* NULL once released */
  const struct http_origin *origin;   /* NULL once the client is let go */
  struct http_peer *upstream;         /* NULL while there is no attempt */
  struct http_message message;        /* what the client's codec parses into */
  struct http_message answer_message; /* the upstream's */
  struct buf arena;
  const char *texts_base; /* the arena that the record's texts point into */
  struct head request;
  struct head request_trailers;
  struct head outgoing; /* the request as it goes upstream; valid from REQUEST on */
  struct head response;
  struct head response_trailers;
  struct span received_target; /* where a hook changed the target */
  struct span path;
  struct span host;
  struct span client_ip;
  struct span peer_ip;
  struct span request_id;
  struct span forwarded_proto; /* what a trusted proxy says; empty: nothing */
  struct span forwarded_host;
  struct buf body;   /* request bytes not sent yet, or kept for another attempt */
  size_t body_sent;  /* of `body` */
  struct buf kept;   /* a copy of the request's body, for the log stage */
  size_t kept_max;   /* 0: none is kept, or it became too long */
  struct buf answer; /* response bytes held while Lua looks at the head or a piece; our own body */
  struct encoder *encoder; /* of the response's body; NULL: it goes as it is */
  struct body_hook request_hook;
  struct body_hook response_hook;
  struct body_hook *hook;    /* the one whose piece Lua has; NULL: none */
  int pending_err;           /* came while a stage waited; answered when it is over */
  struct deadline deadline;  /* of a call of gRPC, or of a tunnel's end; else in no list */
  exchange_body_fn *body_fn; /* somebody waits for the whole request or response body */
  void *body_data;
  size_t body_max;
  uint64_t started_ns;
  uint64_t attempt_ns;
  struct exchange_pin *pin;
  uint8_t state;   /* enum exchange_state */
  uint8_t waiting; /* a stage waits; `waiting_stage` says which */
  uint8_t waiting_stage;
  uint8_t request_done;  /* the request is read whole */
  uint8_t request_ended; /* ... and sent whole */
  uint8_t response_done; /* the response is read whole, or made */
  uint8_t response_held; /* response bytes go to `answer` for now */
  uint8_t body_dropped;  /* `body` no longer holds all that was sent: no other attempt */
  uint8_t feeding;       /* more of one read of the client follows: no flush before its end */
  uint8_t continued;     /* 100 Continue was sent or is not wanted */
  uint8_t interims;      /* heads of this attempt that were not the last */
  uint8_t head_waits;    /* the response's head has come while a stage waits */
  uint8_t draining;      /* the answer waits until the request's body is read */
  uint8_t upstream_ready;
  uint8_t has_waited;     /* some stage did */
  uint8_t fresh;          /* the attempt made its connection */
  uint8_t fresh_only;     /* the next attempt wants a new connection */
  uint8_t body_replaced;  /* `answer` replaces the upstream's body */
  uint8_t answer_streams; /* the upstream did not say how long its body is */
  uint8_t gone;           /* the client left */
  uint8_t trusted;        /* all of the peer's forwarding fields are believed */
  uint8_t refusals;       /* attempts that the upstream said it had not processed */
};

/* `run`, `data`, `pool` and `loop` are set by the caller beforehand. */
void exchanges_init(struct exchanges *all);
/* Ends none: call when no exchange lives. */
void exchanges_fini(struct exchanges *all);
/* New requests get `pin`; the one before goes with the last of its requests. */
void exchanges_pin(struct exchanges *all, struct exchange_pin *pin);
/* Of codecs on the client's side; http_peer.context is the struct exchanges. */
extern const struct http_events exchange_client_events;

/* The stage that waited is over. May end: exchange. */
void exchange_resume(struct exchange *exchange, enum exchange_verdict verdict);
/* The client's address, be the head read or not; while the client is there. */
struct mg_text exchange_client_ip(const struct exchange *exchange);
/* What is known of the client's TLS; empty: nothing, or the client is let go. Borrowed, until
 * the next call. */
struct mg_text exchange_tls_fact(const struct exchange *exchange, enum mg_tls_fact fact);
/* The exchange behind a slot, or NULL. */
struct exchange *exchange_at(const struct exchanges *all, uint32_t slot);

/* For hooks; each call leaves the record's texts pointing at the right place. */

/* Makes the gateway's own answer: head and body are filled by the caller afterwards through
 * exchange->response and exchange->answer; the verdict of the stage is then VERDICT_ANSWER. */
void exchange_answer_begin(struct exchange *exchange, uint32_t status, enum mg_source source);
/* Asks for the whole request body, up to `max` bytes; `fn` follows, perhaps at once. */
void exchange_want_request_body(struct exchange *exchange, size_t max, exchange_body_fn *fn,
                                void *data);
/* The same for the body of the response, in the RESPONSE stage. */
void exchange_want_response_body(struct exchange *exchange, size_t max, exchange_body_fn *fn,
                                 void *data);
/* Copies the request's body to `kept` as it passes, unless it is longer than `max`; in the REQUEST
 * stages. */
void exchange_keep_body(struct exchange *exchange, size_t max);
/* The body of the response goes out in a coding, in the RESPONSE stage; its fields are the caller's.
 * ERR_STATE, ERR_NO_MEMORY or 0. */
MG_MUST_USE int exchange_encode(struct exchange *exchange, enum encoder_coding coding, int level);
/* Points the record's texts into the arena again, after something was put there. */
void exchange_rebase(struct exchange *exchange);
/* Changes what routes match, before the route is chosen. */
MG_MUST_USE int exchange_match_target(struct exchange *exchange, struct span target);
MG_MUST_USE int exchange_match_host(struct exchange *exchange, const char *host, size_t len);
/* Sets the request target that goes upstream: ERR_BAD_REQUEST when it could not stand in a head. */
MG_MUST_USE int exchange_set_target(struct exchange *exchange, const char *text, size_t len);

#endif
