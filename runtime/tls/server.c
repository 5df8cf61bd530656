/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct tls_server {
  mbedtls_ssl_config config;
  struct tls_context *context;
  struct tls_server_settings settings;
  unsigned references; /* of one thread */
};

static int keep_name(struct tls_session *session)
{
  size_t length = 0;
  const unsigned char *name = mbedtls_ssl_get_hs_sni(&session->ssl, &length);
  if (!name || length == 0 || memchr(name, 0, length))
    return 0;
  char *copy = malloc(length + 1);
  if (!copy)
    return MBEDTLS_ERR_SSL_ALLOC_FAILED;
  for (size_t i = 0; i < length; i++)
    copy[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
  if (length > 1 && copy[length - 1] == '.')
    length--;
  copy[length] = 0;
  session->name = copy;
  return 0;
}

static int apply(struct tls_session *session, const struct tls_choice *choice)
{
  session->certificate = mg_certificate_ref(choice->certificate);
  if (choice->client_auth != TLS_CLIENT_AUTH_NONE) {
    if (!choice->trust)
      return MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED; /* never let anybody in instead */
    session->trust = tls_trust_ref(choice->trust);
    mbedtls_ssl_set_hs_ca_chain(&session->ssl, tls_trust_chain(session->trust), NULL);
    mbedtls_ssl_set_hs_authmode(&session->ssl, choice->client_auth == TLS_CLIENT_AUTH_REQUIRED
                                                   ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                   : MBEDTLS_SSL_VERIFY_OPTIONAL);
  }
  return mbedtls_ssl_set_hs_own_cert(&session->ssl, certificate_chain(session->certificate),
                                     certificate_key(session->certificate));
}

/* Once the client's hello is read; again when TLS 1.3 asks for a second one, which changes nothing. */
static int on_hello(mbedtls_ssl_context *ssl)
{
  struct tls_session *session = mbedtls_ssl_get_user_data_p(ssl);
  if (session->certificate)
    return 0;
  const struct tls_server *server = session->owner;
  int err = keep_name(session);
  if (err != 0)
    return err;
  struct tls_choice choice = { 0 };
  const char *name = session->name ? session->name : "";
  server->settings.choose(server->settings.data, name, strlen(name), &choice);
  if (!choice.certificate) {
    session->refused = 1;
    return MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME;
  }
  return apply(session, &choice);
}

void tls_server_unref(struct tls_server *server)
{
  if (--server->references > 0)
    return;
  mbedtls_ssl_config_free(&server->config);
  free(server);
}

static void release(void *owner)
{
  tls_server_unref(owner);
}

static const struct tls_side side = { .release = release };

int tls_server_new(struct tls_server **out, struct tls_context *context,
                   const struct tls_server_settings *settings)
{
  struct tls_server *server = calloc(1, sizeof(*server));
  if (!server)
    return UV_ENOMEM;
  server->references = 1;
  server->context = context;
  server->settings = *settings;
  mbedtls_ssl_config_init(&server->config);
  int err = tls_context_configure(context, &server->config, MBEDTLS_SSL_IS_SERVER,
                                  settings->min_version, settings->max_version, settings->alpn);
  if (err < 0) {
    tls_server_unref(server);
    return err;
  }
  mbedtls_ssl_conf_cert_cb(&server->config, on_hello);
  *out = server;
  return 0;
}

int tls_server_start(struct tls_server *server, struct stream *stream)
{
  struct tls_session *session = NULL;
  server->references++;
  int err = tls_session_new(&session, stream, server->context, &server->config, &side, server);
  return err < 0 ? err : stream_start_filter(stream, &tls_filter, session);
}
