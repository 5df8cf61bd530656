/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/records.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define FIELD(ssl, name) ((ssl)->MBEDTLS_PRIVATE(name))

_Static_assert(sizeof(((struct tls_session *)0)->in_counter) == MBEDTLS_SSL_SEQUENCE_NUMBER_LEN,
               "mbedTLS's counter of records");

/* Where a pointer into a buffer that was at `from` stands in the one that is at `to`. */
static void move(unsigned char **pointer, uintptr_t from, unsigned char *to)
{
  if (*pointer)
    *pointer = to + ((uintptr_t)*pointer - from);
}

static void move_in(struct tls_session *session, unsigned char *to)
{
  mbedtls_ssl_context *ssl = &session->ssl;
  uintptr_t from = session->in_was;
  FIELD(ssl, in_buf) = to;
  move(&FIELD(ssl, in_ctr), from, to);
  move(&FIELD(ssl, in_hdr), from, to);
  move(&FIELD(ssl, in_cid), from, to);
  move(&FIELD(ssl, in_len), from, to);
  move(&FIELD(ssl, in_iv), from, to);
  move(&FIELD(ssl, in_msg), from, to);
  memcpy(FIELD(ssl, in_ctr), session->in_counter, sizeof(session->in_counter));
}

static void move_out(struct tls_session *session, unsigned char *to)
{
  mbedtls_ssl_context *ssl = &session->ssl;
  uintptr_t from = session->out_was;
  FIELD(ssl, out_buf) = to;
  move(&FIELD(ssl, out_ctr), from, to);
  move(&FIELD(ssl, out_hdr), from, to);
  move(&FIELD(ssl, out_cid), from, to);
  move(&FIELD(ssl, out_len), from, to);
  move(&FIELD(ssl, out_iv), from, to);
  move(&FIELD(ssl, out_msg), from, to);
}

static void put_back(unsigned char **spare, unsigned *count, unsigned char *buffer)
{
  if (*count < TLS_SPARE_BUFFERS)
    spare[(*count)++] = buffer;
  else
    free(buffer);
}

/* Both from a context that is set up for nothing else: mbedTLS alone knows how large they are. */
static int make_spares(struct tls_session *session)
{
  struct tls_context *context = session->context;
  mbedtls_ssl_context donor;
  mbedtls_ssl_init(&donor);
  int err = mbedtls_ssl_setup(&donor, FIELD(&session->ssl, conf)) == 0 ? 0 : UV_ENOMEM;
  if (err == 0) {
    put_back(context->in_spare, &context->in_spares, FIELD(&donor, in_buf));
    put_back(context->out_spare, &context->out_spares, FIELD(&donor, out_buf));
    FIELD(&donor, in_buf) = NULL;
    FIELD(&donor, out_buf) = NULL;
  }
  mbedtls_ssl_free(&donor);
  return err;
}

int records_lend(struct tls_session *session)
{
  struct tls_context *context = session->context;
  mbedtls_ssl_context *ssl = &session->ssl;
  int lacks_in = !FIELD(ssl, in_buf);
  int lacks_out = !FIELD(ssl, out_buf);
  if ((lacks_in && context->in_spares == 0) || (lacks_out && context->out_spares == 0)) {
    int err = make_spares(session);
    if (err < 0)
      return err;
  }
  if (lacks_in)
    move_in(session, context->in_spare[--context->in_spares]);
  if (lacks_out)
    move_out(session, context->out_spare[--context->out_spares]);
  return 0;
}

/* Nothing of a record, and no message that came in parts, or of which a part is still to be read. */
static int is_in_empty(const mbedtls_ssl_context *ssl)
{
  return FIELD(ssl, in_left) == 0 && FIELD(ssl, badmac_seen_or_in_hsfraglen) == 0 &&
         !mbedtls_ssl_check_pending(ssl);
}

void records_return(struct tls_session *session)
{
  struct tls_context *context = session->context;
  mbedtls_ssl_context *ssl = &session->ssl;
  if (FIELD(ssl, in_buf) && is_in_empty(ssl)) {
    CHECK(FIELD(ssl, in_ctr) == FIELD(ssl, in_buf));
    memcpy(session->in_counter, FIELD(ssl, in_ctr), sizeof(session->in_counter));
    session->in_was = (uintptr_t)FIELD(ssl, in_buf);
    put_back(context->in_spare, &context->in_spares, FIELD(ssl, in_buf));
    FIELD(ssl, in_buf) = NULL;
  }
  if (FIELD(ssl, out_buf) && FIELD(ssl, out_left) == 0) {
    session->out_was = (uintptr_t)FIELD(ssl, out_buf);
    put_back(context->out_spare, &context->out_spares, FIELD(ssl, out_buf));
    FIELD(ssl, out_buf) = NULL;
  }
}

/* mbedTLS's own, which calls it once TLS 1.2 has shaken hands, but for 1.3 on datagrams only. */
void mbedtls_ssl_handshake_wrapup_free_hs_transform(mbedtls_ssl_context *ssl);

void records_trim(struct tls_session *session)
{
  if (FIELD(&session->ssl, handshake))
    mbedtls_ssl_handshake_wrapup_free_hs_transform(&session->ssl);
}

void records_free(struct tls_context *context)
{
  while (context->in_spares > 0)
    free(context->in_spare[--context->in_spares]);
  while (context->out_spares > 0)
    free(context->out_spare[--context->out_spares]);
}
