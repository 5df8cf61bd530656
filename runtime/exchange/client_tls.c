/* SPDX-License-Identifier: Apache-2.0 */
/* What hooks and logs may know of a client's TLS. */
#include <string.h>

#include "exchange/exchange.h"
#include "tls/facts.h"
#include "tls/peer.h"

enum {
  FACT_BYTES = 16384 /* a certificate in PEM is the longest */
};

static const char *accepted(const struct stream *stream)
{
  char verdict[80];
  if (tls_peer_is_only_unknown(stream))
    return "any";
  int length = tls_peer(stream, TLS_PEER_VERIFY, verdict, sizeof(verdict));
  return length > 0 && strcmp(verdict, "SUCCESS") == 0 ? "1" : NULL;
}

static const char *peer_fact(struct buf *scratch, const struct stream *stream,
                             enum tls_peer_fact fact)
{
  scratch->len = 0;
  if (buf_reserve(scratch, FACT_BYTES) < 0)
    return NULL;
  return tls_peer(stream, fact, scratch->data, FACT_BYTES) > 0 ? scratch->data : NULL;
}

static const char *fact_of(struct buf *scratch, const struct stream *stream, enum mg_tls_fact fact)
{
  switch (fact) {
  case MG_TLS_VERSION:
    return tls_version(stream);
  case MG_TLS_CIPHER:
    return tls_cipher(stream);
  case MG_TLS_SNI:
    return tls_sni(stream);
  case MG_TLS_ALPN:
    return tls_alpn(stream);
  case MG_TLS_RESUMED:
    return tls_resumed(stream) ? "r" : ".";
  case MG_TLS_ACCEPTED:
    return accepted(stream);
  case MG_TLS_VERIFY:
    return peer_fact(scratch, stream, TLS_PEER_VERIFY);
  case MG_TLS_SUBJECT:
    return peer_fact(scratch, stream, TLS_PEER_SUBJECT);
  case MG_TLS_ISSUER:
    return peer_fact(scratch, stream, TLS_PEER_ISSUER);
  case MG_TLS_SERIAL:
    return peer_fact(scratch, stream, TLS_PEER_SERIAL);
  case MG_TLS_FINGERPRINT:
    return peer_fact(scratch, stream, TLS_PEER_SHA1);
  case MG_TLS_FINGERPRINT_SHA256:
    return peer_fact(scratch, stream, TLS_PEER_SHA256);
  case MG_TLS_CERTIFICATE:
    return peer_fact(scratch, stream, TLS_PEER_PEM);
  }
  return NULL;
}

struct mg_text exchange_tls_fact(const struct exchange *exchange, enum mg_tls_fact fact)
{
  const struct http_origin *origin = exchange->origin;
  const char *text = NULL;
  if (origin && origin->stream && origin->tls)
    text = fact_of(&exchange->all->tls_fact, origin->stream, fact);
  return text ? (struct mg_text){ text, (uint32_t)strlen(text) } : (struct mg_text){ 0 };
}
