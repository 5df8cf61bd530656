/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/ocsp.h"

#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <uv.h>

enum {
  CHAIN_MOST = 16,
  SKEW_S = 300 /* between our clock and the responder's */
};

/* A certificate, and the issuer that its chain names. */
struct pair {
  X509 *certificate;      /* NULL: it is no chain */
  X509 *issuer;           /* NULL: the chain has none */
  STACK_OF(X509) * chain; /* owns both */
};

static void pair_fini(struct pair *self)
{
  sk_X509_pop_free(self->chain, X509_free);
  ERR_clear_error();
}

static STACK_OF(X509) * read_chain(const char *pem, uint32_t length)
{
  STACK_OF(X509) *chain = sk_X509_new_null();
  BIO *bio = BIO_new_mem_buf(pem, (int)length);
  X509 *one = NULL;
  while (chain && bio && sk_X509_num(chain) < CHAIN_MOST &&
         (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
    if (sk_X509_push(chain, one) == 0)
      X509_free(one);
  }
  BIO_free(bio);
  return chain;
}

static void pair_init(struct pair *self, const char *pem, uint32_t length)
{
  *self = (struct pair){ .chain = read_chain(pem, length) };
  int count = self->chain ? sk_X509_num(self->chain) : 0;
  self->certificate = count > 0 ? sk_X509_value(self->chain, 0) : NULL;
  for (int i = 1; i < count && !self->issuer; i++) {
    X509 *one = sk_X509_value(self->chain, i);
    if (X509_check_issued(one, self->certificate) == X509_V_OK)
      self->issuer = one;
  }
}

/* --- a response ---------------------------------------------------------------------- */

/* 1: it is a time. */
static int read_time(const ASN1_GENERALIZEDTIME *time, int64_t *seconds)
{
  struct tm utc;
  if (ASN1_TIME_to_tm(time, &utc) != 1)
    return 0;
  *seconds = timegm(&utc);
  return 1;
}

/* By the issuer's name and the serial number: there may be nobody whose key could be hashed. */
static int is_about(OCSP_SINGLERESP *single, const X509 *certificate)
{
  const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
  ASN1_OCTET_STRING *name;
  ASN1_OBJECT *algorithm;
  ASN1_INTEGER *serial;
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size;
  if (OCSP_id_get0_info(&name, &algorithm, NULL, &serial, (OCSP_CERTID *)(uintptr_t)id) != 1)
    return 0;
  const EVP_MD *digest = EVP_get_digestbyobj(algorithm);
  return digest && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0 &&
         X509_NAME_digest(X509_get_issuer_name(certificate), digest, hash, &size) == 1 &&
         ASN1_STRING_length(name) == (int)size &&
         memcmp(ASN1_STRING_get0_data(name), hash, size) == 0;
}

static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, const X509 *certificate)
{
  for (int i = 0; i < OCSP_resp_count(basic); i++) {
    OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
    if (is_about(single, certificate))
      return single;
  }
  return NULL;
}

/* The issuer is believed, whoever has signed it. */
static int is_signed(OCSP_BASICRESP *basic, const struct pair *pair)
{
  X509_STORE *store = X509_STORE_new();
  int ok = store && X509_STORE_add_cert(store, pair->issuer) == 1 &&
           X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
           OCSP_basic_verify(basic, pair->chain, store, 0) == 1;
  X509_STORE_free(store);
  return ok;
}

static const char *check_basic(OCSP_BASICRESP *basic, const struct pair *pair,
                               struct ocsp_period *period)
{
  ASN1_GENERALIZEDTIME *from = NULL;
  ASN1_GENERALIZEDTIME *until = NULL;
  OCSP_SINGLERESP *single = find_single(basic, pair->certificate);
  if (!single)
    return "the OCSP response is about another certificate";
  if (pair->issuer && !is_signed(basic, pair))
    return "nobody has signed the OCSP response who may";
  if (OCSP_single_get0_status(single, NULL, NULL, &from, &until) != V_OCSP_CERTSTATUS_GOOD)
    return "the OCSP response does not say that the certificate is good";
  period->until_s = INT64_MAX;
  if (!read_time(from, &period->from_s) || (until && !read_time(until, &period->until_s)))
    return "a time in the OCSP response is none";
  return NULL;
}

static const char *check_response(const unsigned char *der, size_t length, const struct pair *pair,
                                  struct ocsp_period *period)
{
  const unsigned char *at = der;
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)length);
  OCSP_BASICRESP *basic = NULL;
  const char *why = NULL;
  if (!response || at != der + length)
    why = "the OCSP response is malformed";
  else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    why = "the OCSP response is a refusal of the responder";
  else if (!(basic = OCSP_response_get1_basic(response)))
    why = "the OCSP response is of a kind that is not known";
  else
    why = check_basic(basic, pair, period);
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
  return why;
}

/* --- one that came with a chain -------------------------------------------------------- */

/* Of several the first that is good is kept. 1: go on. */
static int take_block(BIO *bio, const struct pair *pair, struct buf *response,
                      struct ocsp_period *period, const char **why)
{
  unsigned char *der = NULL;
  long length = 0;
  if (PEM_bytes_read_bio(&der, &length, NULL, "OCSP RESPONSE", bio, NULL, NULL) != 1) {
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
      *why = "the OCSP response is no PEM";
    return 0;
  }
  *why = check_response(der, (size_t)length, pair, period);
  if (!*why && buf_put(response, der, (size_t)length) < 0)
    *why = "there is no memory for the OCSP response";
  OPENSSL_free(der);
  return *why != NULL;
}

const char *ocsp_find(const char *pem, uint32_t length, struct buf *response,
                      struct ocsp_period *period)
{
  struct pair pair;
  const char *why = NULL;
  BIO *bio = BIO_new_mem_buf(pem, (int)length);
  pair_init(&pair, pem, length);
  while (bio && pair.certificate && take_block(bio, &pair, response, period, &why))
    continue;
  BIO_free(bio);
  pair_fini(&pair);
  return why;
}

/* --- asking ------------------------------------------------------------------------------ */

/* 1: it has one. */
static int put_url(X509 *certificate, struct buf *url)
{
  STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(certificate);
  int count = sk_OPENSSL_STRING_num(urls);
  const char *first = count > 0 ? sk_OPENSSL_STRING_value(urls, 0) : NULL;
  int err = first ? buf_put(url, first, strlen(first)) : 0;
  X509_email_free(urls);
  return err < 0 ? err : first != NULL;
}

static int put_request(const struct pair *pair, struct buf *out)
{
  OCSP_REQUEST *request = OCSP_REQUEST_new();
  OCSP_CERTID *id = OCSP_cert_to_id(NULL, pair->certificate, pair->issuer);
  int err = UV_ENOMEM;
  unsigned char *der = NULL;
  if (request && id && OCSP_request_add0_id(request, id)) {
    id = NULL; /* the request's */
    int size = i2d_OCSP_REQUEST(request, &der);
    err = size > 0 ? buf_put(out, der, (size_t)size) : UV_ENOMEM;
  }
  OPENSSL_free(der);
  OCSP_CERTID_free(id);
  OCSP_REQUEST_free(request);
  return err;
}

int ocsp_question(const char *pem, uint32_t length, struct buf *url, struct buf *request)
{
  struct pair pair;
  pair_init(&pair, pem, length);
  int found = pair.issuer ? put_url(pair.certificate, url) : 0;
  int err = found == 1 ? put_request(&pair, request) : 0;
  pair_fini(&pair);
  return err < 0 ? err : found;
}

const char *ocsp_check(const char *pem, uint32_t length, const char *answer, uint32_t answer_length,
                       struct ocsp_period *period)
{
  struct pair pair;
  int64_t now_s = time(NULL);
  pair_init(&pair, pem, length);
  const char *why = "its chain has no issuer";
  if (pair.issuer)
    why = check_response((const unsigned char *)answer, answer_length, &pair, period);
  if (!why && (period->from_s > now_s + SKEW_S || period->until_s <= now_s))
    why = "the OCSP response is over, or not yet valid";
  pair_fini(&pair);
  return why;
}
