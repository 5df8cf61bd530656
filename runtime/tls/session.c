/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/session.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/x509_crt.h>

#include "base/check.h"
#include "base/err.h"

/* Records of one write are handed to the socket together, but not without limit. */
enum {
  FLUSH_BYTES = 128 * 1024
};

static const uint8_t moves[TLS_STATE_COUNT] = {
  [TLS_HANDSHAKE] = 1 << TLS_OPEN | 1 << TLS_FAILED,
  [TLS_OPEN] = 1 << TLS_ENDED | 1 << TLS_FAILED,
};

static void enter(struct tls_session *session, enum tls_session_state to)
{
  CHECK(moves[session->state] & 1 << to);
  session->state = to;
}

/* mbedTLS's way to the socket: it always finds room here, flush() moves it on. */
static int on_send(void *data, const unsigned char *bytes, size_t len)
{
  struct tls_session *session = data;
  if (buf_put(&session->context->out, bytes, len) < 0)
    return MBEDTLS_ERR_SSL_ALLOC_FAILED;
  return (int)len;
}

static int on_receive(void *data, unsigned char *bytes, size_t len)
{
  struct tls_session *session = data;
  if (session->raw_len == 0)
    return MBEDTLS_ERR_SSL_WANT_READ;
  size_t taken = len < session->raw_len ? len : session->raw_len;
  memcpy(bytes, session->raw, taken);
  session->raw += taken;
  session->raw_len -= taken;
  return (int)taken;
}

/* Called after each use of mbedTLS, before anybody is told: the buffer is all sessions'. */
static int flush(struct tls_session *session)
{
  struct buf *out = &session->context->out;
  if (out->len == 0)
    return 0;
  uv_buf_t bytes = uv_buf_init(out->data, (unsigned)out->len);
  int err = stream_write_raw(session->stream, &bytes, 1);
  out->len = 0;
  return err;
}

static int is_alive(const struct tls_session *session)
{
  return session->stream->state == STREAM_OPEN &&
         (session->state == TLS_HANDSHAKE || session->state == TLS_OPEN);
}

static void alert(struct tls_session *session, unsigned char description)
{
  (void)mbedtls_ssl_send_alert_message(&session->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, description);
}

/* Tells the owner, once, and stops reading. May end: the stream. */
static void fail(struct tls_session *session, int err, int code)
{
  struct stream *stream = session->stream;
  int was_open = session->state == TLS_OPEN;
  session->failure = code;
  session->raw_len = 0;
  enter(session, TLS_FAILED);
  stream_read_raw(stream, 0);
  if (was_open)
    stream->events->on_end(stream, err);
  else
    stream->events->on_open(stream, err);
}

static void fail_handshake(struct tls_session *session, int code)
{
  int err = ERR_TLS_HANDSHAKE;
  if (session->refused) {
    err = ERR_TLS_NO_CERTIFICATE;
    alert(session, MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME);
  } else if (code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
    err = ERR_TLS_UNTRUSTED;
  }
  (void)flush(session); /* the alert is a courtesy */
  fail(session, err, code);
}

/* May end: the stream. */
static void shake_hands(struct tls_session *session)
{
  int code = mbedtls_ssl_handshake(&session->ssl);
  int err = flush(session);
  if (code == MBEDTLS_ERR_SSL_WANT_READ) {
    if (err < 0)
      fail(session, err, code);
    return;
  }
  if (code == 0 && session->side->on_handshake) {
    code = session->side->on_handshake(session);
    if (code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
      alert(session, MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
  }
  if (code != 0) {
    fail_handshake(session, code);
    return;
  }
  enter(session, TLS_OPEN);
  session->stream->events->on_open(session->stream, err);
}

/* close_notify. May end: the stream. */
static void end(struct tls_session *session)
{
  struct stream *stream = session->stream;
  session->raw_len = 0;
  enter(session, TLS_ENDED);
  stream->ended = 1;
  stream_read_raw(stream, 0);
  stream->events->on_end(stream, 0);
}

/* Decrypts what has come while the owner wants it. May end: the stream. */
static void deliver(struct tls_session *session)
{
  struct stream *stream = session->stream;
  char *plain = session->context->plain;
  while (session->wanted && is_alive(session)) {
    int got = mbedtls_ssl_read(&session->ssl, (unsigned char *)plain, TLS_RECORD_BYTES);
    int err = flush(session);
    if (got > 0) {
      stream->events->on_data(stream, plain, (size_t)got);
    } else if (got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
      end(session);
    } else if (got == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
      fail(session, ERR_TLS_TRUNCATED, got);
    } else if (got == MBEDTLS_ERR_SSL_WANT_READ) {
      if (err < 0)
        fail(session, err, got);
      return;
    } else if (got != MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
      fail(session, ERR_TLS_BROKEN, got);
    }
  }
}

/* May end: the stream. */
static void take(struct tls_session *session, const char *data, size_t len)
{
  session->raw = data;
  session->raw_len = len;
  session->pumping = 1;
  if (session->state == TLS_HANDSHAKE)
    shake_hands(session);
  if (session->state == TLS_OPEN)
    deliver(session);
  session->pumping = 0;
  if (!is_alive(session))
    return;
  size_t rest = session->raw_len;
  session->raw_len = 0;
  if (rest > 0 && buf_put(&session->held, session->raw, rest) < 0) {
    fail(session, ERR_NO_MEMORY, MBEDTLS_ERR_SSL_ALLOC_FAILED);
    return;
  }
  stream_read_raw(session->stream,
                  session->state == TLS_HANDSHAKE || (session->wanted && session->held.len == 0));
}

static void on_resume(struct tls_waiter *waiter)
{
  struct tls_session *session =
      (struct tls_session *)((char *)waiter - offsetof(struct tls_session, waiter));
  if (!is_alive(session) || !session->wanted)
    return;
  struct buf held = session->held;
  session->held = (struct buf){ 0 };
  take(session, held.data, held.len);
  buf_fini(&held);
}

/* the filter */

static int start(struct stream *stream)
{
  struct tls_session *session = stream->filter_data;
  int code = mbedtls_ssl_handshake(&session->ssl); /* a client's hello; a server waits for it */
  int err = flush(session);
  if (code != MBEDTLS_ERR_SSL_WANT_READ)
    return ERR_TLS_CONFIG;
  if (err == 0)
    stream_read_raw(stream, 1);
  return err;
}

static void on_raw(struct stream *stream, char *data, size_t len)
{
  struct tls_session *session = stream->filter_data;
  if (is_alive(session))
    take(session, data, len);
}

static void on_raw_end(struct stream *stream, int err)
{
  struct tls_session *session = stream->filter_data;
  if (session->state == TLS_ENDED && err < 0) {
    stream->events->on_end(stream, err); /* a write failed after the peer had said good-bye */
    return;
  }
  if (!is_alive(session))
    return;
  int otherwise = session->state == TLS_HANDSHAKE ? ERR_TLS_HANDSHAKE : ERR_TLS_TRUNCATED;
  fail(session, err < 0 ? err : otherwise, MBEDTLS_ERR_SSL_CONN_EOF);
}

/* What is held is not told from within the owner's call: the loop comes back for it. */
static void on_owner_reads(struct stream *stream, int on)
{
  struct tls_session *session = stream->filter_data;
  session->wanted = (uint8_t)on;
  if (session->state != TLS_OPEN || session->pumping)
    return;
  if (on && session->held.len > 0)
    tls_context_resume(session->context, &session->waiter);
  else
    stream_read_raw(stream, on);
}

static int encrypt(struct tls_session *session, const char *data, size_t len)
{
  while (len > 0) {
    int done = mbedtls_ssl_write(&session->ssl, (const unsigned char *)data, len);
    if (done <= 0)
      return ERR_TLS_BROKEN;
    data += done;
    len -= (size_t)done;
  }
  return session->context->out.len >= FLUSH_BYTES ? flush(session) : 0;
}

/* Whole records straight from the owner's memory; what is smaller is gathered, so that a head and its
 * body share a record. */
static int encrypt_all(struct tls_session *session, const uv_buf_t *bufs, unsigned count)
{
  char *gathered = session->context->gathered;
  size_t used = 0;
  for (unsigned i = 0; i < count; i++) {
    const char *data = bufs[i].base;
    size_t left = bufs[i].len;
    while (left > 0) {
      int err = 0;
      size_t taken = TLS_RECORD_BYTES - used < left ? TLS_RECORD_BYTES - used : left;
      if (taken == TLS_RECORD_BYTES) {
        err = encrypt(session, data, taken);
      } else {
        memcpy(gathered + used, data, taken);
        used += taken;
        if (used == TLS_RECORD_BYTES) {
          err = encrypt(session, gathered, used);
          used = 0;
        }
      }
      if (err < 0)
        return err;
      data += taken;
      left -= taken;
    }
  }
  return encrypt(session, gathered, used);
}

static int on_write(struct stream *stream, const uv_buf_t *bufs, unsigned count)
{
  struct tls_session *session = stream->filter_data;
  if (stream->state != STREAM_OPEN || (session->state != TLS_OPEN && session->state != TLS_ENDED))
    return UV_ENOTCONN;
  int err = encrypt_all(session, bufs, count);
  int flushed = flush(session);
  return err < 0 ? err : flushed;
}

static void on_shutdown(struct stream *stream)
{
  struct tls_session *session = stream->filter_data;
  if (session->state != TLS_OPEN && session->state != TLS_ENDED)
    return;
  (void)mbedtls_ssl_close_notify(&session->ssl); /* the FIN follows in any case */
  (void)flush(session);                          /* as above */
}

void tls_session_free(struct tls_session *session)
{
  mbedtls_ssl_free(&session->ssl);
  list_remove(&session->waiter.node);
  mg_certificate_unref(session->certificate);
  tls_trust_unref(session->trust);
  buf_fini(&session->held);
  free(session->name);
  session->side->release(session->owner);
  free(session);
}

static void on_free(void *filter_data)
{
  tls_session_free(filter_data);
}

const struct stream_filter tls_filter = {
  .start = start,
  .on_raw = on_raw,
  .on_raw_end = on_raw_end,
  .read = on_owner_reads,
  .write = on_write,
  .shutdown = on_shutdown,
  .free = on_free,
};

int tls_session_new(struct tls_session **out, struct stream *stream, struct tls_context *context,
                    const mbedtls_ssl_config *config, const struct tls_side *side, void *owner)
{
  struct tls_session *session = calloc(1, sizeof(*session));
  if (!session) {
    side->release(owner);
    return UV_ENOMEM;
  }
  session->stream = stream;
  session->context = context;
  session->side = side;
  session->owner = owner;
  list_init(&session->waiter.node);
  session->waiter.resume = on_resume;
  mbedtls_ssl_init(&session->ssl);
  if (mbedtls_ssl_setup(&session->ssl, config) != 0) {
    tls_session_free(session);
    return UV_ENOMEM;
  }
  mbedtls_ssl_set_user_data_p(&session->ssl, session);
  mbedtls_ssl_set_bio(&session->ssl, session, on_send, on_receive, NULL);
  *out = session;
  return 0;
}

/* getters */

static const struct tls_session *session_of(const struct stream *stream)
{
  return stream->filter == &tls_filter ? stream->filter_data : NULL;
}

const char *tls_version(const struct stream *stream)
{
  const struct tls_session *session = session_of(stream);
  return session && session->state != TLS_HANDSHAKE ? mbedtls_ssl_get_version(&session->ssl) : NULL;
}

const char *tls_cipher(const struct stream *stream)
{
  const struct tls_session *session = session_of(stream);
  return session ? tls_suite_name(mbedtls_ssl_get_ciphersuite_id_from_ssl(&session->ssl)) : NULL;
}

const char *tls_sni(const struct stream *stream)
{
  const struct tls_session *session = session_of(stream);
  return session ? session->name : NULL;
}

const char *tls_alpn(const struct stream *stream)
{
  const struct tls_session *session = session_of(stream);
  return session ? mbedtls_ssl_get_alpn_protocol(&session->ssl) : NULL;
}

const struct mg_certificate *tls_certificate(const struct stream *stream)
{
  const struct tls_session *session = session_of(stream);
  return session ? session->certificate : NULL;
}

void tls_failure(const struct stream *stream, char *text, size_t size)
{
  const struct tls_session *session = session_of(stream);
  text[0] = 0;
  if (!session || session->failure == 0)
    return;
  uint32_t faults = session->faults | mbedtls_ssl_get_verify_result(&session->ssl);
  if (session->failure == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && faults != UINT32_MAX &&
      mbedtls_x509_crt_verify_info(text, size, "", faults) > 0) {
    text[strcspn(text, "\n")] = 0;
    return;
  }
  tls_error_text(session->failure, text, size);
}
