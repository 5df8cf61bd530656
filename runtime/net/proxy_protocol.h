/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol, versions 1 and 2: what a balancer in front of us says about its client, before
 * the client's own bytes. A function of bytes alone; comes before TLS and HTTP on a connection. */
#ifndef NET_PROXY_PROTOCOL_H
#define NET_PROXY_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include "base/compiler.h"

/* A header is never longer: 16 bytes, addresses and TLVs. Longer ones are refused. */
enum {
  PROXY_PROTOCOL_MAX_BYTES = 4096,
  PROXY_PROTOCOL_LINE_BYTES = 108 /* of version 1, with a final NUL */
};

union proxy_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

struct proxy_header {
  /* 0: the connection is the balancer's own, or of a kind without addresses: the socket's count. */
  int has_addresses;
  union proxy_address source;
  union proxy_address destination;
};

/* Reads a header at the start of `data`. Returns its length, 0 when more bytes are needed, or
 * ERR_BAD_PROXY_HEADER. Calling it again with the same bytes and more behind them is how to go on. */
MG_MUST_USE int proxy_protocol_parse(const char *data, size_t len, struct proxy_header *header);
/* One end of a connection: the text of its address ("": it has none) and its port. */
struct proxy_end {
  const char *ip;
  uint16_t port;
};
/* Writes a header of version 1 and a NUL; returns its length. It says UNKNOWN of ends that are not of
 * one family. */
size_t proxy_protocol_write(struct proxy_end source, struct proxy_end destination,
                            char line[PROXY_PROTOCOL_LINE_BYTES]);

#endif
