/* SPDX-License-Identifier: Apache-2.0 */
/* OCSP responses beside certificates (RFC 6066 8, RFC 8446 4.4.2.1), which mbedTLS does not send. Three
 * of its functions are replaced in the server's objects, see vendor/build; those here call them, and
 * others that are mbedTLS's own. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* before any header of mbedTLS's */
#include <string.h>

#include <mbedtls-library/ssl_misc.h>

#include "tls/certificate.h"
#include "tls/session.h"

enum {
  HANDSHAKE_HEADER = 4, /* type and length */
  CERTIFICATE_STATUS = 22,
  OCSP = 1 /* CertificateStatusType */
};

/* Called in their place. */
int mg_ssl_write_alpn_ext(mbedtls_ssl_context *ssl, unsigned char *at, unsigned char *end,
                          size_t *length);
int mg_ssl_write_certificate(mbedtls_ssl_context *ssl);
int mg_ssl_tls13_write_certificate(mbedtls_ssl_context *ssl);

static unsigned char *put(unsigned char *at, size_t number, int bytes)
{
  for (int i = bytes - 1; i >= 0; i--)
    *at++ = (unsigned char)(number >> (8 * i));
  return at;
}

static unsigned char *put_bytes(unsigned char *at, const unsigned char *bytes, size_t length)
{
  memcpy(at, bytes, length);
  return at + length;
}

/* CertificateStatus: TLS_STATUS_BYTES and the response. */
static unsigned char *put_status(unsigned char *at, const struct buf *response)
{
  at = put(at, OCSP, 1);
  at = put(at, response->len, 3);
  return put_bytes(at, (const unsigned char *)response->data, response->len);
}

/* --- TLS 1.2: an extension in the ServerHello, a message behind the Certificate -------------- */

int mg_ssl_write_alpn_ext(mbedtls_ssl_context *ssl, unsigned char *at, unsigned char *end,
                          size_t *length)
{
  struct tls_session *session = mbedtls_ssl_get_user_data_p(ssl);
  int err = mbedtls_ssl_write_alpn_ext(ssl, at, end, length);
  /* A session that is resumed goes on elsewhere and shows no certificate. */
  if (err != 0 || !session->response || ssl->state != MBEDTLS_SSL_SERVER_CERTIFICATE)
    return err;
  at += *length;
  if (end - at < 4)
    return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
  put(put(at, MBEDTLS_TLS_EXT_STATUS_REQUEST, 2), 0, 2);
  *length += 4;
  return 0;
}

static int write_status(mbedtls_ssl_context *ssl, const struct buf *response)
{
  unsigned char *message = ssl->out_msg;
  const unsigned char *end = put_status(message + HANDSHAKE_HEADER, response);
  message[0] = CERTIFICATE_STATUS;
  ssl->out_msglen = (size_t)(end - message);
  ssl->out_msgtype = MBEDTLS_SSL_MSG_HANDSHAKE;
  return mbedtls_ssl_write_handshake_msg(ssl);
}

/* The same state twice: first for the certificates, then for what goes behind them. */
int mg_ssl_write_certificate(mbedtls_ssl_context *ssl)
{
  struct tls_session *session = mbedtls_ssl_get_user_data_p(ssl);
  int next = MBEDTLS_SSL_SERVER_KEY_EXCHANGE;
  if (session->certificate_sent) {
    ssl->state = next;
    return write_status(ssl, session->response);
  }
  int err = mbedtls_ssl_write_certificate(ssl);
  if (session->response && ssl->state == next) {
    session->certificate_sent = 1;
    ssl->state = MBEDTLS_SSL_SERVER_CERTIFICATE;
  }
  return err;
}

/* --- TLS 1.3: an extension of the first entry of the Certificate ------------------------------ */

static unsigned char *put_entry(unsigned char *at, const mbedtls_x509_crt *certificate,
                                const struct buf *response)
{
  at = put(at, certificate->raw.len, 3);
  at = put_bytes(at, certificate->raw.p, certificate->raw.len);
  if (!response)
    return put(at, 0, 2);
  size_t length = TLS_STATUS_BYTES + response->len;
  at = put(at, 4 + length, 2);
  at = put(at, MBEDTLS_TLS_EXT_STATUS_REQUEST, 2);
  at = put(at, length, 2);
  return put_status(at, response);
}

/* certificate_list; certificate.c has seen to it that all has room in a record. */
static size_t put_list(unsigned char *start, const struct tls_session *session)
{
  unsigned char *at = put(start, 0, 1); /* certificate_request_context: none of a server's */
  unsigned char *list = at;
  const struct buf *response = session->response;
  at = put(at, 0, 3);
  for (const mbedtls_x509_crt *one = certificate_chain(session->certificate); one;
       one = one->next) {
    at = put_entry(at, one, response);
    response = NULL;
  }
  put(list, (size_t)(at - list) - 3, 3);
  return (size_t)(at - start);
}

int mg_ssl_tls13_write_certificate(mbedtls_ssl_context *ssl)
{
  const struct tls_session *session = mbedtls_ssl_get_user_data_p(ssl);
  if (!session->response)
    return mbedtls_ssl_tls13_write_certificate(ssl);
  unsigned char *at;
  size_t room;
  int err = mbedtls_ssl_start_handshake_msg(ssl, MBEDTLS_SSL_HS_CERTIFICATE, &at, &room);
  if (err != 0)
    return err;
  size_t length = put_list(at, session);
  err = mbedtls_ssl_add_hs_msg_to_checksum(ssl, MBEDTLS_SSL_HS_CERTIFICATE, at, length);
  return err != 0 ? err : mbedtls_ssl_finish_handshake_msg(ssl, room, length);
}
