/* SPDX-License-Identifier: Apache-2.0 */
/* EC_KEY signs in a third of the time of EVP_PKEY, whose keys are dear to make. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "tls/primitives/curve.h"

#if defined(MBEDTLS_ECDSA_SIGN_ALT)

#include <limits.h>

#include <mbedtls/ecdsa.h>
#include <openssl/ecdsa.h>

/* mbedTLS's ECDSA over libcrypto's. */

/* The nonce is libcrypto's own; f_rng is not asked. */
int mbedtls_ecdsa_sign(mbedtls_ecp_group *grp, mbedtls_mpi *r, mbedtls_mpi *s, const mbedtls_mpi *d,
                       const unsigned char *buf, size_t blen,
                       int (*f_rng)(void *, unsigned char *, size_t), void *p_rng)
{
  (void)f_rng;
  (void)p_rng;
  const EC_GROUP *group = curve_group(grp->id);
  if (!group || blen > INT_MAX)
    return MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
  int err = mbedtls_ecp_check_privkey(grp, d);
  if (err != 0)
    return err;
  err = MBEDTLS_ERR_ECP_ALLOC_FAILED;
  BIGNUM *secret = curve_number(d);
  EC_KEY *key = EC_KEY_new();
  if (key && secret && EC_KEY_set_group(key, group) == 1 &&
      EC_KEY_set_private_key(key, secret) == 1) {
    ECDSA_SIG *signature = ECDSA_do_sign(buf, (int)blen, key);
    err = MBEDTLS_ERR_ECP_RANDOM_FAILED;
    if (signature) {
      err = curve_store(ECDSA_SIG_get0_r(signature), r);
      if (err == 0)
        err = curve_store(ECDSA_SIG_get0_s(signature), s);
    }
    ECDSA_SIG_free(signature);
  }
  EC_KEY_free(key);
  BN_clear_free(secret);
  return err;
}

static ECDSA_SIG *signature_of(const mbedtls_mpi *r, const mbedtls_mpi *s)
{
  BIGNUM *first = curve_number(r);
  BIGNUM *second = curve_number(s);
  ECDSA_SIG *signature = ECDSA_SIG_new();
  /* The signature owns the numbers from then on. */
  if (signature && first && second && ECDSA_SIG_set0(signature, first, second) == 1)
    return signature;
  ECDSA_SIG_free(signature);
  BN_free(first);
  BN_free(second);
  return NULL;
}

int mbedtls_ecdsa_verify(mbedtls_ecp_group *grp, const unsigned char *buf, size_t blen,
                         const mbedtls_ecp_point *Q, const mbedtls_mpi *r, const mbedtls_mpi *s)
{
  const EC_GROUP *group = curve_group(grp->id);
  if (!group || blen > INT_MAX)
    return MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
  /* curve_number() drops signs. */
  if (mbedtls_mpi_cmp_int(r, 1) < 0 || mbedtls_mpi_cmp_int(s, 1) < 0)
    return MBEDTLS_ERR_ECP_VERIFY_FAILED;
  int err = MBEDTLS_ERR_ECP_VERIFY_FAILED;
  EC_KEY *key = EC_KEY_new();
  EC_POINT *point = curve_point(group, Q, NULL);
  ECDSA_SIG *signature = signature_of(r, s);
  if (key && point && signature && EC_KEY_set_group(key, group) == 1 &&
      EC_KEY_set_public_key(key, point) == 1 &&
      ECDSA_do_verify(buf, (int)blen, signature, key) == 1)
    err = 0;
  ECDSA_SIG_free(signature);
  EC_POINT_free(point);
  EC_KEY_free(key);
  return err;
}

#endif
