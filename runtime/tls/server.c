/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/server.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mbedtls/sha256.h>

#include "base/err.h"

/* Two configurations, since mbedTLS asks for tickets where a configuration has them. */
struct tls_server {
  mbedtls_ssl_config config;         /* sessions are resumed */
  mbedtls_ssl_config config_of_auth; /* clients show certificates: none is */
  struct tls_context *context;
  struct tls_server_settings settings;
  struct tls_suites suites;
  struct tls_tickets *tickets;
  unsigned references; /* of one thread */
};

static int keep_name(struct tls_session *session, const struct tls_slice *name)
{
  size_t length = name->length;
  if (length == 0)
    return 0;
  char *copy = malloc(length + 1);
  if (!copy)
    return UV_ENOMEM;
  for (size_t i = 0; i < length; i++)
    copy[i] = (char)(name->at[i] >= 'A' && name->at[i] <= 'Z' ? name->at[i] | 0x20 : name->at[i]);
  if (length > 1 && copy[length - 1] == '.')
    length--;
  copy[length] = 0;
  session->name = copy;
  return 0;
}

static int refuse(struct tls_session *session, int err, unsigned char alert, const char *reason)
{
  session->alert = alert;
  session->reason = reason;
  return err;
}

static int on_verify(void *data, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
  const struct tls_session *session = data;
  if (session->trust && !tls_trust_has_list(session->trust, certificate))
    *flags |= MBEDTLS_X509_BADCERT_MISSING; /* as peer.c reads it */
  if (session->depth >= 0 && depth > session->depth + 1)
    *flags |= MBEDTLS_X509_BADCERT_OTHER;
  return 0;
}

/* What mbedTLS wants to hear from within its callback. */
static int apply(struct tls_session *session)
{
  mbedtls_ssl_context *ssl = &session->ssl;
  if (session->auth != TLS_CLIENT_AUTH_NONE) {
    mbedtls_ssl_set_verify(ssl, on_verify, session);
    if (session->trust)
      mbedtls_ssl_set_hs_ca_chain(ssl, tls_trust_chain(session->trust),
                                  tls_trust_crl(session->trust));
    mbedtls_ssl_set_hs_authmode(ssl, session->auth == TLS_CLIENT_AUTH_REQUIRED
                                         ? MBEDTLS_SSL_VERIFY_REQUIRED
                                         : MBEDTLS_SSL_VERIFY_OPTIONAL);
  }
  return mbedtls_ssl_set_hs_own_cert(ssl, certificate_chain(session->certificate),
                                     certificate_key(session->certificate));
}

/* Again when TLS 1.3 asks for a second hello, whose name changes nothing. */
static int on_certificate(mbedtls_ssl_context *ssl)
{
  struct tls_session *session = mbedtls_ssl_get_user_data_p(ssl);
  if (session->applied)
    return 0;
  session->applied = 1;
  return apply(session);
}

/* A client may resume what began under the same name, and nothing else. */
static void bind_name(const struct tls_session *session, unsigned char *out)
{
  const char *name = session->name ? session->name : "";
  (void)mbedtls_sha256((const unsigned char *)name, strlen(name), out, 0); /* cannot fail */
}

static int on_ticket_write(void *data, const mbedtls_ssl_session *resumable, unsigned char *start,
                           const unsigned char *end, size_t *length, uint32_t *lifetime_s)
{
  const struct tls_server *server = data;
  unsigned char binding[TLS_BINDING_BYTES];
  bind_name(server->context->current, binding);
  return tickets_seal(server->tickets, binding, resumable, start, end, length, lifetime_s);
}

static int on_ticket_parse(void *data, mbedtls_ssl_session *resumable, unsigned char *bytes,
                           size_t length)
{
  const struct tls_server *server = data;
  unsigned char binding[TLS_BINDING_BYTES];
  bind_name(server->context->current, binding);
  return tickets_open(server->tickets, binding, resumable, bytes, length);
}

static int keep_choice(struct tls_session *session, const struct tls_choice *choice)
{
  int needs_trust = choice->client_auth == TLS_CLIENT_AUTH_OPTIONAL ||
                    choice->client_auth == TLS_CLIENT_AUTH_REQUIRED;
  if (needs_trust && !choice->trust) /* never let anybody in instead */
    return refuse(session, ERR_TLS_HANDSHAKE, MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR,
                  "there is no authority to hold the client's certificate against");
  session->certificate = mg_certificate_ref(choice->certificate);
  session->auth = (uint8_t)choice->client_auth;
  session->depth = choice->depth;
  if (choice->client_auth != TLS_CLIENT_AUTH_NONE && choice->trust)
    session->trust = tls_trust_ref(choice->trust);
  return TLS_GO;
}

static int asks_for_status(const struct tls_hello *hello)
{
  for (uint32_t i = 0; i < hello->extension_count; i++)
    if (hello->extensions[i] == MBEDTLS_TLS_EXT_STATUS_REQUEST)
      return 1;
  return 0;
}

/* That of the server, or for a host with suites of its own a copy of it. NULL: no memory. */
static const mbedtls_ssl_config *config_for(struct tls_session *session, struct mg_suites *suites)
{
  const struct tls_server *server = session->owner;
  const mbedtls_ssl_config *shared =
      session->auth == TLS_CLIENT_AUTH_NONE ? &server->config : &server->config_of_auth;
  if (!suites)
    return shared;
  session->config = malloc(sizeof(*session->config));
  if (!session->config)
    return NULL;
  *session->config = *shared;
  session->suites = mg_suites_ref(suites);
  suites_configure(suites, session->config);
  return session->config;
}

static int go_on(struct tls_session *session, struct tls_choice *choice)
{
  const struct tls_server *server = session->owner;
  const char *name = session->name ? session->name : "";
  if (!choice->certificate)
    server->settings.choose(server->settings.data, name, strlen(name), choice);
  if (!choice->certificate)
    return refuse(session, ERR_TLS_NO_CERTIFICATE, MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME,
                  "there is no certificate for this name");
  int verdict = keep_choice(session, choice);
  if (verdict != TLS_GO)
    return verdict;
  if (session->asks_for_status)
    session->response = certificate_response(session->certificate, time(NULL));
  const mbedtls_ssl_config *config = config_for(session, choice->suites);
  int err = config ? tls_session_set_up(session, config) : UV_ENOMEM;
  return err < 0 ? err : TLS_GO;
}

static int follow(struct tls_session *session, enum tls_verdict verdict, struct tls_choice *choice)
{
  if (verdict == TLS_GO)
    return go_on(session, choice);
  if (verdict == TLS_REFUSE)
    return refuse(session, ERR_TLS_HANDSHAKE, MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED,
                  "the ClientHello was refused");
  return verdict;
}

static int refuse_hello(struct tls_session *session, int fault)
{
  int is_tls = fault != TLS_HELLO_NOT_TLS && fault != TLS_HELLO_PLAIN_HTTP;
  return refuse(session, ERR_TLS_HANDSHAKE, is_tls ? MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR : 0,
                tls_hello_fault_text(fault));
}

static int on_hello(struct tls_session *session, const char *bytes, size_t length)
{
  const struct tls_server *server = session->owner;
  struct tls_hello hello;
  struct tls_choice choice = { 0 };
  int used = tls_hello_parse(bytes, length, (unsigned char *)session->context->plain, &hello);
  if (used <= 0)
    return used == 0 ? TLS_MORE : refuse_hello(session, used);
  int err = keep_name(session, &hello.name);
  if (err < 0)
    return err;
  session->asks_for_status = (uint8_t)asks_for_status(&hello);
  enum tls_verdict verdict = TLS_GO;
  if (server->settings.hello)
    verdict = server->settings.hello(server->settings.data, session->stream, &hello, &choice);
  return session->stream->state == STREAM_OPEN ? follow(session, verdict, &choice) : TLS_WAIT;
}

static void on_pass(struct tls_session *session, char *bytes, size_t length)
{
  const struct tls_server *server = session->owner;
  server->settings.pass(server->settings.data, session->stream, bytes, length);
}

void tls_server_unref(struct tls_server *server)
{
  if (--server->references > 0)
    return;
  mbedtls_ssl_config_free(&server->config);
  mbedtls_ssl_config_free(&server->config_of_auth);
  tls_tickets_unref(server->tickets);
  free(server);
}

static void release(void *owner)
{
  tls_server_unref(owner);
}

static const struct tls_side side = { .on_hello = on_hello,
                                      .on_pass = on_pass,
                                      .release = release };

static int configure(struct tls_server *server, mbedtls_ssl_config *config)
{
  const struct tls_server_settings *settings = &server->settings;
  const struct tls_common common = { .min_version = settings->min_version,
                                     .max_version = settings->max_version,
                                     .alpn = settings->alpn,
                                     .suites = &server->suites };
  int err = tls_context_configure(server->context, config, MBEDTLS_SSL_IS_SERVER, &common);
  if (err < 0)
    return err;
  mbedtls_ssl_conf_cert_cb(config, on_certificate);
  tls_suites_prefer(config, settings->client_order);
  return 0;
}

static int configure_both(struct tls_server *server)
{
  const struct tls_server_settings *settings = &server->settings;
  char unknown[1];
  int err = tls_suites_read(&server->suites, settings->suites, unknown, sizeof(unknown));
  if (err == 0)
    err = tls_groups_read(&server->suites, settings->groups, unknown, sizeof(unknown));
  if (err == 0)
    err = configure(server, &server->config);
  if (err == 0)
    err = configure(server, &server->config_of_auth);
  if (err < 0 || !settings->tickets)
    return err;
  server->tickets = tls_tickets_ref(settings->tickets);
  mbedtls_ssl_conf_session_tickets_cb(&server->config, on_ticket_write, on_ticket_parse, server);
  return 0;
}

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
  mbedtls_ssl_config_init(&server->config_of_auth);
  int err = configure_both(server);
  server->settings.suites = NULL; /* borrowed, and read */
  server->settings.groups = NULL;
  if (err < 0) {
    tls_server_unref(server);
    return err;
  }
  *out = server;
  return 0;
}

int tls_server_start(struct tls_server *server, struct stream *stream)
{
  struct tls_session *session = NULL;
  server->references++;
  int err = tls_session_new(&session, stream, server->context, &side, server);
  return err < 0 ? err : stream_start_filter(stream, &tls_filter, session);
}

static struct tls_session *waiting_session(const struct stream *stream)
{
  const struct tls_session *session = tls_session_of(stream);
  int waits = session && session->state == TLS_HELLO && session->waits;
  return waits ? stream->filter_data : NULL;
}

void tls_server_resume(struct stream *stream, enum tls_verdict verdict,
                       const struct tls_choice *choice)
{
  struct tls_session *session = waiting_session(stream);
  struct tls_choice chosen = choice ? *choice : (struct tls_choice){ 0 };
  if (session && verdict != TLS_WAIT && verdict != TLS_MORE && stream->state == STREAM_OPEN)
    tls_session_follow(session, follow(session, verdict, &chosen));
}

int tls_server_hello(const struct stream *stream, struct tls_hello *hello)
{
  const struct tls_session *session = waiting_session(stream);
  return session && tls_hello_parse(session->held.data, session->held.len,
                                    (unsigned char *)session->context->plain, hello) > 0;
}
