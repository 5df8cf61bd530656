/* SPDX-License-Identifier: Apache-2.0 */
/* New keys for a connection of TLS 1.3 that the peer asks for (RFC 8446 4.6.3), of which mbedTLS knows
 * nothing. */
#ifndef TLS_REKEY_H
#define TLS_REKEY_H

#include "base/compiler.h"
#include "tls/session.h"

/* After mbedtls_ssl_read did not expect a message: takes it if it is a KeyUpdate, and answers it. What is
 * read next, and written, has the new keys. 0, or a code of mbedTLS. */
MG_MUST_USE int rekey_take(struct tls_session *session);

#endif
