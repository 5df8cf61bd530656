/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/primitives/curve.h"

#if defined(MBEDTLS_ECDSA_SIGN_ALT)

#include <stdatomic.h>
#include <stdbool.h>

#include <mbedtls/platform_util.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

/* Multiplication of a point by a secret, which ECDH is made of, over libcrypto. */

enum {
  X25519_BYTES = 32
};

static const int nids[] = {
  [MBEDTLS_ECP_DP_SECP192R1] = NID_X9_62_prime192v1, [MBEDTLS_ECP_DP_SECP224R1] = NID_secp224r1,
  [MBEDTLS_ECP_DP_SECP256R1] = NID_X9_62_prime256v1, [MBEDTLS_ECP_DP_SECP384R1] = NID_secp384r1,
  [MBEDTLS_ECP_DP_SECP521R1] = NID_secp521r1,        [MBEDTLS_ECP_DP_BP256R1] = NID_brainpoolP256r1,
  [MBEDTLS_ECP_DP_BP384R1] = NID_brainpoolP384r1,    [MBEDTLS_ECP_DP_BP512R1] = NID_brainpoolP512r1,
  [MBEDTLS_ECP_DP_SECP192K1] = NID_secp192k1,        [MBEDTLS_ECP_DP_SECP224K1] = NID_secp224k1,
  [MBEDTLS_ECP_DP_SECP256K1] = NID_secp256k1,
};

enum {
  CURVES = sizeof(nids) / sizeof(nids[0])
};

const EC_GROUP *curve_group(mbedtls_ecp_group_id id)
{
  static _Atomic(EC_GROUP *) groups[CURVES];
  if ((unsigned)id >= CURVES || nids[id] == 0)
    return NULL;
  EC_GROUP *group = atomic_load_explicit(&groups[id], memory_order_acquire);
  if (group)
    return group;
  EC_GROUP *made = EC_GROUP_new_by_curve_name(nids[id]);
  /* Of two threads that come first one wins. */
  if (!made || atomic_compare_exchange_strong(&groups[id], &group, made))
    return made;
  EC_GROUP_free(made);
  return group;
}

BIGNUM *curve_number(const mbedtls_mpi *from)
{
  unsigned char bytes[MBEDTLS_MPI_MAX_SIZE];
  size_t length = mbedtls_mpi_size(from);
  if (length > sizeof(bytes) || mbedtls_mpi_write_binary(from, bytes, length) != 0)
    return NULL;
  BIGNUM *number = BN_bin2bn(bytes, (int)length, NULL);
  mbedtls_platform_zeroize(bytes, length);
  return number;
}

int curve_store(const BIGNUM *from, mbedtls_mpi *to)
{
  unsigned char bytes[MBEDTLS_MPI_MAX_SIZE];
  int length = BN_num_bytes(from);
  if (length > (int)sizeof(bytes))
    return MBEDTLS_ERR_ECP_BUFFER_TOO_SMALL;
  BN_bn2bin(from, bytes);
  int err = mbedtls_mpi_read_binary(to, bytes, (size_t)length);
  mbedtls_platform_zeroize(bytes, (size_t)length);
  return err;
}

EC_POINT *curve_point(const EC_GROUP *group, const mbedtls_ecp_point *from, BN_CTX *scratch)
{
  EC_POINT *point = EC_POINT_new(group);
  BIGNUM *x = curve_number(&from->MBEDTLS_PRIVATE(X));
  BIGNUM *y = curve_number(&from->MBEDTLS_PRIVATE(Y));
  /* Sees to it that the point is on the curve. */
  if (!point || !x || !y || EC_POINT_set_affine_coordinates(group, point, x, y, scratch) != 1) {
    EC_POINT_free(point);
    point = NULL;
  }
  BN_free(x);
  BN_free(y);
  return point;
}

static int store_point(const EC_GROUP *group, const EC_POINT *from, mbedtls_ecp_point *to,
                       BN_CTX *scratch)
{
  int err = MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
  BIGNUM *x = BN_new();
  BIGNUM *y = BN_new();
  if (x && y && EC_POINT_get_affine_coordinates(group, from, x, y, scratch) == 1) {
    err = curve_store(x, &to->MBEDTLS_PRIVATE(X));
    if (err == 0)
      err = curve_store(y, &to->MBEDTLS_PRIVATE(Y));
    if (err == 0)
      err = mbedtls_mpi_lset(&to->MBEDTLS_PRIVATE(Z), 1);
  }
  BN_clear_free(x);
  BN_clear_free(y);
  return err;
}

static bool is_generator(const mbedtls_ecp_group *grp, const mbedtls_ecp_point *point)
{
  return point == &grp->G || mbedtls_ecp_point_cmp(point, &grp->G) == 0;
}

static int weierstrass(const EC_GROUP *group, mbedtls_ecp_group *grp, mbedtls_ecp_point *R,
                       const mbedtls_mpi *m, const mbedtls_ecp_point *P)
{
  int err = mbedtls_ecp_check_privkey(grp, m);
  if (err != 0)
    return err;
  err = MBEDTLS_ERR_ECP_INVALID_KEY;
  BN_CTX *scratch = BN_CTX_secure_new();
  BIGNUM *factor = curve_number(m);
  EC_POINT *product = EC_POINT_new(group);
  bool base = is_generator(grp, P);
  EC_POINT *point = base ? NULL : curve_point(group, P, scratch);
  if (scratch && factor && product && (base || point)) {
    BN_set_flags(factor, BN_FLG_CONSTTIME);
    int ok = base ? EC_POINT_mul(group, product, factor, NULL, NULL, scratch)
                  : EC_POINT_mul(group, product, NULL, point, factor, scratch);
    err = ok == 1 ? store_point(group, product, R, scratch) : MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
  }
  EC_POINT_free(point);
  EC_POINT_clear_free(product);
  BN_clear_free(factor);
  BN_CTX_free(scratch);
  return err;
}

/* libcrypto works a key's public half out with a multiplication of its own, unless it is told: here
 * nobody asks for it, and the peer's stands in its place. */
static EVP_PKEY *x25519_key(const unsigned char *secret, const unsigned char *point)
{
  OSSL_PARAM halves[] = {
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)secret, X25519_BYTES),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, X25519_BYTES),
    OSSL_PARAM_END,
  };
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_X25519, NULL);
  if (ctx && EVP_PKEY_fromdata_init(ctx) == 1)
    (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, halves);
  EVP_PKEY_CTX_free(ctx);
  return key;
}

/* Both write 32 bytes: of the secret times the generator, and times a point. */

static bool x25519_base(const unsigned char *secret, unsigned char *product)
{
  size_t length = X25519_BYTES;
  EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, X25519_BYTES);
  bool ok = own && EVP_PKEY_get_raw_public_key(own, product, &length) == 1;
  EVP_PKEY_free(own);
  return ok && length == X25519_BYTES;
}

static bool x25519_point(const unsigned char *secret, const unsigned char *point,
                         unsigned char *product)
{
  size_t length = X25519_BYTES;
  EVP_PKEY *own = x25519_key(secret, point);
  EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point, X25519_BYTES);
  EVP_PKEY_CTX *derive = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
  bool ok = theirs && derive && EVP_PKEY_derive_init(derive) == 1 &&
            EVP_PKEY_derive_set_peer(derive, theirs) == 1 &&
            EVP_PKEY_derive(derive, product, &length) == 1;
  EVP_PKEY_CTX_free(derive);
  EVP_PKEY_free(theirs);
  EVP_PKEY_free(own);
  return ok && length == X25519_BYTES;
}

static int x25519(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
                  const mbedtls_ecp_point *P)
{
  unsigned char secret[X25519_BYTES];
  unsigned char point[X25519_BYTES];
  unsigned char product[X25519_BYTES];
  int err = mbedtls_ecp_check_privkey(grp, m);
  if (err == 0)
    err = mbedtls_ecp_check_pubkey(grp, P);
  bool base =
      err == 0 && mbedtls_mpi_cmp_mpi(&P->MBEDTLS_PRIVATE(X), &grp->G.MBEDTLS_PRIVATE(X)) == 0;
  if (err == 0)
    err = mbedtls_mpi_write_binary_le(m, secret, X25519_BYTES);
  if (err == 0)
    err = mbedtls_mpi_write_binary_le(&P->MBEDTLS_PRIVATE(X), point, X25519_BYTES);
  if (err == 0 && !(base ? x25519_base(secret, product) : x25519_point(secret, point, product)))
    err = MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
  if (err == 0)
    err = mbedtls_mpi_read_binary_le(&R->MBEDTLS_PRIVATE(X), product, X25519_BYTES);
  if (err == 0)
    err = mbedtls_mpi_lset(&R->MBEDTLS_PRIVATE(Z), 1);
  mbedtls_mpi_free(&R->MBEDTLS_PRIVATE(Y));
  mbedtls_platform_zeroize(secret, sizeof(secret));
  mbedtls_platform_zeroize(product, sizeof(product));
  return err;
}

int mg_ecp_mul_restartable(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
                           const mbedtls_ecp_point *P,
                           int (*f_rng)(void *, unsigned char *, size_t), void *p_rng,
                           mbedtls_ecp_restart_ctx *rs_ctx)
{
  if (!f_rng)
    return MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
  if (grp->id == MBEDTLS_ECP_DP_CURVE25519)
    return x25519(grp, R, m, P);
  const EC_GROUP *group = curve_group(grp->id);
  if (group)
    return weierstrass(group, grp, R, m, P);
  return mbedtls_ecp_mul_restartable(grp, R, m, P, f_rng, p_rng, rs_ctx);
}

int mg_ecp_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
               const mbedtls_ecp_point *P, int (*f_rng)(void *, unsigned char *, size_t),
               void *p_rng)
{
  return mg_ecp_mul_restartable(grp, R, m, P, f_rng, p_rng, NULL);
}

#endif
