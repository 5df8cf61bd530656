/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "tls/keylog.h"
#include "tls/records.h"
#include "tls/rekey.h"

/* Records of one write are handed to the socket together, but not without limit. */
enum {
  FLUSH_BYTES = 128 * 1024,
  ANSWERS_MOST = 32
};

static const uint8_t moves[TLS_STATE_COUNT] = {
  [TLS_HELLO] = 1 << TLS_HANDSHAKE | 1 << TLS_FAILED,
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
         (session->state == TLS_HELLO || session->state == TLS_HANDSHAKE ||
          session->state == TLS_OPEN);
}

/* What the socket brought stays here until its turn. */
static int hold(struct tls_session *session, const char *data, size_t len)
{
  return len > 0 ? buf_put(&session->held, data, len) : 0;
}

/* An alert is a courtesy. */
static void alert(struct tls_session *session, unsigned char description)
{
  if (session->state == TLS_HELLO) {
    char record[] = { MBEDTLS_SSL_MSG_ALERT, 3, 3, 0, 2, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                      (char)description };
    uv_buf_t bytes = uv_buf_init(record, sizeof(record));
    int err = stream_write_raw(session->stream, &bytes, 1);
    (void)err; /* the close follows in any case */
  } else if (records_lend(session) == 0) {
    (void)mbedtls_ssl_send_alert_message(&session->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, description);
    (void)flush(session);
  }
}

/* Tells the owner, once, and stops reading. May end: the stream. */
static void fail(struct tls_session *session, int err, int code)
{
  struct stream *stream = session->stream;
  int was_open = session->state == TLS_OPEN;
  session->failure = code;
  session->raw_len = 0;
  session->waits = 0;
  buf_fini(&session->held);
  list_remove(&session->waiter.node);
  enter(session, TLS_FAILED);
  stream_read_raw(stream, 0);
  if (was_open)
    stream->events->on_end(stream, err);
  else
    stream->events->on_open(stream, err);
}

static void fail_handshake(struct tls_session *session, int code)
{
  int err = code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ? ERR_TLS_UNTRUSTED : ERR_TLS_HANDSHAKE;
  if (session->side->on_failure)
    session->side->on_failure(session);
  fail(session, err, code);
}

/* Whether certificates are exchanged shows in the states that mbedTLS goes through: a resumed session
 * leaves this one out, on either side and in both versions. */
static int step(struct tls_session *session)
{
  mbedtls_ssl_context *ssl = &session->ssl;
  int code = 0;
  session->begun = 1;
  session->context->current = session;
  while (code == 0 && ssl->MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_HANDSHAKE_OVER) {
    session->full |= ssl->MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_SERVER_CERTIFICATE;
    code = mbedtls_ssl_handshake_step(ssl); /* up to the tickets that follow it */
  }
  session->context->current = NULL;
  return code;
}

/* May end: the stream. */
static void shake_hands(struct tls_session *session)
{
  int code = step(session);
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
  if (session->side->on_hello)
    records_trim(session);
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

/* Who asks for answers (new keys, a handshake with TLS 1.2) and takes none would have them pile up. */
static int has_too_many_answers(struct tls_session *session)
{
  if (stream_queued(session->stream) == 0)
    session->answers = 0;
  else if (session->context->out.len > 0)
    session->answers++;
  return session->answers > ANSWERS_MOST;
}

/* 1: go on. May end: the stream. */
static int deliver_record(struct tls_session *session)
{
  struct stream *stream = session->stream;
  char *plain = session->context->plain;
  if (records_lend(session) < 0) {
    fail(session, ERR_NO_MEMORY, MBEDTLS_ERR_SSL_ALLOC_FAILED);
    return 0;
  }
  int got = mbedtls_ssl_read(&session->ssl, (unsigned char *)plain, TLS_RECORD_BYTES);
  int has_new_keys = got == MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE && rekey_take(session) == 0;
  int floods = has_too_many_answers(session);
  int err = flush(session);
  if (floods) {
    fail(session, ERR_TLS_BROKEN, MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE);
  } else if (got == 0) {
    return 1; /* records without content, which hide how much is said (RFC 8446 5.4) */
  } else if (got > 0) {
    session->key_updates = 0;
    stream->events->on_data(stream, plain, (size_t)got);
  } else if (got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
    end(session);
  } else if (got == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
    fail(session, ERR_TLS_TRUNCATED, got);
  } else if (got == MBEDTLS_ERR_SSL_WANT_READ) {
    if (err < 0)
      fail(session, err, got);
    /* A ticket is announced by this before it is read. */
    return err == 0 && mbedtls_ssl_check_pending(&session->ssl);
  } else if (has_new_keys) {
    if (err < 0)
      fail(session, err, got);
  } else if (got == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
    if (session->side->on_ticket)
      session->side->on_ticket(session);
  } else {
    fail(session, ERR_TLS_BROKEN, got);
  }
  return 1;
}

/* Decrypts what has come while the owner wants it. May end: the stream. */
static void deliver(struct tls_session *session)
{
  while (session->wanted && is_alive(session) && deliver_record(session))
    continue;
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
  if (session->state != TLS_HANDSHAKE)
    records_return(session);
  if (!is_alive(session))
    return;
  size_t rest = session->raw_len;
  session->raw_len = 0;
  if (hold(session, session->raw, rest) < 0) {
    fail(session, ERR_NO_MEMORY, MBEDTLS_ERR_SSL_ALLOC_FAILED);
    return;
  }
  stream_read_raw(session->stream,
                  session->state == TLS_HANDSHAKE || (session->wanted && session->held.len == 0));
}

static void take_held(struct tls_session *session)
{
  struct buf held = session->held;
  session->held = (struct buf){ 0 };
  take(session, held.data, held.len);
  buf_fini(&held);
}

static void on_resume(struct tls_waiter *waiter)
{
  struct tls_session *session =
      (struct tls_session *)((char *)waiter - offsetof(struct tls_session, waiter));
  if (is_alive(session) && (session->state == TLS_HANDSHAKE || session->wanted))
    take_held(session);
}

/* Now where the loop's turn is free, else in one of its own. May end: the stream. */
static void advance(struct tls_session *session, const char *data, size_t len)
{
  if (session->held.len == 0 && tls_context_may_step(session->context)) {
    take(session, data, len);
  } else if (hold(session, data, len) < 0) {
    fail(session, ERR_NO_MEMORY, MBEDTLS_ERR_SSL_ALLOC_FAILED);
  } else {
    stream_read_raw(session->stream, 0);
    tls_context_queue(session->context, &session->waiter, session->begun);
  }
}

/* The stream is somebody else's from here on. */
static void pass(struct tls_session *session, char *data, size_t len)
{
  struct stream *stream = session->stream;
  struct buf held = session->held;
  session->held = (struct buf){ 0 };
  stream->filter = NULL;
  stream->filter_data = NULL;
  session->side->on_pass(session, held.len > 0 ? held.data : data, held.len > 0 ? held.len : len);
  tls_session_free(session);
  buf_fini(&held);
}

/* What the owner said of a hello; `data` is what is not held yet. May end: the stream. */
static void follow(struct tls_session *session, int verdict, char *data, size_t len)
{
  switch (verdict) {
  case TLS_GO:
    enter(session, TLS_HANDSHAKE);
    advance(session, data, len);
    return;
  case TLS_PASS:
    pass(session, data, len);
    return;
  case TLS_MORE:
  case TLS_WAIT:
    session->waits = verdict == TLS_WAIT;
    stream_read_raw(session->stream, verdict == TLS_MORE);
    if (hold(session, data, len) == 0)
      return;
    verdict = ERR_NO_MEMORY;
    break;
  default:
    break;
  }
  if (session->alert)
    alert(session, session->alert);
  fail(session, verdict, 0);
}

/* May end: the stream. */
static void hear(struct tls_session *session, char *data, size_t len)
{
  if (session->held.len > 0) {
    if (hold(session, data, len) < 0) {
      fail(session, ERR_NO_MEMORY, 0);
      return;
    }
    len = 0;
  }
  int verdict = len > 0 ? session->side->on_hello(session, data, len)
                        : session->side->on_hello(session, session->held.data, session->held.len);
  if (is_alive(session))
    follow(session, verdict, data, len);
}

void tls_session_follow(struct tls_session *session, int verdict)
{
  session->waits = 0;
  if (is_alive(session))
    follow(session, verdict, NULL, 0);
}

/* the filter */

static int start(struct stream *stream)
{
  struct tls_session *session = stream->filter_data;
  int err = 0;
  if (session->state == TLS_HANDSHAKE) { /* a client's: the hello */
    int code = step(session);
    err = flush(session);
    if (code != MBEDTLS_ERR_SSL_WANT_READ)
      return ERR_TLS_CONFIG;
  }
  if (err == 0)
    stream_read_raw(stream, 1);
  return err;
}

static void on_raw(struct stream *stream, char *data, size_t len)
{
  struct tls_session *session = stream->filter_data;
  if (!is_alive(session))
    return;
  if (session->state == TLS_HELLO)
    hear(session, data, len);
  else if (session->state == TLS_HANDSHAKE)
    advance(session, data, len);
  else
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
  int otherwise = session->state == TLS_OPEN ? ERR_TLS_TRUNCATED : ERR_TLS_HANDSHAKE;
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
  int err = records_lend(session);
  if (err == 0)
    err = encrypt_all(session, bufs, count);
  int flushed = flush(session);
  records_return(session);
  return err < 0 ? err : flushed;
}

static void on_shutdown(struct stream *stream)
{
  struct tls_session *session = stream->filter_data;
  if (session->state != TLS_OPEN && session->state != TLS_ENDED)
    return;
  if (records_lend(session) < 0)
    return; /* the FIN follows in any case */
  (void)mbedtls_ssl_close_notify(&session->ssl);
  (void)flush(session);
  records_return(session);
}

void tls_session_free(struct tls_session *session)
{
  mbedtls_ssl_free(&session->ssl);
  list_remove(&session->waiter.node);
  mg_certificate_unref(session->certificate);
  tls_trust_unref(session->trust);
  mg_suites_unref(session->suites);
  free(session->config); /* what it refers to is its server's */
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
                    const struct tls_side *side, void *owner)
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
  session->state = side->on_hello ? TLS_HELLO : TLS_HANDSHAKE;
  mbedtls_ssl_init(&session->ssl);
  *out = session;
  return 0;
}

int tls_session_set_up(struct tls_session *session, const mbedtls_ssl_config *config)
{
  mbedtls_ssl_context *ssl = &session->ssl;
  if (mbedtls_ssl_setup(ssl, config) != 0)
    return UV_ENOMEM;
  mbedtls_ssl_set_user_data_p(ssl, session);
  mbedtls_ssl_set_bio(ssl, session, on_send, on_receive, NULL);
  if (session->context->keylog >= 0)
    mbedtls_ssl_set_export_keys_cb(ssl, keylog_write, session->context);
  return 0;
}

const struct tls_session *tls_session_of(const struct stream *stream)
{
  return stream->filter == &tls_filter ? stream->filter_data : NULL;
}
