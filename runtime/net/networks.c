/* SPDX-License-Identifier: Apache-2.0 */
#include "net/networks.h"

#include <stdlib.h>
#include <string.h>

#include "net/cidr.h"

enum {
  BYTES = 16
};

/* Both ends belong to it; big-endian, so that memcmp compares. */
struct range {
  uint8_t first[BYTES];
  uint8_t last[BYTES];
};

struct mg_networks {
  struct range *ranges; /* sealed: in order, none touches another */
  uint32_t count;
  uint32_t cap;
};

struct mg_networks *networks_new(void)
{
  return calloc(1, sizeof(struct mg_networks));
}

void networks_free(struct mg_networks *networks)
{
  if (networks)
    free(networks->ranges);
  free(networks);
}

static int reserve(struct mg_networks *networks)
{
  if (networks->count < networks->cap)
    return 0;
  uint32_t cap = networks->cap ? networks->cap * 2 : 8;
  struct range *ranges = realloc(networks->ranges, cap * sizeof(*ranges));
  if (!ranges)
    return UV_ENOMEM;
  networks->ranges = ranges;
  networks->cap = cap;
  return 0;
}

int networks_add(struct mg_networks *networks, const char *text, uint32_t length)
{
  struct cidr cidr;
  int err = cidr_parse(text, length, &cidr);
  if (err == 0)
    err = reserve(networks);
  if (err < 0)
    return err;
  struct range *range = &networks->ranges[networks->count++];
  for (unsigned i = 0; i < BYTES; i++) {
    unsigned fixed = cidr.bits > 8 * i ? cidr.bits - 8 * i : 0;
    uint8_t host = (uint8_t)(fixed >= 8 ? 0 : 0xffu >> fixed);
    range->first[i] = (uint8_t)(cidr.bytes[i] & ~host);
    range->last[i] = (uint8_t)(cidr.bytes[i] | host);
  }
  return 0;
}

static int by_first(const void *a, const void *b)
{
  return memcmp(a, b, BYTES);
}

void networks_seal(struct mg_networks *networks)
{
  if (networks->count == 0)
    return;
  struct range *ranges = networks->ranges;
  qsort(ranges, networks->count, sizeof(*ranges), by_first);
  uint32_t kept = 0;
  for (uint32_t i = 1; i < networks->count; i++) {
    if (memcmp(ranges[i].first, ranges[kept].last, BYTES) > 0)
      ranges[++kept] = ranges[i];
    else if (memcmp(ranges[i].last, ranges[kept].last, BYTES) > 0)
      memcpy(ranges[kept].last, ranges[i].last, BYTES);
  }
  networks->count = kept + 1;
}

int networks_contain(const struct mg_networks *networks, const char *text, uint32_t length)
{
  struct cidr address;
  if (cidr_parse(text, length, &address) < 0 || address.bits != 8 * BYTES)
    return 0;
  uint32_t low = 0;
  uint32_t high = networks->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const struct range *range = &networks->ranges[middle];
    if (memcmp(address.bytes, range->first, BYTES) < 0)
      high = middle;
    else if (memcmp(address.bytes, range->last, BYTES) > 0)
      low = middle + 1;
    else
      return 1;
  }
  return 0;
}
