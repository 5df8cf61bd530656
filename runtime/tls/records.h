/* SPDX-License-Identifier: Apache-2.0 */
/* Record buffers of mbedTLS, 2 x 16 KiB, which a session has only while there is something in them
 * (DESIGN D15). mbedTLS has no way to do without, so this moves the pointers within its context; the
 * counter of records that have come is in the buffer and is kept beside it. */
#ifndef TLS_RECORDS_H
#define TLS_RECORDS_H

#include "tls/session.h"

/* Before each use of mbedTLS. UV_ENOMEM, or 0. */
MG_MUST_USE int records_lend(struct tls_session *session);
/* After the last one, once the handshake is over. What holds a part of a record stays. */
void records_return(struct tls_session *session);
/* Frees what a server needs for the handshake alone, once that is over: 5 KiB with TLS 1.3. A client needs
 * some of it for tickets. */
void records_trim(struct tls_session *session);
/* Those that nobody has. */
void records_free(struct tls_context *context);

#endif
