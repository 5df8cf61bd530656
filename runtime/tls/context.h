/* SPDX-License-Identifier: Apache-2.0 */
/* What the TLS connections of one worker share: randomness, scratch buffers, the sessions that wait to
 * go on reading and the handshakes that wait for their turn. All that is set up of mbedTLS is set up
 * here. Comes before session.h.
 *
 * A handshake's step costs hundreds of microseconds, so that one runs in a turn of the loop and what
 * the loop has for others goes between. Those that have begun come before new ones. */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "tls/suites.h"

enum {
  TLS_RECORD_BYTES = MBEDTLS_SSL_OUT_CONTENT_LEN,
  TLS_SPARE_BUFFERS = 4
};

struct tls_session;

/* Embedded in what is to be called from the loop. */
struct tls_waiter {
  struct list node;
  void (*resume)(struct tls_waiter *waiter);
};

/* One worker's; used on its thread alone. */
struct tls_context {
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  uv_idle_t resuming;
  struct list waiting;         /* of struct tls_waiter: owners read again */
  struct list starting;        /* of struct tls_waiter: handshakes that have not begun */
  struct list shaking;         /* of struct tls_waiter: handshakes that have */
  struct tls_session *current; /* the one that mbedTLS is shaking hands for; NULL: none */
  struct buf out;              /* records of the call that is being made; empty between calls */
  unsigned char *in_spare[TLS_SPARE_BUFFERS]; /* of mbedTLS, see records.h */
  unsigned char *out_spare[TLS_SPARE_BUFFERS];
  unsigned in_spares;
  unsigned out_spares;
  int keylog;                      /* a file, the caller's; -1: none */
  uint8_t stepped;                 /* a handshake had this turn of the loop */
  char plain[TLS_RECORD_BYTES];    /* what was decrypted, while the owner is told */
  char gathered[TLS_RECORD_BYTES]; /* small writes on their way into one record */
};

int tls_context_open(struct tls_context **out, uv_loop_t *loop);
/* All connections and configurations are gone; the loop must run once more. */
void tls_context_close(struct tls_context *self);

/* Writes the secrets of connections that begin from now on to `file`, in NSS's key log format, so that
 * who has it can read them all. The file is the caller's and stays open; -1 ends it. */
void tls_context_log_keys(struct tls_context *self, int file);

/* Calls `resume` from the loop, soon and once; list_remove(&waiter->node) undoes it. */
void tls_context_resume(struct tls_context *self, struct tls_waiter *waiter);
/* 1: a handshake may step now, and has this turn then. 0: see tls_context_queue. */
int tls_context_may_step(struct tls_context *self);
/* As tls_context_resume, in a turn that no other handshake has. */
void tls_context_queue(struct tls_context *self, struct tls_waiter *waiter, int has_begun);

/* What both sides' configurations have in common. */
struct tls_common {
  int min_version; /* 12, 13 or 0 for the defaults, 1.2 and 1.3 */
  int max_version;
  const char *const *alpn;         /* ends with NULL, or is NULL; kept */
  const struct tls_suites *suites; /* kept */
};
/* ERR_TLS_CONFIG, UV_ENOMEM or 0. */
MG_MUST_USE int tls_context_configure(struct tls_context *self, mbedtls_ssl_config *config,
                                      int endpoint, const struct tls_common *common);
/* Text of a code of mbedTLS, for people. */
void tls_error_text(int code, char *text, size_t size);

#endif
