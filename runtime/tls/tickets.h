/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of session tickets, one set for the process, so that each worker opens what another sealed. The
 * current key seals; the one before it still opens. Keys are renewed after an hour, or after the
 * lifetime of a ticket where that is longer, and are never written anywhere. */
#ifndef TLS_TICKETS_H
#define TLS_TICKETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct mbedtls_ssl_session;
struct tls_tickets;

enum {
  TLS_BINDING_BYTES = 32
};

/* `lifetime_s` is how long a session may be resumed, at most seven days (RFC 8446 4.6.1). NULL: there is
 * no memory or no randomness. */
struct tls_tickets *tls_tickets_new(uint32_t lifetime_s);
struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets);
/* NULL is permitted. */
void tls_tickets_unref(struct tls_tickets *tickets);
/* Counts for sessions that begin from now on. From any thread. */
void tls_tickets_set_lifetime(struct tls_tickets *tickets, uint32_t lifetime_s);
/* Renews the key now. 0, or UV_EIO. */
int tls_tickets_rotate(struct tls_tickets *tickets);

/* Both from any thread; codes of mbedTLS. A ticket is opened only with the binding that it was sealed
 * with: it stands for the name that the client asked for. */
int tickets_seal(struct tls_tickets *tickets, const unsigned char *binding,
                 const struct mbedtls_ssl_session *session, unsigned char *start,
                 const unsigned char *end, size_t *length, uint32_t *lifetime_s);
/* `bytes` are overwritten. */
int tickets_open(struct tls_tickets *tickets, const unsigned char *binding,
                 struct mbedtls_ssl_session *session, unsigned char *bytes, size_t length);

#endif
