/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Included by mbedtls/sha512.h in place of its own context, see sha2.c. */
#include <stdint.h>

typedef struct mbedtls_sha512_context {
  uint64_t state[27]; /* a SHA512_CTX */
} mbedtls_sha512_context;
