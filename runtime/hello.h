/* SPDX-License-Identifier: Apache-2.0 */
/* Clients whose ClientHello waits for a script: the hook client_hello, or a name that goes to its
 * service as it is. Lua asks by number; who leaves meanwhile is not found any more. */
#ifndef HELLO_H
#define HELLO_H

#include "tls/server.h"
#include "worker.h"

/* Starts moongate.boot.hello in a task. `service`: where the name's bytes are to go, below 0: nowhere. */
enum tls_verdict hello_ask(struct worker *worker, struct stream *stream, int32_t service);
/* The stream is closed. */
void hello_forget(struct worker *worker, const struct stream *stream);

#endif
