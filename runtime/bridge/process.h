/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes that Lua holds by handles (bridge/api_process.c). */
#ifndef BRIDGE_PROCESS_H
#define BRIDGE_PROCESS_H

#include "bridge/vm.h"

/* Kills those that live; the loop must run once more. */
void processes_close(struct mg_vm *vm);
void processes_fini(struct mg_vm *vm);

#endif
