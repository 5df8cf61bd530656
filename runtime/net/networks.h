/* SPDX-License-Identifier: Apache-2.0 */
/* A set of IP networks, and whether an address lies in one: ranges in order, so that a look-up in
 * 100,000 networks is 17 comparisons. IPv4 and its form in IPv6 are the same address. */
#ifndef NET_NETWORKS_H
#define NET_NETWORKS_H

#include <stdint.h>

#include "base/compiler.h"

struct mg_networks;

/* NULL: out of memory. */
struct mg_networks *networks_new(void);
void networks_free(struct mg_networks *networks);
/* UV_EINVAL when `text` is neither an address nor a network, UV_ENOMEM. */
MG_MUST_USE int networks_add(struct mg_networks *networks, const char *text, uint32_t length);
/* Puts the ranges in order; to be called once, after the last networks_add. */
void networks_seal(struct mg_networks *networks);
/* 1 when the address lies in a network, 0 also when `text` is no address. */
int networks_contain(const struct mg_networks *networks, const char *text, uint32_t length);

#endif
