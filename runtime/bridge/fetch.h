/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that Lua makes (bridge/api_fetch.c). */
#ifndef BRIDGE_FETCH_H
#define BRIDGE_FETCH_H

#include "bridge/vm.h"

/* Lets go of all connections. What Lua holds of requests stays until it frees them. */
void fetches_close(struct mg_vm *vm);

#endif
