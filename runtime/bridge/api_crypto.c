/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and chance for Lua, by the system's libcrypto. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "bridge/api.h"
#include "bridge/vm.h"

int32_t mg_digest(const char *algorithm, const char *data, uint32_t length, char *out)
{
  const EVP_MD *digest = EVP_get_digestbyname(algorithm);
  unsigned int size = 0;
  if (!digest)
    return UV_EINVAL;
  if (EVP_Digest(data, length, (unsigned char *)out, &size, digest, NULL) != 1)
    return UV_ENOTSUP; /* switched off by the system's policy */
  return (int32_t)size;
}

int32_t mg_hmac(const char *algorithm, const char *key, uint32_t key_length, const char *data,
                uint32_t length, char *out)
{
  const EVP_MD *digest = EVP_get_digestbyname(algorithm);
  unsigned int size = 0;
  if (!digest || key_length > INT32_MAX)
    return UV_EINVAL;
  if (!HMAC(digest, key, (int)key_length, (const unsigned char *)data, length, (unsigned char *)out,
            &size))
    return UV_ENOTSUP;
  return (int32_t)size;
}

int32_t mg_random(char *out, uint32_t length)
{
  return uv_random(NULL, NULL, out, length, 0, NULL);
}

int32_t mg_random_hex(struct mg_vm *vm, char *out, uint32_t length)
{
  static const char digits[] = "0123456789abcdef";
  if (length < 1 || length > 64)
    return UV_EINVAL;
  if (vm->chance_left < length) {
    int err = uv_random(NULL, NULL, vm->chance, sizeof(vm->chance), 0, NULL);
    if (err < 0)
      return err;
    vm->chance_left = sizeof(vm->chance);
  }
  vm->chance_left -= length;
  for (uint32_t i = 0; i < length; i++) {
    uint8_t byte = vm->chance[vm->chance_left + i];
    out[2 * i] = digits[byte >> 4];
    out[2 * i + 1] = digits[byte & 15];
  }
  return 0;
}

int32_t mg_equal(const char *a, uint32_t a_length, const char *b, uint32_t b_length)
{
  return a_length == b_length && CRYPTO_memcmp(a, b, a_length) == 0;
}
