/* SPDX-License-Identifier: Apache-2.0 */
#include <mbedtls/build_info.h>

#if defined(MBEDTLS_GCM_ALT)

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>
#include <openssl/evp.h>

/* mbedTLS's GCM over libcrypto's AES-GCM. Its context keeps one EVP_CIPHER_CTX for each direction,
   so that with a key that stays a message costs one initialisation with its IV. */

enum {
  TAG_LEAST = 4,
  TAG_MOST = 16,
  IV_MOST = 128, /* what libcrypto takes */
  PIECE = 4096
};

static EVP_CIPHER *ciphers[3];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch_ciphers(void)
{
  static const char *const names[] = { "AES-128-GCM", "AES-192-GCM", "AES-256-GCM" };
  for (int i = 0; i < 3; i++)
    ciphers[i] = EVP_CIPHER_fetch(NULL, names[i], NULL);
}

static EVP_CIPHER *cipher_of(unsigned key_bytes)
{
  pthread_once(&once, fetch_ciphers);
  return key_bytes >= 16 && key_bytes <= 32 && key_bytes % 8 == 0 ? ciphers[key_bytes / 8 - 2]
                                                                  : NULL;
}

void mbedtls_gcm_init(mbedtls_gcm_context *ctx)
{
  memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_gcm_free(mbedtls_gcm_context *ctx)
{
  if (!ctx)
    return;
  EVP_CIPHER_CTX_free(ctx->forward);
  EVP_CIPHER_CTX_free(ctx->reverse);
  EVP_CIPHER_CTX_free(ctx->decipher);
  mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}

int mbedtls_gcm_setkey(mbedtls_gcm_context *ctx, mbedtls_cipher_id_t cipher,
                       const unsigned char *key, unsigned int keybits)
{
  if (cipher != MBEDTLS_CIPHER_ID_AES || keybits % 8 != 0 || !cipher_of(keybits / 8))
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  mbedtls_gcm_free(ctx);
  memcpy(ctx->key, key, keybits / 8);
  ctx->key_bytes = (unsigned char)(keybits / 8);
  return 0;
}

/* Makes *slot ready for a message with this IV; encrypt as in EVP_CipherInit_ex. */
static EVP_CIPHER_CTX *begin(const mbedtls_gcm_context *ctx, void **slot, int encrypt,
                             const unsigned char *iv, size_t iv_len)
{
  EVP_CIPHER *cipher = NULL;
  const unsigned char *key = NULL;
  if (ctx->key_bytes == 0 || iv_len == 0 || iv_len > IV_MOST)
    return NULL;
  if (!*slot) {
    *slot = EVP_CIPHER_CTX_new();
    cipher = cipher_of(ctx->key_bytes);
    key = ctx->key;
  }
  EVP_CIPHER_CTX *evp = *slot;
  if (!evp)
    return NULL;
  bool ok;
  if (iv_len == 12 && (cipher || EVP_CIPHER_CTX_get_iv_length(evp) == 12)) {
    ok = EVP_CipherInit_ex(evp, cipher, NULL, key, iv, encrypt) == 1;
  } else {
    ok = EVP_CipherInit_ex(evp, cipher, NULL, NULL, NULL, encrypt) == 1 &&
         EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_SET_IVLEN, (int)iv_len, NULL) == 1 &&
         EVP_CipherInit_ex(evp, NULL, NULL, ctx->key, iv, encrypt) == 1;
  }
  if (ok)
    return evp;
  EVP_CIPHER_CTX_free(evp);
  *slot = NULL;
  return NULL;
}

/* With output == NULL the bytes are additional data. */
static bool feed(EVP_CIPHER_CTX *evp, const unsigned char *input, size_t length,
                 unsigned char *output)
{
  int done = 0;
  if (length == 0)
    return true;
  return length <= INT_MAX && EVP_CipherUpdate(evp, output, &done, input, (int)length) == 1;
}

/* Ends a message that was encrypted. */
static bool tag_of(EVP_CIPHER_CTX *evp, unsigned char *tag, size_t tag_len)
{
  unsigned char none[16];
  int done = 0;
  return EVP_CipherFinal_ex(evp, none, &done) == 1 &&
         EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, (int)tag_len, tag) == 1;
}

int mbedtls_gcm_starts(mbedtls_gcm_context *ctx, int mode, const unsigned char *iv, size_t iv_len)
{
  ctx->total = 0;
  ctx->deciphering = mode == MBEDTLS_GCM_DECRYPT;
  if (!begin(ctx, &ctx->forward, 1, iv, iv_len))
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  if (ctx->deciphering && !begin(ctx, &ctx->decipher, 1, iv, iv_len))
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  return 0;
}

int mbedtls_gcm_update_ad(mbedtls_gcm_context *ctx, const unsigned char *add, size_t add_len)
{
  if (!ctx->forward)
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  return feed(ctx->forward, add, add_len, NULL) ? 0 : MBEDTLS_ERR_GCM_BAD_INPUT;
}

/* A caller that decrypts in pieces asks for the tag at the end, which libcrypto does not tell.
   Encrypting once more what came out makes it. */
static bool decipher(mbedtls_gcm_context *ctx, const unsigned char *input, size_t length,
                     unsigned char *output)
{
  unsigned char again[PIECE];
  while (length > 0) {
    size_t piece = length < PIECE ? length : PIECE;
    if (!feed(ctx->decipher, input, piece, output) || !feed(ctx->forward, output, piece, again))
      return false;
    input += piece;
    output += piece;
    length -= piece;
  }
  return true;
}

int mbedtls_gcm_update(mbedtls_gcm_context *ctx, const unsigned char *input, size_t input_length,
                       unsigned char *output, size_t output_size, size_t *output_length)
{
  if (output_size < input_length)
    return MBEDTLS_ERR_GCM_BUFFER_TOO_SMALL;
  *output_length = input_length;
  if (input_length == 0)
    return 0;
  if (output > input && (size_t)(output - input) < input_length)
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  if (input_length > INT_MAX || ctx->total + input_length > 0xFFFFFFFE0ULL || !ctx->forward)
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  ctx->total += input_length;
  bool ok = ctx->deciphering ? decipher(ctx, input, input_length, output)
                             : feed(ctx->forward, input, input_length, output);
  return ok ? 0 : MBEDTLS_ERR_GCM_BAD_INPUT;
}

int mbedtls_gcm_finish(mbedtls_gcm_context *ctx, unsigned char *output, size_t output_size,
                       size_t *output_length, unsigned char *tag, size_t tag_len)
{
  (void)output;
  (void)output_size;
  *output_length = 0;
  if (tag_len < TAG_LEAST || tag_len > TAG_MOST || !ctx->forward)
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  return tag_of(ctx->forward, tag, tag_len) ? 0 : MBEDTLS_ERR_GCM_BAD_INPUT;
}

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *ctx, int mode, size_t length,
                              const unsigned char *iv, size_t iv_len, const unsigned char *add,
                              size_t add_len, const unsigned char *input, unsigned char *output,
                              size_t tag_len, unsigned char *tag)
{
  size_t done = 0;
  int err = mbedtls_gcm_starts(ctx, mode, iv, iv_len);
  if (err == 0)
    err = mbedtls_gcm_update_ad(ctx, add, add_len);
  if (err == 0)
    err = mbedtls_gcm_update(ctx, input, length, output, length, &done);
  if (err == 0)
    err = mbedtls_gcm_finish(ctx, NULL, 0, &done, tag, tag_len);
  return err;
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *ctx, size_t length, const unsigned char *iv,
                             size_t iv_len, const unsigned char *add, size_t add_len,
                             const unsigned char *tag, size_t tag_len, const unsigned char *input,
                             unsigned char *output)
{
  unsigned char expected[TAG_MOST];
  unsigned char none[16];
  int done = 0;
  if (tag_len < TAG_LEAST || tag_len > TAG_MOST)
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  if (length > 0 && output > input && (size_t)(output - input) < length)
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  memcpy(expected, tag, tag_len); /* libcrypto asks for a pointer to what is not const */
  EVP_CIPHER_CTX *evp = begin(ctx, &ctx->reverse, 0, iv, iv_len);
  if (!evp || EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_SET_TAG, (int)tag_len, expected) != 1)
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  if (!feed(evp, add, add_len, NULL) || !feed(evp, input, length, output))
    return MBEDTLS_ERR_GCM_BAD_INPUT;
  if (EVP_CipherFinal_ex(evp, none, &done) == 1)
    return 0;
  if (length > 0)
    mbedtls_platform_zeroize(output, length);
  return MBEDTLS_ERR_GCM_AUTH_FAILED;
}

#endif
