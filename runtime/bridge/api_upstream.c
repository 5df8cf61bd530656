/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints for Lua. */
#include <string.h>

#include "bridge/api.h"
#include "bridge/vm.h"

int32_t mg_endpoint(struct mg_vm *vm, const char *address, uint32_t length, uint32_t port,
                    struct mg_tls_client *tls)
{
  char text[108];
  if (length >= sizeof(text) || port > 65535)
    return UV_EINVAL;
  memcpy(text, address, length);
  text[length] = 0;
  return pool_endpoint(vm->pool, text, (uint16_t)port, tls ? vm->secure : NULL, tls);
}
