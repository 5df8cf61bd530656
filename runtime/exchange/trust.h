/* SPDX-License-Identifier: Apache-2.0 */
/* Who the client is, and who says so: forwarding fields of trusted proxies are read and extended, those
 * of anybody else are replaced. */
#ifndef EXCHANGE_TRUST_H
#define EXCHANGE_TRUST_H

#include "exchange/exchange.h"
#include "net/cidr.h"

/* Sets client_ip, secure and `trusted` of a request whose head has come. */
MG_MUST_USE int trust_read(struct exchange *exchange);
/* Writes the forwarding fields that the configuration asks for to `outgoing`. */
MG_MUST_USE int trust_write(struct exchange *exchange);

#endif
