/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/peer.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_crt.h>

#include "tls/session.h"

/* Text on its way out. What does not fit is counted all the same. */
struct sink {
  char *out;
  size_t size;
  size_t used;
};

static void put(struct sink *sink, const char *text, size_t length)
{
  if (sink->used + length < sink->size)
    memcpy(sink->out + sink->used, text, length);
  sink->used += length;
}

static void put_text(struct sink *sink, const char *text)
{
  put(sink, text, strlen(text));
}

static void put_hex(struct sink *sink, const unsigned char *bytes, size_t length,
                    const char *digits)
{
  for (size_t i = 0; i < length; i++) {
    char pair[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };
    put(sink, pair, 2);
  }
}

static const char upper[] = "0123456789ABCDEF";
static const char lower[] = "0123456789abcdef";

static int finish(struct sink *sink)
{
  if (sink->used >= sink->size)
    return UV_ENOBUFS;
  sink->out[sink->used] = 0;
  return (int)sink->used;
}

/* names */

/* What OpenSSL has a short name for and mbedTLS has not. */
static const struct {
  const char *oid;
  const char *name;
} more_names[] = {
  { "\x55\x04\x09", "street" },
  { "\x55\x04\x0d", "description" },
  { "\x55\x04\x0f", "businessCategory" },
  { "\x55\x04\x29", "name" },
  { "\x55\x04\x61", "organizationIdentifier" },
};

static const char *short_name(const mbedtls_asn1_buf *oid)
{
  const char *name = NULL;
  if (mbedtls_oid_get_attr_short_name(oid, &name) == 0)
    return strcmp(name, "uid") == 0 ? "UID" : name;
  for (size_t i = 0; i < sizeof(more_names) / sizeof(more_names[0]); i++) {
    if (oid->len == 3 && memcmp(oid->p, more_names[i].oid, 3) == 0)
      return more_names[i].name;
  }
  return NULL;
}

/* RFC 2253 2.4, with what is not ASCII as its UTF-8 in hexadecimal. */
static void put_byte(struct sink *sink, unsigned char byte, int is_first, int is_last)
{
  char escaped[] = { '\\', (char)byte };
  if (byte < ' ' || byte >= 127) {
    put(sink, escaped, 1);
    put_hex(sink, &byte, 1, upper);
  } else if (strchr(",+\"\\<>;", byte) || (is_first && (byte == '#' || byte == ' ')) ||
             (is_last && byte == ' ')) {
    put(sink, escaped, 2);
  } else {
    put(sink, (const char *)&byte, 1);
  }
}

static void put_code_point(struct sink *sink, uint32_t code, int is_first, int is_last)
{
  if (code < 0x80) {
    put_byte(sink, (unsigned char)code, is_first, is_last);
  } else if (code < 0x800) {
    put_byte(sink, (unsigned char)(0xc0 | code >> 6), 0, 0);
    put_byte(sink, (unsigned char)(0x80 | (code & 0x3f)), 0, 0);
  } else {
    put_byte(sink, (unsigned char)(0xe0 | (code >> 12 & 0x0f)), 0, 0);
    put_byte(sink, (unsigned char)(0x80 | (code >> 6 & 0x3f)), 0, 0);
    put_byte(sink, (unsigned char)(0x80 | (code & 0x3f)), 0, 0);
  }
}

static void put_value(struct sink *sink, const mbedtls_asn1_buf *value)
{
  switch (value->tag) {
  case MBEDTLS_ASN1_UTF8_STRING:
  case MBEDTLS_ASN1_PRINTABLE_STRING:
  case MBEDTLS_ASN1_IA5_STRING:
    for (size_t i = 0; i < value->len; i++)
      put_byte(sink, value->p[i], i == 0, i + 1 == value->len);
    break;
  case MBEDTLS_ASN1_T61_STRING: /* Latin 1, as everybody takes it */
    for (size_t i = 0; i < value->len; i++)
      put_code_point(sink, value->p[i], i == 0, i + 1 == value->len);
    break;
  case MBEDTLS_ASN1_BMP_STRING:
    for (size_t i = 0; i + 1 < value->len; i += 2)
      put_code_point(sink, (uint32_t)value->p[i] << 8 | value->p[i + 1], i == 0,
                     i + 2 == value->len);
    break;
  default:
    put_text(sink, "#");
    put_hex(sink, value->p, value->len, upper);
    break;
  }
}

static void put_attribute(struct sink *sink, const mbedtls_x509_name *at)
{
  const char *name = short_name(&at->oid);
  char number[128] = "";
  if (!name)
    (void)mbedtls_oid_get_numeric_string(number, sizeof(number), &at->oid);
  put_text(sink, name ? name : number);
  put_text(sink, "=");
  if (name) {
    put_value(sink, &at->val);
  } else {
    /* DER: nobody knows how to read it. Values of names are short. */
    const unsigned char head[] = { (unsigned char)at->val.tag, (unsigned char)at->val.len };
    put_text(sink, "#");
    put_hex(sink, head, sizeof(head), upper);
    put_hex(sink, at->val.p, at->val.len, upper);
  }
}

/* The last attribute comes first. What is of one set with the next has a `+` between. */
static void put_name(struct sink *sink, const mbedtls_x509_name *name)
{
  const mbedtls_x509_name *before = NULL;
  while (before != name) {
    const mbedtls_x509_name *at = name;
    while (at->next != before)
      at = at->next;
    if (at->oid.p) { /* a name may be empty */
      if (before)
        put_text(sink, at->MBEDTLS_PRIVATE(next_merged) ? "+" : ",");
      put_attribute(sink, at);
    }
    before = at;
  }
}

/* verification */

static int is_self_signed(const mbedtls_x509_crt *crt)
{
  return crt->subject_raw.len == crt->issuer_raw.len &&
         memcmp(crt->subject_raw.p, crt->issuer_raw.p, crt->subject_raw.len) == 0;
}

static const char *unknown_issuer(const mbedtls_x509_crt *crt)
{
  const mbedtls_x509_crt *last = crt;
  while (last->next)
    last = last->next;
  if (is_self_signed(crt))
    return "self-signed certificate";
  if (is_self_signed(last))
    return "self-signed certificate in certificate chain";
  return crt->next ? "unable to get local issuer certificate"
                   : "unable to verify the first certificate";
}

/* In the order in which OpenSSL's last word counts. */
static const struct {
  uint32_t flag;
  const char *reason;
} reasons[] = {
  { MBEDTLS_X509_BADCERT_EXPIRED, "certificate has expired" },
  { MBEDTLS_X509_BADCERT_FUTURE, "certificate is not yet valid" },
  { MBEDTLS_X509_BADCERT_REVOKED, "certificate revoked" },
  { MBEDTLS_X509_BADCERT_MISSING, "unable to get certificate CRL" }, /* server.c says it */
  { MBEDTLS_X509_BADCRL_EXPIRED, "CRL has expired" },
  { MBEDTLS_X509_BADCRL_FUTURE, "CRL is not yet valid" },
  { MBEDTLS_X509_BADCRL_NOT_TRUSTED, "CRL signature failure" },
  { MBEDTLS_X509_BADCERT_OTHER, "certificate chain too long" }, /* server.c says it */
  { MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
        MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
    "unsuitable certificate purpose" },
  { MBEDTLS_X509_BADCERT_BAD_KEY, "EE certificate key too weak" },
  { MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK,
    "CA signature digest algorithm too weak" },
};

static const char *reason_of(uint32_t flags, const mbedtls_x509_crt *crt)
{
  for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
    if (flags & reasons[i].flag)
      return reasons[i].reason;
  }
  return flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED ? unknown_issuer(crt)
                                                  : "unspecified certificate verification error";
}

static void put_verify(struct sink *sink, const struct tls_session *session,
                       const mbedtls_x509_crt *crt)
{
  uint32_t flags = crt ? mbedtls_ssl_get_verify_result(&session->ssl) : 0;
  if (!crt) {
    put_text(sink, "NONE");
  } else if (flags == 0) {
    put_text(sink, "SUCCESS");
  } else {
    put_text(sink, "FAILED:");
    put_text(sink, reason_of(flags, crt));
  }
}

/* the facts */

static void put_digest(struct sink *sink, const mbedtls_x509_crt *crt, int is_sha256)
{
  unsigned char digest[32];
  int err = is_sha256 ? mbedtls_sha256(crt->raw.p, crt->raw.len, digest, 0)
                      : mbedtls_sha1(crt->raw.p, crt->raw.len, digest);
  if (err == 0)
    put_hex(sink, digest, is_sha256 ? 32 : 20, lower);
}

static int write_pem(const mbedtls_x509_crt *crt, char *out, size_t size)
{
  size_t length = 0;
  int err = mbedtls_pem_write_buffer("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n",
                                     crt->raw.p, crt->raw.len, (unsigned char *)out, size, &length);
  return err == 0 ? (int)length - 1 : UV_ENOBUFS; /* it counts the NUL */
}

static const mbedtls_x509_crt *certificate_of(const struct tls_session *session)
{
  int is_over = session && (session->state == TLS_OPEN || session->state == TLS_ENDED ||
                            session->state == TLS_FAILED);
  return is_over && session->ssl.MBEDTLS_PRIVATE(session) ? mbedtls_ssl_get_peer_cert(&session->ssl)
                                                          : NULL;
}

int tls_peer(const struct stream *stream, enum tls_peer_fact fact, char *out, size_t size)
{
  const struct tls_session *session = tls_session_of(stream);
  const mbedtls_x509_crt *crt = certificate_of(session);
  struct sink sink = { .out = out, .size = size };
  if (!crt && fact != TLS_PEER_VERIFY)
    return finish(&sink);
  switch (fact) {
  case TLS_PEER_VERIFY:
    put_verify(&sink, session, crt);
    break;
  case TLS_PEER_SUBJECT:
    put_name(&sink, &crt->subject);
    break;
  case TLS_PEER_ISSUER:
    put_name(&sink, &crt->issuer);
    break;
  case TLS_PEER_SERIAL: {
    int padded = crt->serial.len > 1 && crt->serial.p[0] == 0; /* DER's sign */
    put_hex(&sink, crt->serial.p + padded, crt->serial.len - (size_t)padded, upper);
    break;
  }
  case TLS_PEER_SHA1:
  case TLS_PEER_SHA256:
    put_digest(&sink, crt, fact == TLS_PEER_SHA256);
    break;
  case TLS_PEER_PEM:
    return write_pem(crt, out, size);
  default:
    break;
  }
  return finish(&sink);
}

int tls_peer_is_only_unknown(const struct stream *stream)
{
  const struct tls_session *session = tls_session_of(stream);
  return certificate_of(session) &&
         mbedtls_ssl_get_verify_result(&session->ssl) == MBEDTLS_X509_BADCERT_NOT_TRUSTED;
}
