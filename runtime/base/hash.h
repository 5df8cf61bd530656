/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of bytes: none but SHA-256 keeps a secret. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/compiler.h"

enum {
  HASH_MD5_HEX_BYTES = 33,
  HASH_SHA256_BYTES = 32,
};

/* MurmurHash3, 32 bits: well spread in all bits, stable across versions and machines. */
uint32_t hash_bytes(const char *bytes, uint32_t length, uint32_t seed);
/* FNV-1a, 32 bits: can be stopped at any byte, which hash_path makes use of. */
uint32_t hash_text(const char *bytes, uint32_t length);
/* One pass over a path. A mark is two numbers: a length, and the hash of that many bytes of the path.
 * The first mark is the whole path, then follow what its elements end at, shortest first: nothing,
 * `/a` and `/a/b` of `/a/b` or `/a/b/`. Writes at most `most` marks, which is at least 2; returns
 * how many. */
uint32_t hash_path(const char *path, uint32_t length, uint32_t *marks, uint32_t most);
/* Lower-case hexadecimal MD5 with a final NUL; UV_ENOMEM. */
MG_MUST_USE int hash_md5(const char *bytes, uint32_t length, char out[HASH_MD5_HEX_BYTES]);
/* UV_ENOMEM. */
MG_MUST_USE int hash_sha256(const char *bytes, uint32_t length,
                            unsigned char out[HASH_SHA256_BYTES]);

#endif
