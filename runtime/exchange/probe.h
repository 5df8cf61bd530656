/* SPDX-License-Identifier: Apache-2.0 */
/* A request that nobody sent, for `moongate explain`: read by the parser of real ones, it stands where a
 * route is chosen and goes no further. */
#ifndef EXCHANGE_PROBE_H
#define EXCHANGE_PROBE_H

#include "exchange/exchange.h"

struct mg_probe;

/* Reads the head of an HTTP/1.1 request. `origin` (copied) is where it would have come from. */
MG_MUST_USE int probe_new(struct mg_probe **out, struct exchanges *all,
                          const struct http_limits *limits, const struct http_origin *origin,
                          const char *head, size_t len);
struct exchange *probe_exchange(const struct mg_probe *probe);
void probe_free(struct mg_probe *probe);

#endif
