/* SPDX-License-Identifier: Apache-2.0 */
#include "http/websocket.h"

#include <openssl/evp.h>
#include <uv.h>

enum {
  RANDOM_BYTES = 16,
  SHA1_BYTES = 20
};

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

int websocket_key(char key[WEBSOCKET_KEY_BYTES + 1])
{
  unsigned char random[RANDOM_BYTES];
  int err = uv_random(NULL, NULL, random, sizeof(random), 0, NULL);
  if (err < 0)
    return err;
  (void)EVP_EncodeBlock((unsigned char *)key, random, sizeof(random)); /* its length */
  return 0;
}

int websocket_accept(const char *key, size_t len, char accept[WEBSOCKET_ACCEPT_BYTES + 1])
{
  unsigned char digest[SHA1_BYTES];
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int done = context && EVP_DigestInit_ex(context, EVP_sha1(), NULL) &&
             EVP_DigestUpdate(context, key, len) &&
             EVP_DigestUpdate(context, GUID, sizeof(GUID) - 1) &&
             EVP_DigestFinal_ex(context, digest, NULL);
  EVP_MD_CTX_free(context);
  if (!done)
    return UV_ENOMEM;
  (void)EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest)); /* its length */
  return 0;
}
