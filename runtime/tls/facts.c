/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/facts.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/x509_crt.h>

#include "tls/session.h"

static int is_set_up(const struct tls_session *session)
{
  return session && session->ssl.MBEDTLS_PRIVATE(conf) != NULL;
}

static int is_agreed(const struct tls_session *session)
{
  return is_set_up(session) && session->state != TLS_HANDSHAKE;
}

const char *tls_version(const struct stream *stream)
{
  const struct tls_session *session = tls_session_of(stream);
  return is_agreed(session) ? mbedtls_ssl_get_version(&session->ssl) : NULL;
}

const char *tls_cipher(const struct stream *stream)
{
  const struct tls_session *session = tls_session_of(stream);
  return is_set_up(session) ? tls_suite_name(mbedtls_ssl_get_ciphersuite_id_from_ssl(&session->ssl))
                            : NULL;
}

const char *tls_sni(const struct stream *stream)
{
  const struct tls_session *session = tls_session_of(stream);
  return session ? session->name : NULL;
}

const char *tls_alpn(const struct stream *stream)
{
  const struct tls_session *session = tls_session_of(stream);
  return is_set_up(session) ? mbedtls_ssl_get_alpn_protocol(&session->ssl) : NULL;
}

int tls_resumed(const struct stream *stream)
{
  const struct tls_session *session = tls_session_of(stream);
  return is_agreed(session) && session->state != TLS_FAILED && !session->full;
}

const struct mg_certificate *tls_certificate(const struct stream *stream)
{
  const struct tls_session *session = tls_session_of(stream);
  return session ? session->certificate : NULL;
}

/* What a deadline cut short. */
static const char *unfinished(const struct tls_session *session)
{
  switch (session->state) {
  case TLS_HELLO:
    return session->waits ? "no script has judged the ClientHello within tls-handshake-timeout"
                          : "the ClientHello has not come within tls-handshake-timeout";
  case TLS_HANDSHAKE:
    return "the handshake is not done within tls-handshake-timeout";
  default:
    return NULL;
  }
}

void tls_failure(const struct stream *stream, char *text, size_t size)
{
  const struct tls_session *session = tls_session_of(stream);
  text[0] = 0;
  if (!session)
    return;
  const char *told = session->reason ? session->reason : unfinished(session);
  if (told) {
    (void)snprintf(text, size, "%s", told); /* cut where it must be */
    return;
  }
  if (session->failure == 0)
    return;
  uint32_t faults = session->faults | mbedtls_ssl_get_verify_result(&session->ssl);
  if (session->failure == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && faults != UINT32_MAX &&
      mbedtls_x509_crt_verify_info(text, size, "", faults) > 0) {
    text[strcspn(text, "\n")] = 0;
    return;
  }
  tls_error_text(session->failure, text, size);
}
