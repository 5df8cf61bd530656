/* SPDX-License-Identifier: Apache-2.0 */
/* RSA_private_encrypt() without padding has no like in EVP at its price. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "tls/primitives/curve.h"

#if defined(MBEDTLS_ECDSA_SIGN_ALT)

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include <mbedtls/rsa.h>
#include <openssl/rsa.h>

/* RSA's private operation over libcrypto. vendor/build makes mbedTLS's own definition a weak one.

   A key of libcrypto's holds, besides the numbers, what blinding and Montgomery's multiplication need,
   which costs as much as the operation. So each thread keeps the last ones that it used; they are
   wiped when others take their place and when the thread ends. */

enum {
  NUMBERS = 8,
  KEPT = 4
};

struct keys {
  RSA *keys[KEPT];
  unsigned next; /* the place that the next new key takes */
};

static pthread_key_t kept;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_kept;

static void free_keys(void *data)
{
  struct keys *keys = data;
  for (int i = 0; i < KEPT; i++)
    RSA_free(keys->keys[i]);
  free(keys);
}

static void make_kept(void)
{
  have_kept = pthread_key_create(&kept, free_keys) == 0;
}

static struct keys *keys_of_thread(void)
{
  pthread_once(&once, make_kept);
  if (!have_kept)
    return NULL;
  struct keys *keys = pthread_getspecific(kept);
  if (keys)
    return keys;
  keys = calloc(1, sizeof(*keys));
  if (keys && pthread_setspecific(kept, keys) != 0) {
    free(keys);
    keys = NULL;
  }
  return keys;
}

/* Takes the numbers over in any case. */
static RSA *make_key(BIGNUM *numbers[NUMBERS])
{
  RSA *rsa = RSA_new();
  bool ok = rsa != NULL;
  for (int i = 0; i < NUMBERS; i++)
    ok = ok && numbers[i] && !BN_is_zero(numbers[i]);
  /* None of these fails when it is given all its numbers. */
  if (ok && RSA_set0_key(rsa, numbers[0], numbers[1], numbers[2]) == 1 &&
      RSA_set0_factors(rsa, numbers[3], numbers[4]) == 1 &&
      RSA_set0_crt_params(rsa, numbers[5], numbers[6], numbers[7]) == 1)
    return rsa;
  for (int i = 0; i < NUMBERS; i++)
    BN_clear_free(numbers[i]);
  RSA_free(rsa);
  return NULL;
}

static bool is_key(const RSA *rsa, BIGNUM *const numbers[NUMBERS])
{
  const BIGNUM *own[NUMBERS];
  RSA_get0_key(rsa, &own[0], &own[1], &own[2]);
  RSA_get0_factors(rsa, &own[3], &own[4]);
  RSA_get0_crt_params(rsa, &own[5], &own[6], &own[7]);
  for (int i = 0; i < NUMBERS; i++)
    if (!numbers[i] || BN_cmp(own[i], numbers[i]) != 0)
      return false;
  return true;
}

/* A key that belongs to `keys`. Takes the numbers over. */
static RSA *find_key(struct keys *keys, BIGNUM *numbers[NUMBERS])
{
  for (int i = 0; i < KEPT; i++) {
    if (!keys->keys[i] || !is_key(keys->keys[i], numbers))
      continue;
    for (int j = 0; j < NUMBERS; j++)
      BN_clear_free(numbers[j]);
    return keys->keys[i];
  }
  RSA *made = make_key(numbers);
  if (made) {
    RSA_free(keys->keys[keys->next]);
    keys->keys[keys->next] = made;
    keys->next = (keys->next + 1) % KEPT;
  }
  return made;
}

/* Blinding is libcrypto's own; f_rng is not asked. The same holds for the check of the result. */
int mbedtls_rsa_private(mbedtls_rsa_context *ctx, int (*f_rng)(void *, unsigned char *, size_t),
                        void *p_rng, const unsigned char *input, unsigned char *output)
{
  const mbedtls_mpi *from[NUMBERS] = { &ctx->MBEDTLS_PRIVATE(N),  &ctx->MBEDTLS_PRIVATE(E),
                                       &ctx->MBEDTLS_PRIVATE(D),  &ctx->MBEDTLS_PRIVATE(P),
                                       &ctx->MBEDTLS_PRIVATE(Q),  &ctx->MBEDTLS_PRIVATE(DP),
                                       &ctx->MBEDTLS_PRIVATE(DQ), &ctx->MBEDTLS_PRIVATE(QP) };
  BIGNUM *numbers[NUMBERS];
  int length = (int)ctx->MBEDTLS_PRIVATE(len);
  struct keys *keys = keys_of_thread();
  (void)p_rng;
  if (!f_rng || length == 0)
    return MBEDTLS_ERR_RSA_BAD_INPUT_DATA;
  if (!keys)
    return MBEDTLS_ERR_RSA_PRIVATE_FAILED;
  for (int i = 0; i < NUMBERS; i++)
    numbers[i] = curve_number(from[i]);
  RSA *rsa = find_key(keys, numbers);
  if (!rsa)
    return MBEDTLS_ERR_RSA_BAD_INPUT_DATA;
  int done = RSA_private_encrypt(length, input, output, rsa, RSA_NO_PADDING);
  return done == length ? 0 : MBEDTLS_ERR_RSA_PRIVATE_FAILED;
}

#endif
