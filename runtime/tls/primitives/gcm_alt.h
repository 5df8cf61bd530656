/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Included by mbedtls/gcm.h in place of its own context, see gcm.c. */
#include <stddef.h>
#include <stdint.h>

typedef struct mbedtls_gcm_context {
  void *forward;  /* EVP_CIPHER_CTX that encrypts and makes tags, or NULL */
  void *reverse;  /* EVP_CIPHER_CTX that decrypts and checks tags, or NULL */
  void *decipher; /* EVP_CIPHER_CTX of a decryption in pieces, or NULL */
  uint64_t total; /* bytes of the message in pieces so far */
  unsigned char key[32];
  unsigned char key_bytes; /* 0: no key yet */
  unsigned char deciphering;
} mbedtls_gcm_context;
