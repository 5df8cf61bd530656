/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/context.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/error.h>
#include <psa/crypto.h>

#include "base/err.h"

/* In the order of preference: forward secrecy and AEAD only, ECDSA before RSA, AES before ChaCha20. */
#define SUITE_LIST(X)                                                                              \
  X(MBEDTLS_TLS1_3_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256")                                   \
  X(MBEDTLS_TLS1_3_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384")                                   \
  X(MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256")                       \
  X(MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256")              \
  X(MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256")                  \
  X(MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384")              \
  X(MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384")                  \
  X(MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305")        \
  X(MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305")

static const int suites[] = {
#define X(id, name) id,
  SUITE_LIST(X)
#undef X
      0
};

static const uint16_t groups[] = { MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                   MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
                                   MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
                                   MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1,
                                   MBEDTLS_SSL_IANA_TLS_GROUP_NONE };

const char *tls_suite_name(int id)
{
  switch (id) {
#define X(suite, name)                                                                             \
  case suite:                                                                                      \
    return name;
    SUITE_LIST(X)
#undef X
  default:
    return NULL;
  }
}

void tls_error_text(int code, char *text, size_t size)
{
  mbedtls_strerror(code, text, size);
}

/* Runs what waited when this turn of the loop began; what is put back meanwhile waits for the next. */
static void on_resuming(uv_idle_t *idle)
{
  struct tls_context *self = idle->data;
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
  if (list_empty(&self->waiting))
    (void)uv_idle_stop(idle); /* always 0 */
}

void tls_context_resume(struct tls_context *self, struct tls_waiter *waiter)
{
  list_remove(&waiter->node);
  list_push(&self->waiting, &waiter->node);
  (void)uv_idle_start(&self->resuming, on_resuming); /* 0: there is a callback */
}

static void on_closed(uv_handle_t *handle)
{
  struct tls_context *self = handle->data;
  mbedtls_ctr_drbg_free(&self->random);
  mbedtls_entropy_free(&self->entropy);
  buf_fini(&self->out);
  free(self);
}

int tls_context_open(struct tls_context **out, uv_loop_t *loop)
{
  struct tls_context *self = calloc(1, sizeof(*self));
  if (!self)
    return UV_ENOMEM;
  list_init(&self->waiting);
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
                          int min_version, int max_version, const char *const *alpn)
{
  mbedtls_ssl_protocol_version least;
  mbedtls_ssl_protocol_version most;
  if (version_of(min_version, MBEDTLS_SSL_VERSION_TLS1_2, &least) < 0 ||
      version_of(max_version, MBEDTLS_SSL_VERSION_TLS1_3, &most) < 0 || least > most)
    return ERR_TLS_CONFIG;
  if (mbedtls_ssl_config_defaults(config, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                  MBEDTLS_SSL_PRESET_DEFAULT) != 0)
    return UV_ENOMEM;
  mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &self->random);
  mbedtls_ssl_conf_min_tls_version(config, least);
  mbedtls_ssl_conf_max_tls_version(config, most);
  mbedtls_ssl_conf_ciphersuites(config, suites);
  mbedtls_ssl_conf_groups(config, groups);
  /* mbedTLS takes the list as it is and does not write to it. */
  if (alpn && mbedtls_ssl_conf_alpn_protocols(config, (const char **)(uintptr_t)alpn) != 0)
    return ERR_TLS_CONFIG;
  return 0;
}
