/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <mbedtls/build_info.h>

#if defined(MBEDTLS_ECDSA_SIGN_ALT)

#include <mbedtls/ecp.h>
#include <openssl/ec.h>

/* libcrypto's description of a short Weierstrass curve of mbedTLS's, made once and kept; NULL when
   there is none. */
const EC_GROUP *curve_group(mbedtls_ecp_group_id id);

/* A new number, to be freed with BN_clear_free(), or NULL. */
BIGNUM *curve_number(const mbedtls_mpi *from);

/* 0 or an error of mbedTLS's. */
int curve_store(const BIGNUM *from, mbedtls_mpi *to);

/* A new point, or NULL when `from` is not on the curve. */
EC_POINT *curve_point(const EC_GROUP *group, const mbedtls_ecp_point *from, BN_CTX *scratch);

/* What vendor/build makes mbedTLS's ECDH and PSA call in place of mbedtls_ecp_mul() and
   mbedtls_ecp_mul_restartable(), with their contract. */
int mg_ecp_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
               const mbedtls_ecp_point *P, int (*f_rng)(void *, unsigned char *, size_t),
               void *p_rng);
int mg_ecp_mul_restartable(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
                           const mbedtls_ecp_point *P,
                           int (*f_rng)(void *, unsigned char *, size_t), void *p_rng,
                           mbedtls_ecp_restart_ctx *rs_ctx);

#endif
