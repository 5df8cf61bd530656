/* SPDX-License-Identifier: Apache-2.0 */
/* IP networks (RFC 4632, RFC 4291 2.3) and whether an address, given as text, lies in one. */
#ifndef NET_CIDR_H
#define NET_CIDR_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/compiler.h"

struct cidr {
  uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
  uint8_t bits;      /* 0 to 128 */
};

/* `text` is an address or a network, IPv4 or IPv6. UV_EINVAL when it is neither. */
MG_MUST_USE int cidr_parse(const char *text, size_t len, struct cidr *out);
/* 1 when `address` (a cidr of 128 bits) lies in `network`. */
int cidr_contains(const struct cidr *network, const struct cidr *address);
/* The text of an address ("" when it has none) and its port; an IPv4 address that came in by IPv6 is
 * told as IPv4. `size` is at least 46. */
void address_text(const struct sockaddr_storage *addr, char *text, size_t size, uint16_t *port);

#endif
