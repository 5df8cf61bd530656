/* SPDX-License-Identifier: Apache-2.0 */
/* EVP's contexts would be allocated; mbedTLS copies and drops its own by the dozen in a handshake. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <mbedtls/build_info.h>

#if defined(MBEDTLS_SHA256_ALT) && defined(MBEDTLS_SHA512_ALT)

#include <string.h>

#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <openssl/sha.h>

/* mbedTLS's SHA-2 over libcrypto's, which uses what the processor has for it. The 224 and 384 bit
   variants differ in how they begin; the state remembers which it is. */

_Static_assert(sizeof(SHA256_CTX) <= sizeof(mbedtls_sha256_context), "too small");
_Static_assert(sizeof(SHA512_CTX) <= sizeof(mbedtls_sha512_context), "too small");

void mbedtls_sha256_init(mbedtls_sha256_context *ctx)
{
  memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_sha256_free(mbedtls_sha256_context *ctx)
{
  if (ctx)
    mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}

void mbedtls_sha256_clone(mbedtls_sha256_context *dst, const mbedtls_sha256_context *src)
{
  *dst = *src;
}

int mbedtls_sha256_starts(mbedtls_sha256_context *ctx, int is224)
{
  SHA256_CTX *state = (SHA256_CTX *)ctx->state;
  if (is224 != 0 && is224 != 1)
    return MBEDTLS_ERR_SHA256_BAD_INPUT_DATA;
  int ok = is224 ? SHA224_Init(state) : SHA256_Init(state);
  return ok == 1 ? 0 : MBEDTLS_ERR_SHA256_BAD_INPUT_DATA;
}

int mbedtls_sha256_update(mbedtls_sha256_context *ctx, const unsigned char *input, size_t ilen)
{
  int ok = SHA256_Update((SHA256_CTX *)ctx->state, input, ilen);
  return ok == 1 ? 0 : MBEDTLS_ERR_SHA256_BAD_INPUT_DATA;
}

int mbedtls_sha256_finish(mbedtls_sha256_context *ctx, unsigned char *output)
{
  int ok = SHA256_Final(output, (SHA256_CTX *)ctx->state);
  mbedtls_sha256_free(ctx);
  return ok == 1 ? 0 : MBEDTLS_ERR_SHA256_BAD_INPUT_DATA;
}

void mbedtls_sha512_init(mbedtls_sha512_context *ctx)
{
  memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_sha512_free(mbedtls_sha512_context *ctx)
{
  if (ctx)
    mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}

void mbedtls_sha512_clone(mbedtls_sha512_context *dst, const mbedtls_sha512_context *src)
{
  *dst = *src;
}

int mbedtls_sha512_starts(mbedtls_sha512_context *ctx, int is384)
{
  SHA512_CTX *state = (SHA512_CTX *)ctx->state;
  if (is384 != 0 && is384 != 1)
    return MBEDTLS_ERR_SHA512_BAD_INPUT_DATA;
  int ok = is384 ? SHA384_Init(state) : SHA512_Init(state);
  return ok == 1 ? 0 : MBEDTLS_ERR_SHA512_BAD_INPUT_DATA;
}

int mbedtls_sha512_update(mbedtls_sha512_context *ctx, const unsigned char *input, size_t ilen)
{
  int ok = SHA512_Update((SHA512_CTX *)ctx->state, input, ilen);
  return ok == 1 ? 0 : MBEDTLS_ERR_SHA512_BAD_INPUT_DATA;
}

int mbedtls_sha512_finish(mbedtls_sha512_context *ctx, unsigned char *output)
{
  int ok = SHA512_Final(output, (SHA512_CTX *)ctx->state);
  mbedtls_sha512_free(ctx);
  return ok == 1 ? 0 : MBEDTLS_ERR_SHA512_BAD_INPUT_DATA;
}

#endif
