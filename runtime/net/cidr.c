/* SPDX-License-Identifier: Apache-2.0 */
#include "net/cidr.h"

#include <netinet/in.h>
#include <string.h>

static int parse_bits(const char *text, size_t len, unsigned most)
{
  unsigned bits = 0;
  if (len == 0 || len > 3)
    return UV_EINVAL;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9')
      return UV_EINVAL;
    bits = bits * 10 + (unsigned)(text[i] - '0');
  }
  return bits <= most ? (int)bits : UV_EINVAL;
}

int cidr_parse(const char *text, size_t len, struct cidr *out)
{
  char address[48];
  const char *slash = memchr(text, '/', len);
  size_t address_len = slash ? (size_t)(slash - text) : len;
  if (address_len == 0 || address_len >= sizeof(address))
    return UV_EINVAL;
  memcpy(address, text, address_len);
  address[address_len] = 0;
  memset(out, 0, sizeof(*out));
  unsigned base = 0;
  if (uv_inet_pton(AF_INET, address, out->bytes + 12) == 0) {
    out->bytes[10] = out->bytes[11] = 0xff;
    base = 96;
  } else if (uv_inet_pton(AF_INET6, address, out->bytes) != 0) {
    return UV_EINVAL;
  }
  int bits = slash ? parse_bits(slash + 1, len - address_len - 1, 128 - base) : (int)(128 - base);
  if (bits < 0)
    return bits;
  out->bits = (uint8_t)(base + (unsigned)bits);
  return 0;
}

int cidr_contains(const struct cidr *network, const struct cidr *address)
{
  size_t whole = network->bits / 8u;
  if (memcmp(network->bytes, address->bytes, whole) != 0)
    return 0;
  unsigned rest = network->bits % 8u;
  if (rest == 0)
    return 1;
  unsigned mask = 0xffu << (8 - rest) & 0xffu;
  return (network->bytes[whole] & mask) == (address->bytes[whole] & mask);
}

void address_text(const struct sockaddr_storage *addr, char *text, size_t size, uint16_t *port)
{
  static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
  text[0] = 0;
  *port = 0;
  if (addr->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
    (void)uv_inet_ntop(AF_INET, &in->sin_addr, text, size);
    *port = ntohs(in->sin_port);
  } else if (addr->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)addr;
    const uint8_t *bytes = in->sin6_addr.s6_addr;
    if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
      (void)uv_inet_ntop(AF_INET, bytes + 12, text, size);
    else
      (void)uv_inet_ntop(AF_INET6, bytes, text, size);
    *port = ntohs(in->sin6_port);
  }
}
