/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for Lua: profiles towards upstreams, and a certificate for when there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bridge/api.h"
#include "bridge/vm.h"
#include "tls/client.h"
#include "tls/ocsp.h"
#include "tls/self_signed.h"

/* ALPN (RFC 7301), by enum pool_protocol. */
static const char *const http1[] = { "http/1.1", NULL };
static const char *const http2[] = { "h2", NULL };
static const char *const either[] = { "h2", "http/1.1", NULL };
static const char *const *const protocols[] = { http1, http2, either };

static int set_trust(struct tls_client_settings *settings, const struct mg_tls_options *options,
                     char *error, uint32_t error_size)
{
  if (!options->verify)
    return 0;
  settings->trust = tls_trust_new(options->ca.data, options->ca.length, error, error_size);
  return settings->trust ? 0 : ERR_TLS_CONFIG;
}

static int set_certificate(struct tls_client_settings *settings,
                           const struct mg_tls_options *options, char *error, uint32_t error_size)
{
  if (options->certificate.length == 0)
    return 0;
  settings->certificate =
      mg_certificate_new(options->certificate.data, options->certificate.length, options->key.data,
                         options->key.length, error, error_size);
  return settings->certificate ? 0 : ERR_TLS_CONFIG;
}

struct mg_tls_client *mg_tls_client_new(struct mg_vm *vm, const struct mg_tls_options *options,
                                        char *error, uint32_t error_size)
{
  struct tls_client_config *config = NULL;
  if (options->protocol < 0 ||
      (size_t)options->protocol >= sizeof(protocols) / sizeof(protocols[0])) {
    (void)snprintf(error, error_size, "there is no protocol %d", (int)options->protocol);
    return NULL;
  }
  struct tls_client_settings settings = { .verify = (int)options->verify,
                                          .depth = options->depth,
                                          .server_name = options->server_name,
                                          .verify_name = options->verify_name,
                                          .alpn = protocols[options->protocol],
                                          .min_version = options->min_version,
                                          .max_version = options->max_version,
                                          .suites = options->suites };
  error[0] = 0;
  int err = set_trust(&settings, options, error, error_size);
  if (err == 0)
    err = set_certificate(&settings, options, error, error_size);
  if (err == 0)
    err = tls_client_config_new(&config, vm->tls, &settings);
  if (err < 0 && !error[0])
    (void)snprintf(error, error_size, "%s", err_text(err));
  tls_trust_unref(settings.trust);
  mg_certificate_unref(settings.certificate);
  return (struct mg_tls_client *)config; /* what Lua calls a profile is this */
}

void mg_tls_client_free(struct mg_tls_client *profile)
{
  tls_client_config_unref((struct tls_client_config *)profile);
}

int32_t mg_tls_names(const char *names, int32_t groups, char *unknown, uint32_t size)
{
  struct tls_suites read;
  return (groups ? tls_groups_read : tls_suites_read)(&read, names, unknown, size);
}

int32_t mg_ocsp_question(const char *pem, uint32_t length, struct mg_text *url,
                         struct mg_text *request)
{
  struct buf address = { 0 };
  struct buf bytes = { 0 };
  int found = ocsp_question(pem, length, &address, &bytes);
  if (found != 1) {
    buf_fini(&address);
    buf_fini(&bytes);
    return found;
  }
  *url = (struct mg_text){ address.data, (uint32_t)address.len };
  *request = (struct mg_text){ bytes.data, (uint32_t)bytes.len };
  return 1;
}

const char *mg_ocsp_check(const char *pem, uint32_t length, const char *answer,
                          uint32_t answer_length, int64_t *until_s)
{
  struct ocsp_period period;
  const char *why = ocsp_check(pem, length, answer, answer_length, &period);
  *until_s = why ? 0 : period.until_s;
  return why;
}

int32_t mg_certificate_self_signed(const char *name, struct mg_text *certificate,
                                   struct mg_text *key)
{
  struct buf chain = { 0 };
  struct buf secret = { 0 };
  int err = self_signed_make(name, &chain, &secret);
  if (err < 0) {
    buf_fini(&chain);
    buf_fini(&secret);
    return err;
  }
  *certificate = (struct mg_text){ chain.data, (uint32_t)chain.len };
  *key = (struct mg_text){ secret.data, (uint32_t)secret.len };
  return 0;
}
