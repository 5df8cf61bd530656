/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/certificate.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#include "tls/context.h"
#include "tls/ocsp.h"

#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

/* A kind of block within a PEM, and what reads one. */
struct pem_kind {
  const char *begin;
  const char *end;
  const char *what;
  int (*parse)(void *chain, const unsigned char *pem, size_t length);
};

enum {
  NAME_BYTES = 254
};

struct mg_certificate {
  atomic_uint references;
  mbedtls_x509_crt chain;
  mbedtls_pk_context key;
  char (*names)[NAME_BYTES];
  uint32_t name_count;
  int64_t not_after;
  struct buf response; /* of OCSP, DER; empty: none */
  struct ocsp_period responds;
  const char *response_fault;
};

struct tls_trust {
  atomic_uint references;
  mbedtls_x509_crt chain;
  mbedtls_x509_crl revoked; /* version 0: none */
};

static void complain(char *error, uint32_t size, const char *what, int code)
{
  char why[160] = "";
  if (code)
    tls_error_text(code, why, sizeof(why));
  (void)snprintf(error, size, "%s%s%s", what, code ? ": " : "", why);
}

/* A copy that ends with the NUL that mbedTLS knows PEM by. */
static unsigned char *copy_text(const char *text, size_t length)
{
  unsigned char *copy = malloc(length + 1);
  if (!copy)
    return NULL;
  memcpy(copy, text, length);
  copy[length] = 0;
  return copy;
}

static int parse_certificate(void *chain, const unsigned char *pem, size_t length)
{
  return mbedtls_x509_crt_parse(chain, pem, length);
}

static int parse_revoked(void *chain, const unsigned char *pem, size_t length)
{
  return mbedtls_x509_crl_parse(chain, pem, length);
}

static const struct pem_kind certificates = { "-----BEGIN CERTIFICATE-----",
                                              "-----END CERTIFICATE-----", "certificate",
                                              parse_certificate };
static const struct pem_kind revocations = { "-----BEGIN X509 CRL-----", "-----END X509 CRL-----",
                                             "revocation list", parse_revoked };

static int parse_block(const struct pem_kind *kind, void *chain, const char *text, size_t length)
{
  unsigned char *block = copy_text(text, length);
  if (!block)
    return MBEDTLS_ERR_X509_ALLOC_FAILED;
  int err = kind->parse(chain, block, length + 1);
  free(block);
  return err;
}

/* Finds the next block from *at on; returns its length, 0 when there is none, -1 when it has no end. */
static long next_block(const struct pem_kind *kind, const char **at, const char *end)
{
  const char *begin = memmem(*at, (size_t)(end - *at), kind->begin, strlen(kind->begin));
  if (!begin)
    return 0;
  *at = begin;
  const char *stop = memmem(begin, (size_t)(end - begin), kind->end, strlen(kind->end));
  return stop ? stop - begin + (long)strlen(kind->end) : -1;
}

/* One block at a time, so that the one at fault can be named; `lenient` leaves those out that mbedTLS
 * does not know. Returns how many were read, or -1 with `error`. */
static int parse_blocks(const struct pem_kind *kind, void *chain, const char *pem, size_t length,
                        int lenient, char *error, uint32_t error_size)
{
  const char *at = pem;
  const char *end = pem + length;
  int count = 0;
  for (long block = next_block(kind, &at, end); block != 0; block = next_block(kind, &at, end)) {
    int err = block < 0 ? MBEDTLS_ERR_PEM_NO_HEADER_FOOTER_PRESENT
                        : parse_block(kind, chain, at, (size_t)block);
    if (err != 0 && (block < 0 || !lenient)) {
      char what[64];
      (void)snprintf(what, sizeof(what), "%s %d of the PEM", kind->what, count + 1);
      complain(error, error_size, what, err);
      return -1;
    }
    count += err == 0;
    at += block;
  }
  return count;
}

static int parse_chain(mbedtls_x509_crt *chain, const char *pem, size_t length, int lenient,
                       char *error, uint32_t error_size)
{
  int count = parse_blocks(&certificates, chain, pem, length, lenient, error, error_size);
  if (count == 0)
    complain(error, error_size, "no certificate in the PEM", 0);
  return count > 0 ? count : -1;
}

static int parse_key(struct mg_certificate *self, const char *pem, size_t length, char *error,
                     uint32_t error_size)
{
  unsigned char *copy = copy_text(pem, length);
  if (!copy) {
    complain(error, error_size, "key", MBEDTLS_ERR_PK_ALLOC_FAILED);
    return -1;
  }
  int err = mbedtls_pk_parse_key(&self->key, copy, length + 1, NULL, 0, mbedtls_psa_get_random,
                                 MBEDTLS_PSA_RANDOM_STATE);
  mbedtls_platform_zeroize(copy, length);
  free(copy);
  if (err == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
    complain(error, error_size, "the key is encrypted", 0);
  else if (err != 0)
    complain(error, error_size, "the key cannot be read", err);
  if (err != 0)
    return -1;
  err = mbedtls_pk_check_pair(&self->chain.pk, &self->key, mbedtls_psa_get_random,
                              MBEDTLS_PSA_RANDOM_STATE);
  if (err != 0)
    complain(error, error_size, "the key does not belong to the first certificate", 0);
  return err == 0 ? 0 : -1;
}

/* Names that no DNS name can be are left out: they could only mislead whoever reads them. */
static int add_name(struct mg_certificate *self, const unsigned char *text, size_t length)
{
  if (length == 0 || length >= NAME_BYTES)
    return 0;
  char(*names)[NAME_BYTES] = realloc(self->names, (self->name_count + 1) * sizeof(*names));
  if (!names)
    return -1;
  self->names = names;
  char *name = names[self->name_count];
  for (size_t i = 0; i < length; i++) {
    unsigned char c = text[i];
    if (c >= 'A' && c <= 'Z')
      c = (unsigned char)(c | 0x20);
    if (c == 0 || !strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.*", c))
      return 0;
    name[i] = (char)c;
  }
  name[length] = 0;
  self->name_count++;
  return 0;
}

static int read_alternative_names(struct mg_certificate *self, int *any)
{
  for (const mbedtls_x509_sequence *at = &self->chain.subject_alt_names; at && at->buf.p;
       at = at->next) {
    mbedtls_x509_subject_alternative_name name;
    if (mbedtls_x509_parse_subject_alt_name(&at->buf, &name) != 0)
      continue;
    int err = 0;
    if (name.type == MBEDTLS_X509_SAN_DNS_NAME) {
      *any = 1;
      err = add_name(self, name.san.unstructured_name.p, name.san.unstructured_name.len);
    }
    mbedtls_x509_free_subject_alt_name(&name);
    if (err != 0)
      return err;
  }
  return 0;
}

static int read_names(struct mg_certificate *self)
{
  int any = 0;
  if (read_alternative_names(self, &any) != 0)
    return -1;
  for (const mbedtls_x509_name *at = &self->chain.subject; at && !any; at = at->next) {
    if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &at->oid) == 0 &&
        add_name(self, at->val.p, at->val.len) != 0)
      return -1;
  }
  return 0;
}

static int64_t seconds_of(const mbedtls_x509_time *time)
{
  struct tm utc = { .tm_year = time->year - 1900,
                    .tm_mon = time->mon - 1,
                    .tm_mday = time->day,
                    .tm_hour = time->hour,
                    .tm_min = time->min,
                    .tm_sec = time->sec };
  return timegm(&utc);
}

/* --- responses of OCSP ---------------------------------------------------------- */

/* Of the Certificate message of TLS 1.3, which is the larger one, and has to fit into a record with what
 * that is padded by. */
static size_t message_bytes(const struct mg_certificate *self)
{
  size_t sum = 4 + 1 + 3 + 4 + TLS_STATUS_BYTES + self->response.len;
  sum += MBEDTLS_SSL_CID_TLS1_3_PADDING_GRANULARITY;
  for (const mbedtls_x509_crt *one = &self->chain; one; one = one->next)
    sum += 3 + one->raw.len + 2;
  return sum;
}

/* One that is no good takes nothing away from the certificate. */
static void read_response(struct mg_certificate *self, const char *pem, uint32_t length)
{
  self->response_fault = ocsp_find(pem, length, &self->response, &self->responds);
  if (self->response.len > 0 && message_bytes(self) > TLS_RECORD_BYTES) {
    self->response_fault = "the OCSP response is too large to be sent with the chain";
    self->response.len = 0;
  }
}

MG_API int64_t mg_certificate_response_until(const struct mg_certificate *certificate)
{
  return certificate->response.len > 0 ? certificate->responds.until_s : 0;
}

MG_API const char *mg_certificate_response_fault(const struct mg_certificate *certificate)
{
  return certificate->response_fault ? certificate->response_fault : "";
}

const struct buf *certificate_response(const struct mg_certificate *certificate, int64_t now_s)
{
  int is_valid = certificate->response.len > 0 && now_s >= certificate->responds.from_s &&
                 now_s < certificate->responds.until_s;
  return is_valid ? &certificate->response : NULL;
}

static void certificate_free(struct mg_certificate *self)
{
  buf_fini(&self->response);
  mbedtls_x509_crt_free(&self->chain);
  mbedtls_pk_free(&self->key);
  free(self->names);
  free(self);
}

MG_API struct mg_certificate *mg_certificate_new(const char *pem, uint32_t length, const char *key,
                                                 uint32_t key_length, char *error,
                                                 uint32_t error_size)
{
  struct mg_certificate *self = calloc(1, sizeof(*self));
  if (!self || psa_crypto_init() != PSA_SUCCESS) {
    complain(error, error_size, "out of memory", 0);
    free(self);
    return NULL;
  }
  atomic_init(&self->references, 1);
  mbedtls_x509_crt_init(&self->chain);
  mbedtls_pk_init(&self->key);
  if (parse_chain(&self->chain, pem, length, 0, error, error_size) < 0 ||
      parse_key(self, key, key_length, error, error_size) < 0)
    goto free_self;
  if (read_names(self) < 0) {
    complain(error, error_size, "out of memory", 0);
    goto free_self;
  }
  self->not_after = seconds_of(&self->chain.valid_to);
  read_response(self, pem, length);
  return self;

free_self:
  certificate_free(self);
  return NULL;
}

MG_API struct mg_certificate *mg_certificate_ref(struct mg_certificate *certificate)
{
  atomic_fetch_add_explicit(&certificate->references, 1, memory_order_relaxed);
  return certificate;
}

MG_API void mg_certificate_unref(struct mg_certificate *certificate)
{
  if (certificate &&
      atomic_fetch_sub_explicit(&certificate->references, 1, memory_order_acq_rel) == 1)
    certificate_free(certificate);
}

MG_API uint32_t mg_certificate_name_count(const struct mg_certificate *certificate)
{
  return certificate->name_count;
}

MG_API const char *mg_certificate_name(const struct mg_certificate *certificate, uint32_t index)
{
  return index < certificate->name_count ? certificate->names[index] : NULL;
}

MG_API int64_t mg_certificate_not_after(const struct mg_certificate *certificate)
{
  return certificate->not_after;
}

/* The first of that kind in a name; 0 bytes: there is none. */
static uint32_t copy_attribute(const mbedtls_x509_name *name, const char *oid, char *out,
                               uint32_t size)
{
  while (name && !(name->oid.len == strlen(oid) && memcmp(name->oid.p, oid, name->oid.len) == 0))
    name = name->next;
  if (!name)
    return 0;
  uint32_t length = name->val.len < size ? (uint32_t)name->val.len : size;
  memcpy(out, name->val.p, length);
  return length;
}

static uint32_t copy_serial(const mbedtls_x509_buf *serial, char *out, uint32_t size)
{
  mbedtls_mpi number;
  size_t length = 0;
  mbedtls_mpi_init(&number);
  if (mbedtls_mpi_read_binary(&number, serial->p, serial->len) != 0 ||
      mbedtls_mpi_write_string(&number, 10, out, size, &length) != 0)
    length = 1; /* longer than RFC 5280 permits */
  mbedtls_mpi_free(&number);
  return (uint32_t)length - 1; /* without the NUL */
}

MG_API uint32_t mg_certificate_fact(const struct mg_certificate *certificate, int32_t fact,
                                    char *out, uint32_t size)
{
  const mbedtls_x509_crt *chain = &certificate->chain;
  int is_rsa = mbedtls_pk_can_do(&chain->pk, MBEDTLS_PK_RSA);
  switch (fact) {
  case 0:
    return copy_attribute(&chain->issuer, MBEDTLS_OID_AT_ORGANIZATION, out, size);
  case 1:
    return copy_attribute(&chain->issuer, MBEDTLS_OID_AT_CN, out, size);
  case 2:
    return copy_attribute(&chain->issuer, MBEDTLS_OID_AT_SERIAL_NUMBER, out, size);
  case 3:
    return copy_serial(&chain->serial, out, size);
  case 4:
    return (uint32_t)snprintf(out, size, "%s", is_rsa ? "RSA" : "ECDSA");
  default:
    return 0;
  }
}

struct mbedtls_x509_crt *certificate_chain(const struct mg_certificate *certificate)
{
  return (struct mbedtls_x509_crt *)(uintptr_t)&certificate->chain;
}

struct mbedtls_pk_context *certificate_key(const struct mg_certificate *certificate)
{
  return (struct mbedtls_pk_context *)(uintptr_t)&certificate->key;
}

/* The system's bundle, or another one that is named as OpenSSL has it. */
static const char *bundle_path(void)
{
  const char *path = getenv("SSL_CERT_FILE");
  return path && path[0] ? path : SYSTEM_BUNDLE;
}

/* NULL when there is none. The caller frees it. */
static char *read_bundle(uint32_t *length)
{
  FILE *file = fopen(bundle_path(), "re");
  if (!file)
    return NULL;
  char *text = NULL;
  size_t size = 0;
  ssize_t got = getdelim(&text, &size, '\0', file);
  (void)fclose(file); /* only read */
  *length = got > 0 ? (uint32_t)got : 0;
  return text;
}

static void trust_free(struct tls_trust *self)
{
  mbedtls_x509_crt_free(&self->chain);
  mbedtls_x509_crl_free(&self->revoked);
  free(self);
}

struct tls_trust *tls_trust_new(const char *pem, uint32_t length, char *error, uint32_t error_size)
{
  char *bundle = length == 0 ? read_bundle(&length) : NULL;
  struct tls_trust *self = calloc(1, sizeof(*self));
  if (!self || length == 0) {
    (void)snprintf(error, error_size, "%s%s", self ? bundle_path() : "out of memory",
                   self ? " cannot be read" : "");
    free(self);
    free(bundle);
    return NULL;
  }
  atomic_init(&self->references, 1);
  mbedtls_x509_crt_init(&self->chain);
  mbedtls_x509_crl_init(&self->revoked);
  const char *text = bundle ? bundle : pem;
  int ok = parse_chain(&self->chain, text, length, bundle != NULL, error, error_size) > 0 &&
           parse_blocks(&revocations, &self->revoked, text, length, 0, error, error_size) >= 0;
  free(bundle);
  if (ok)
    return self;
  trust_free(self);
  return NULL;
}

struct tls_trust *tls_trust_ref(struct tls_trust *trust)
{
  atomic_fetch_add_explicit(&trust->references, 1, memory_order_relaxed);
  return trust;
}

void tls_trust_unref(struct tls_trust *trust)
{
  if (!trust || atomic_fetch_sub_explicit(&trust->references, 1, memory_order_acq_rel) != 1)
    return;
  trust_free(trust);
}

struct mbedtls_x509_crt *tls_trust_chain(const struct tls_trust *trust)
{
  return (struct mbedtls_x509_crt *)(uintptr_t)&trust->chain;
}

struct mbedtls_x509_crl *tls_trust_crl(const struct tls_trust *trust)
{
  return trust->revoked.version ? (struct mbedtls_x509_crl *)(uintptr_t)&trust->revoked : NULL;
}

int tls_trust_has_list(const struct tls_trust *trust, const struct mbedtls_x509_crt *certificate)
{
  for (const mbedtls_x509_crt *one = &trust->chain; one; one = one->next) {
    if (one == certificate)
      return 1;
  }
  const mbedtls_x509_buf *issuer = &certificate->issuer_raw;
  const mbedtls_x509_crl *list = tls_trust_crl(trust);
  int has = list == NULL;
  for (; list && !has; list = list->next)
    has = list->version != 0 && list->issuer_raw.len == issuer->len &&
          memcmp(list->issuer_raw.p, issuer->p, issuer->len) == 0;
  return has;
}
