/* SPDX-License-Identifier: Apache-2.0 */
/* What the TLS connections of one worker share: randomness, scratch buffers and the sessions that wait
 * to go on reading. All that is set up of mbedTLS is set up here. Comes before session.h. */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"

enum {
  TLS_RECORD_BYTES = MBEDTLS_SSL_OUT_CONTENT_LEN
};

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
  struct list waiting;             /* of struct tls_waiter */
  struct buf out;                  /* records of the call that is being made; empty between calls */
  char plain[TLS_RECORD_BYTES];    /* what was decrypted, while the owner is told */
  char gathered[TLS_RECORD_BYTES]; /* small writes on their way into one record */
};

int tls_context_open(struct tls_context **out, uv_loop_t *loop);
/* All connections and configurations are gone; the loop must run once more. */
void tls_context_close(struct tls_context *self);

/* Calls `resume` from the loop, soon and once; list_remove(&waiter->node) undoes it. */
void tls_context_resume(struct tls_context *self, struct tls_waiter *waiter);

/* What both sides' configurations have in common. Versions are 12, 13 or 0 for the defaults, 1.2 and
 * 1.3. `alpn` ends with NULL, or is NULL; kept. ERR_TLS_CONFIG, UV_ENOMEM or 0. */
MG_MUST_USE int tls_context_configure(struct tls_context *self, mbedtls_ssl_config *config,
                                      int endpoint, int min_version, int max_version,
                                      const char *const *alpn);
/* The name that OpenSSL and nginx give a cipher suite; NULL for 0 and suites that are not ours. */
const char *tls_suite_name(int id);
/* Text of a code of mbedTLS, for people. */
void tls_error_text(int code, char *text, size_t size);

#endif
