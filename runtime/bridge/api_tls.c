/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for Lua: profiles towards upstreams, and a certificate for when there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bridge/api.h"
#include "bridge/vm.h"
#include "tls/client.h"
#include "tls/self_signed.h"

static const char *const protocols[] = { "http/1.1", NULL };

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
  struct tls_client_settings settings = { .verify = (int)options->verify,
                                          .depth = options->depth,
                                          .server_name = options->server_name,
                                          .verify_name = options->verify_name,
                                          .alpn = protocols,
                                          .min_version = options->min_version,
                                          .max_version = options->max_version };
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
