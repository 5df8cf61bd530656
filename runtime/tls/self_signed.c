/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/self_signed.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include "base/err.h"

enum {
  PEM_BYTES = 4096,
  DAY_S = 86400,
  VALID_DAYS = 365
};

struct maker {
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_pk_context key;
  mbedtls_x509write_cert writer;
};

static void time_text(time_t at, char *text, size_t size)
{
  struct tm utc;
  gmtime_r(&at, &utc);
  strftime(text, size, "%Y%m%d%H%M%S", &utc);
}

static int make_key(struct maker *maker)
{
  int err = mbedtls_ctr_drbg_seed(&maker->random, mbedtls_entropy_func, &maker->entropy, NULL, 0);
  if (err == 0)
    err = mbedtls_pk_setup(&maker->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
  if (err == 0)
    err = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(maker->key),
                              mbedtls_ctr_drbg_random, &maker->random);
  return err;
}

static int describe(struct maker *maker, const char *name)
{
  char subject[300];
  char from[16];
  char to[16];
  unsigned char serial[16];
  mbedtls_x509_san_list names = { 0 };
  time_t now = time(NULL);
  (void)snprintf(subject, sizeof(subject), "CN=%s,O=Moongate self-signed", name);
  time_text(now - DAY_S, from, sizeof(from));
  time_text(now + (time_t)VALID_DAYS * DAY_S, to, sizeof(to));
  names.node.type = MBEDTLS_X509_SAN_DNS_NAME;
  names.node.san.unstructured_name.p = (unsigned char *)name; /* only read */
  names.node.san.unstructured_name.len = strlen(name);
  mbedtls_x509write_cert *writer = &maker->writer;
  mbedtls_x509write_crt_set_subject_key(writer, &maker->key);
  mbedtls_x509write_crt_set_issuer_key(writer, &maker->key);
  mbedtls_x509write_crt_set_md_alg(writer, MBEDTLS_MD_SHA256);
  int err = mbedtls_ctr_drbg_random(&maker->random, serial, sizeof(serial));
  serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40); /* positive, and no zeroes before it */
  if (err == 0)
    err = mbedtls_x509write_crt_set_serial_raw(writer, serial, sizeof(serial));
  if (err == 0)
    err = mbedtls_x509write_crt_set_subject_name(writer, subject);
  if (err == 0)
    err = mbedtls_x509write_crt_set_issuer_name(writer, subject);
  if (err == 0)
    err = mbedtls_x509write_crt_set_validity(writer, from, to);
  return err == 0 ? mbedtls_x509write_crt_set_subject_alternative_name(writer, &names) : err;
}

static int put_pem(struct buf *out, const unsigned char *pem)
{
  return buf_put(out, pem, strlen((const char *)pem));
}

static int write(struct maker *maker, struct buf *certificate, struct buf *key)
{
  unsigned char pem[PEM_BYTES];
  if (mbedtls_x509write_crt_pem(&maker->writer, pem, sizeof(pem), mbedtls_ctr_drbg_random,
                                &maker->random) != 0)
    return ERR_TLS_CONFIG;
  int err = put_pem(certificate, pem);
  if (err == 0 && mbedtls_pk_write_key_pem(&maker->key, pem, sizeof(pem)) != 0)
    err = ERR_TLS_CONFIG;
  if (err == 0)
    err = put_pem(key, pem);
  memset(pem, 0, sizeof(pem));
  return err;
}

int self_signed_make(const char *name, struct buf *certificate, struct buf *key)
{
  struct maker maker;
  mbedtls_entropy_init(&maker.entropy);
  mbedtls_ctr_drbg_init(&maker.random);
  mbedtls_pk_init(&maker.key);
  mbedtls_x509write_crt_init(&maker.writer);
  int err = make_key(&maker) == 0 && describe(&maker, name) == 0 ? 0 : ERR_TLS_CONFIG;
  if (err == 0)
    err = write(&maker, certificate, key);
  mbedtls_x509write_crt_free(&maker.writer);
  mbedtls_pk_free(&maker.key);
  mbedtls_ctr_drbg_free(&maker.random);
  mbedtls_entropy_free(&maker.entropy);
  return err;
}
