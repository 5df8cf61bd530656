/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: what is told of a hello lies within it, and a prefix of it only waits or is refused alike. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tls/hello.h"

enum {
  PREFIXES = 64
};

static unsigned touch(const struct tls_slice *slice)
{
  unsigned sum = 0;
  for (uint32_t i = 0; i < slice->length; i++)
    sum += slice->at[i];
  return sum;
}

static void read_all(const struct tls_hello *hello)
{
  volatile unsigned sum = touch(&hello->name) + touch(&hello->session_id) + touch(&hello->suites) +
                          touch(&hello->alpn) + touch(&hello->versions) + touch(&hello->groups) +
                          touch(&hello->signatures) + touch(&hello->points);
  (void)sum;
  CHECK(hello->extension_count <= TLS_HELLO_EXTENSIONS);
  CHECK(hello->suites.length > 0 && hello->suites.length % 2 == 0);
  CHECK(hello->name.length <= 255);
  CHECK(tls_hello_version(hello) <= 13);
}

/* A copy of its own, so that reading past its end shows. */
static int parse(const uint8_t *data, size_t size, struct tls_hello *hello)
{
  char *copy = malloc(size + !size);
  unsigned char *scratch = malloc(TLS_HELLO_MAX_BYTES);
  CHECK(copy && scratch);
  memcpy(copy, data, size);
  int used = tls_hello_parse(copy, size, scratch, hello);
  if (used > 0)
    read_all(hello);
  free(copy);
  free(scratch);
  return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct tls_hello hello;
  int used = parse(data, size, &hello);
  CHECK(used <= 0 || (size_t)used <= size);
  CHECK(used >= 0 || tls_hello_fault_text(used)[0]);
  size_t shortest = used > 0 ? (size_t)used : size;
  size_t stride = shortest / PREFIXES + 1;
  for (size_t len = 0; len < shortest; len += stride) {
    int err = parse(data, len, &hello);
    CHECK(used < 0 ? err <= 0 : err == 0);
  }
  if (used > 0)
    CHECK(parse(data, shortest, &hello) == used);
  return 0;
}
