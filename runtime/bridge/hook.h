/* SPDX-License-Identifier: Apache-2.0 */
/* Where exchanges enter Lua: one call for each stage, in a coroutine that may wait. */
#ifndef BRIDGE_HOOK_H
#define BRIDGE_HOOK_H

#include "bridge/vm.h"

/* struct exchanges.run; `data` is the struct mg_vm. */
enum exchange_verdict hook_run(void *data, struct exchange *exchange, enum mg_stage stage);

#endif
