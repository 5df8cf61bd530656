/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that Lua holds by handles. What has come is kept in a buffer of bounded size: when it is full,
 * reading stops. A socket lives until its handle is closed or collected and libuv has let go of it. */
#ifndef BRIDGE_SOCKET_H
#define BRIDGE_SOCKET_H

#include "bridge/vm.h"

/* Takes over the file descriptor of a connected socket or pipe, in failure too. */
MG_MUST_USE int socket_adopt(struct mg_vm *vm, int fd, struct mg_handle *handle);
/* Closes all of them and makes every handle stale; the loop must run once more. */
void sockets_close(struct mg_vm *vm);
/* After lua_close, whose finalizers may name handles. */
void sockets_fini(struct mg_vm *vm);

#endif
