/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's TLS towards clients: what its settings and the snapshot that new requests get say of it. */
#ifndef SECURE_H
#define SECURE_H

#include "tls/server.h"
#include "worker.h"

/* Makes worker->tls_context and worker->tls, with defaults until mg_tls_serve. `protocols`: of ALPN, in
 * the order of preference, "h2" first where it is one; ends with NULL; kept. */
MG_MUST_USE int secure_open(struct worker *worker, const char *const *protocols);
/* What clients under a name (NULL: none) are answered with, out of the snapshot that new requests get. */
void secure_choose(const struct worker *worker, const char *name, struct tls_choice *choice);
/* No connection is left; the loop must run once more. */
void secure_close(struct worker *worker);

#endif
