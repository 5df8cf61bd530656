/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <string.h>

#include <openssl/evp.h>
#include <uv.h>

#define FNV_BASIS 2166136261u
#define FNV_PRIME 16777619u

static uint32_t rotate(uint32_t value, unsigned bits)
{
  return value << bits | value >> (32 - bits);
}

static uint32_t scramble(uint32_t word)
{
  return rotate(word * 0xcc9e2d51u, 15) * 0x1b873593u;
}

uint32_t hash_bytes(const char *bytes, uint32_t length, uint32_t seed)
{
  uint32_t hash = seed;
  uint32_t at = 0;
  for (; at + 4 <= length; at += 4) {
    uint32_t word = 0;
    memcpy(&word, bytes + at, sizeof(word));
    hash = rotate(hash ^ scramble(word), 13) * 5 + 0xe6546b64u;
  }
  uint32_t tail = 0;
  for (uint32_t i = length; i > at; i--)
    tail = tail << 8 | (unsigned char)bytes[i - 1];
  hash ^= scramble(tail);
  hash ^= length;
  hash = (hash ^ hash >> 16) * 0x85ebca6bu;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
  return hash ^ hash >> 16;
}

uint32_t hash_text(const char *bytes, uint32_t length)
{
  uint32_t hash = FNV_BASIS;
  for (uint32_t i = 0; i < length; i++)
    hash = (hash ^ (unsigned char)bytes[i]) * FNV_PRIME;
  return hash;
}

static void mark(uint32_t *marks, uint32_t index, uint32_t length, uint32_t hash)
{
  marks[2 * index] = length;
  marks[2 * index + 1] = hash;
}

uint32_t hash_path(const char *path, uint32_t length, uint32_t *marks, uint32_t most)
{
  uint32_t hash = FNV_BASIS;
  uint32_t count = 1;
  mark(marks, count++, 0, hash);
  for (uint32_t i = 0; i < length; i++) {
    if (path[i] == '/' && i > 0 && count < most)
      mark(marks, count++, i, hash);
    hash = (hash ^ (unsigned char)path[i]) * FNV_PRIME;
  }
  mark(marks, 0, length, hash);
  if (count < most && length > 0 && path[length - 1] != '/')
    mark(marks, count++, length, hash);
  return count;
}

int hash_md5(const char *bytes, uint32_t length, char out[HASH_MD5_HEX_BYTES])
{
  static const char digits[] = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (!EVP_Digest(bytes, length, digest, &size, EVP_md5(), NULL) || size != 16)
    return UV_ENOMEM;
  for (unsigned int i = 0; i < size; i++) {
    out[2 * i] = digits[digest[i] >> 4];
    out[2 * i + 1] = digits[digest[i] & 15];
  }
  out[2 * size] = '\0';
  return 0;
}

int hash_sha256(const char *bytes, uint32_t length, unsigned char out[HASH_SHA256_BYTES])
{
  return EVP_Digest(bytes, length, out, NULL, EVP_sha256(), NULL) ? 0 : UV_ENOMEM;
}
