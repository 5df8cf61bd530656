/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: the header fits into them, a prefix of it only waits or is refused alike. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *bytes = (const char *)data;
  struct proxy_header whole;
  struct proxy_header piece;
  int used = proxy_protocol_parse(bytes, size, &whole);
  CHECK(used < 0 || (size_t)used <= size);
  CHECK(used <= PROXY_PROTOCOL_MAX_BYTES);
  CHECK(used > 0 || size < PROXY_PROTOCOL_MAX_BYTES || used < 0);
  size_t shortest = used > 0 ? (size_t)used : size;
  for (size_t len = 0; len < shortest; len++) {
    /* A copy of its own, so that reading past its end shows. */
    char *copy = malloc(len + !len);
    CHECK(copy);
    memcpy(copy, bytes, len);
    int err = proxy_protocol_parse(copy, len, &piece);
    CHECK(used < 0 ? err <= 0 : err == 0);
    free(copy);
  }
  if (used > 0) {
    CHECK(proxy_protocol_parse(bytes, shortest, &piece) == used);
    CHECK(memcmp(&whole, &piece, sizeof(whole)) == 0);
  }
  return 0;
}
