/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/context.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/error.h>
#include <psa/crypto.h>

#include "base/err.h"
#include "tls/records.h"

void tls_error_text(int code, char *text, size_t size)
{
  mbedtls_strerror(code, text, size);
}

/* Runs what waited when this turn of the loop began; what is put back meanwhile waits for the next. */
static void resume_readers(struct tls_context *self)
{
  struct list now;
  list_init(&now);
  while (!list_empty(&self->waiting)) {
    struct list *node = self->waiting.next;
    list_remove(node);
    list_push(&now, node);
  }
  while (!list_empty(&now)) {
    struct list *node = now.next;
    struct tls_waiter *waiter = LIST_ENTRY(node, struct tls_waiter, node);
    list_remove(node);
    waiter->resume(waiter);
  }
}

static void on_resuming(uv_idle_t *idle)
{
  struct tls_context *self = idle->data;
  self->stepped = 0;
  resume_readers(self);
  struct list *queue = list_empty(&self->shaking) ? &self->starting : &self->shaking;
  if (!list_empty(queue)) {
    struct list *node = queue->prev; /* the longest there */
    struct tls_waiter *waiter = LIST_ENTRY(node, struct tls_waiter, node);
    list_remove(node);
    self->stepped = 1;
    waiter->resume(waiter);
  }
  if (!self->stepped && list_empty(&self->waiting))
    (void)uv_idle_stop(idle); /* always 0 */
}

static void put(struct tls_context *self, struct list *queue, struct tls_waiter *waiter)
{
  list_remove(&waiter->node);
  list_push(queue, &waiter->node);
  (void)uv_idle_start(&self->resuming, on_resuming); /* 0: there is a callback */
}

void tls_context_resume(struct tls_context *self, struct tls_waiter *waiter)
{
  put(self, &self->waiting, waiter);
}

void tls_context_queue(struct tls_context *self, struct tls_waiter *waiter, int has_begun)
{
  put(self, has_begun ? &self->shaking : &self->starting, waiter);
}

int tls_context_may_step(struct tls_context *self)
{
  if (self->stepped || !list_empty(&self->shaking) || !list_empty(&self->starting))
    return 0;
  self->stepped = 1;
  (void)uv_idle_start(&self->resuming, on_resuming); /* as above: it ends the turn */
  return 1;
}

void tls_context_log_keys(struct tls_context *self, int file)
{
  self->keylog = file;
}

static void on_closed(uv_handle_t *handle)
{
  struct tls_context *self = handle->data;
  mbedtls_ctr_drbg_free(&self->random);
  mbedtls_entropy_free(&self->entropy);
  buf_fini(&self->out);
  records_free(self);
  free(self);
}

int tls_context_open(struct tls_context **out, uv_loop_t *loop)
{
  struct tls_context *self = calloc(1, sizeof(*self));
  if (!self)
    return UV_ENOMEM;
  list_init(&self->waiting);
  list_init(&self->starting);
  list_init(&self->shaking);
  self->keylog = -1;
  mbedtls_entropy_init(&self->entropy);
  mbedtls_ctr_drbg_init(&self->random);
  /* TLS 1.3 of mbedTLS stands on PSA, which is the process's; doing it again does nothing. */
  int failed = psa_crypto_init() != PSA_SUCCESS ||
               mbedtls_ctr_drbg_seed(&self->random, mbedtls_entropy_func, &self->entropy, NULL, 0);
  int err = failed ? ERR_TLS_CONFIG : uv_idle_init(loop, &self->resuming);
  if (err < 0)
    goto free_self;
  self->resuming.data = self;
  *out = self;
  return 0;

free_self:
  mbedtls_ctr_drbg_free(&self->random);
  mbedtls_entropy_free(&self->entropy);
  free(self);
  return err;
}

void tls_context_close(struct tls_context *self)
{
  uv_close((uv_handle_t *)&self->resuming, on_closed);
}

static int version_of(int version, mbedtls_ssl_protocol_version otherwise,
                      mbedtls_ssl_protocol_version *out)
{
  *out = version == 13   ? MBEDTLS_SSL_VERSION_TLS1_3
         : version == 12 ? MBEDTLS_SSL_VERSION_TLS1_2
                         : otherwise;
  return version == 0 || version == 12 || version == 13 ? 0 : ERR_TLS_CONFIG;
}

int tls_context_configure(struct tls_context *self, mbedtls_ssl_config *config, int endpoint,
                          const struct tls_common *common)
{
  mbedtls_ssl_protocol_version least;
  mbedtls_ssl_protocol_version most;
  if (version_of(common->min_version, MBEDTLS_SSL_VERSION_TLS1_2, &least) < 0 ||
      version_of(common->max_version, MBEDTLS_SSL_VERSION_TLS1_3, &most) < 0 || least > most)
    return ERR_TLS_CONFIG;
  if (mbedtls_ssl_config_defaults(config, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                  MBEDTLS_SSL_PRESET_DEFAULT) != 0)
    return UV_ENOMEM;
  mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &self->random);
  mbedtls_ssl_conf_min_tls_version(config, least);
  mbedtls_ssl_conf_max_tls_version(config, most);
  mbedtls_ssl_conf_ciphersuites(config, common->suites->ids);
  mbedtls_ssl_conf_groups(config, common->suites->groups);
  mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
  /* A resumed session has a secret of its own too: PSK alone would not. */
  mbedtls_ssl_conf_tls13_key_exchange_modes(config,
                                            MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
  /* mbedTLS takes the list as it is and does not write to it. */
  const char **alpn = (const char **)(uintptr_t)common->alpn;
  return alpn && mbedtls_ssl_conf_alpn_protocols(config, alpn) != 0 ? ERR_TLS_CONFIG : 0;
}
