/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Included by mbedtls/sha256.h in place of its own context, see sha2.c. */
#include <stdint.h>

typedef struct mbedtls_sha256_context {
  uint32_t state[28]; /* a SHA256_CTX */
} mbedtls_sha256_context;
