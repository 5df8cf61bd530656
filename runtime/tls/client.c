/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/client.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/x509_crt.h>

#include "base/err.h"

struct tls_client_config {
  mbedtls_ssl_config config;
  struct tls_context *context;
  struct tls_trust *trust;
  struct mg_certificate *certificate;
  char *sni;    /* NULL: none */
  char *expect; /* name to find in the certificate; NULL: any */
  struct tls_suites suites;
  mbedtls_ssl_session kept; /* what the next connection resumes, if `has_kept` */
  uint64_t verified_ms;     /* when certificates were last exchanged, of the loop's clock */
  int depth;
  unsigned references; /* of one thread */
  uint8_t has_kept;
};

/* A session that is resumed over and over would never see what became of the upstream's certificate. */
enum {
  RESUME_MOST_MS = 3600 * 1000
};

/* mbedTLS compares the name that was sent; another one is compared once the handshake is done. */
static int expects_another(const struct tls_client_config *self)
{
  return !self->expect || !self->sni || strcmp(self->sni, self->expect) != 0;
}

/* `depth` counts from the upstream's own certificate, 0, to the one that is trusted, so a chain with N
 * intermediates ends at N + 1. */
static int on_verify(void *data, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
  const struct tls_client_config *self = data;
  (void)certificate;
  if (self->depth >= 0 && depth > self->depth + 1)
    *flags |= MBEDTLS_X509_BADCERT_OTHER;
  if (depth == 0 && expects_another(self))
    *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
  return 0;
}

static int verify_name(struct tls_session *session, const struct tls_client_config *self)
{
  /* Verification wants it writable and does not write. */
  mbedtls_x509_crt *peer = (mbedtls_x509_crt *)(uintptr_t)mbedtls_ssl_get_peer_cert(&session->ssl);
  if (!peer)
    return MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
  return mbedtls_x509_crt_verify(peer, tls_trust_chain(self->trust), tls_trust_crl(self->trust),
                                 self->expect, &session->faults, NULL, NULL);
}

static void forget(struct tls_client_config *self)
{
  if (self->has_kept)
    mbedtls_ssl_session_free(&self->kept);
  self->has_kept = 0;
}

static void keep(struct tls_session *session)
{
  struct tls_client_config *self = session->owner;
  mbedtls_ssl_session fresh;
  mbedtls_ssl_session_init(&fresh);
  if (mbedtls_ssl_get_session(&session->ssl, &fresh) != 0) {
    mbedtls_ssl_session_free(&fresh);
    return;
  }
  forget(self);
  self->kept = fresh;
  self->has_kept = 1;
}

static uint64_t now_ms(const struct tls_session *session)
{
  return uv_now(session->stream->uv.loop);
}

/* What is resumed was verified by this very configuration. */
static int on_handshake(struct tls_session *session)
{
  struct tls_client_config *self = session->owner;
  if (session->full && self->expect && expects_another(self)) {
    int code = verify_name(session, self);
    if (code != 0)
      return code;
  }
  if (session->full)
    self->verified_ms = now_ms(session);
  if (mbedtls_ssl_get_version_number(&session->ssl) == MBEDTLS_SSL_VERSION_TLS1_2)
    keep(session);
  return 0;
}

static void on_failure(struct tls_session *session)
{
  forget(session->owner);
}

static void resume(struct tls_session *session, struct tls_client_config *self)
{
  if (!self->has_kept)
    return;
  if (now_ms(session) - self->verified_ms > RESUME_MOST_MS ||
      mbedtls_ssl_set_session(&session->ssl, &self->kept) != 0)
    forget(self);
}

struct tls_client_config *tls_client_config_ref(struct tls_client_config *config)
{
  config->references++;
  return config;
}

void tls_client_config_unref(struct tls_client_config *config)
{
  if (--config->references > 0)
    return;
  forget(config);
  mbedtls_ssl_config_free(&config->config);
  mg_certificate_unref(config->certificate);
  tls_trust_unref(config->trust);
  free(config->sni);
  free(config->expect);
  free(config);
}

static void release(void *owner)
{
  tls_client_config_unref(owner);
}

static const struct tls_side side = {
  .on_handshake = on_handshake, .on_ticket = keep, .on_failure = on_failure, .release = release
};

/* RFC 6066 3: an address is no server name. */
static int is_address(const char *name)
{
  unsigned char bytes[16];
  return uv_inet_pton(AF_INET, name, bytes) == 0 || uv_inet_pton(AF_INET6, name, bytes) == 0;
}

static int copy_names(struct tls_client_config *self, const struct tls_client_settings *settings)
{
  const char *sni = settings->server_name;
  const char *expect = settings->verify_name ? settings->verify_name : sni;
  if ((sni && strlen(sni) > MBEDTLS_SSL_MAX_HOST_NAME_LEN) ||
      (expect && strlen(expect) > MBEDTLS_SSL_MAX_HOST_NAME_LEN))
    return ERR_TLS_CONFIG;
  if (sni && *sni && !is_address(sni)) {
    self->sni = strdup(sni);
    if (!self->sni)
      return UV_ENOMEM;
  }
  if (settings->verify && expect && *expect) {
    self->expect = strdup(expect);
    if (!self->expect)
      return UV_ENOMEM;
  }
  return 0;
}

static int read_suites(struct tls_client_config *self, const struct tls_client_settings *settings)
{
  char unknown[1];
  int err = tls_suites_read(&self->suites, settings->suites, unknown, sizeof(unknown));
  return err < 0 ? err : tls_groups_read(&self->suites, NULL, unknown, sizeof(unknown));
}

static int configure(struct tls_client_config *self, const struct tls_client_settings *settings)
{
  mbedtls_ssl_config *config = &self->config;
  const struct tls_common common = { .min_version = settings->min_version,
                                     .max_version = settings->max_version,
                                     .alpn = settings->alpn,
                                     .suites = &self->suites };
  int err = read_suites(self, settings);
  if (err == 0)
    err = tls_context_configure(self->context, config, MBEDTLS_SSL_IS_CLIENT, &common);
  if (err < 0)
    return err;
  mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
      config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
  mbedtls_ssl_conf_authmode(config, settings->verify ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                     : MBEDTLS_SSL_VERIFY_NONE);
  if (settings->verify) {
    self->trust = tls_trust_ref(settings->trust);
    mbedtls_ssl_conf_ca_chain(config, tls_trust_chain(self->trust), tls_trust_crl(self->trust));
    mbedtls_ssl_conf_verify(config, on_verify, self);
  }
  if (!settings->certificate)
    return 0;
  self->certificate = mg_certificate_ref(settings->certificate);
  err = mbedtls_ssl_conf_own_cert(config, certificate_chain(self->certificate),
                                  certificate_key(self->certificate));
  return err == 0 ? 0 : UV_ENOMEM;
}

int tls_client_config_new(struct tls_client_config **out, struct tls_context *context,
                          const struct tls_client_settings *settings)
{
  if (settings->verify && !settings->trust)
    return ERR_TLS_CONFIG;
  struct tls_client_config *self = calloc(1, sizeof(*self));
  if (!self)
    return UV_ENOMEM;
  self->references = 1;
  self->context = context;
  self->depth = settings->depth;
  mbedtls_ssl_config_init(&self->config);
  int err = copy_names(self, settings);
  if (err == 0)
    err = configure(self, settings);
  if (err < 0) {
    tls_client_config_unref(self);
    return err;
  }
  *out = self;
  return 0;
}

int tls_client_start(struct stream *stream, void *config)
{
  struct tls_client_config *self = config;
  struct tls_session *session = NULL;
  int err = tls_session_new(&session, stream, self->context, &side, tls_client_config_ref(self));
  if (err < 0)
    return err;
  /* NULL says that no name is to be compared, which mbedTLS wants to hear. */
  if (tls_session_set_up(session, &self->config) < 0 ||
      mbedtls_ssl_set_hostname(&session->ssl, self->sni) != 0 ||
      (self->sni && !(session->name = strdup(self->sni)))) {
    tls_session_free(session);
    return UV_ENOMEM;
  }
  resume(session, self);
  return stream_start_filter(stream, &tls_filter, session);
}
