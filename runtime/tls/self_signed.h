/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate that is served while nobody has given one: self-signed, of this process alone. */
#ifndef TLS_SELF_SIGNED_H
#define TLS_SELF_SIGNED_H

#include "base/buf.h"

/* Appends a certificate for `name` (ECDSA P-256, one year) and its key, both PEM. ERR_TLS_CONFIG when
 * mbedTLS refuses, UV_ENOMEM. */
MG_MUST_USE int self_signed_make(const char *name, struct buf *certificate, struct buf *key);

#endif
