/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/client_auth.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/server.h"

struct mg_client_auth {
  atomic_uint references;
  struct tls_trust *trust; /* NULL: none, which `any` permits */
  int any;
  int depth;
  int none; /* nothing is asked for */
};

MG_API struct mg_client_auth *mg_client_auth_none(void)
{
  struct mg_client_auth *self = calloc(1, sizeof(*self));
  if (!self)
    return NULL;
  atomic_init(&self->references, 1);
  self->none = 1;
  return self;
}

MG_API struct mg_client_auth *mg_client_auth_new(const char *pem, uint32_t length, int32_t any,
                                                 int32_t depth, char *error, uint32_t error_size)
{
  struct mg_client_auth *self = calloc(1, sizeof(*self));
  if (!self) {
    (void)snprintf(error, error_size, "out of memory");
    return NULL;
  }
  atomic_init(&self->references, 1);
  self->any = any;
  self->depth = depth;
  if (length == 0 && any)
    return self;
  if (length == 0) /* the authorities of the system vouch for servers */
    (void)snprintf(error, error_size, "no certificate in the PEM");
  else
    self->trust = tls_trust_new(pem, length, error, error_size);
  if (self->trust)
    return self;
  free(self);
  return NULL;
}

MG_API struct mg_client_auth *mg_client_auth_ref(struct mg_client_auth *auth)
{
  atomic_fetch_add_explicit(&auth->references, 1, memory_order_relaxed);
  return auth;
}

MG_API void mg_client_auth_unref(struct mg_client_auth *auth)
{
  if (!auth || atomic_fetch_sub_explicit(&auth->references, 1, memory_order_acq_rel) != 1)
    return;
  tls_trust_unref(auth->trust);
  free(auth);
}

void client_auth_choose(const struct mg_client_auth *auth, struct tls_choice *choice)
{
  if (auth->none)
    return;
  choice->client_auth = auth->any ? TLS_CLIENT_AUTH_OPTIONAL_NO_CA : TLS_CLIENT_AUTH_OPTIONAL;
  choice->trust = auth->trust;
  choice->depth = auth->depth;
}
