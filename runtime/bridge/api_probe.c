/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to explain, for Lua. */
#include <string.h>

#include "base/err.h"
#include "bridge/api.h"
#include "bridge/vm.h"
#include "exchange/probe.h"

int32_t mg_probe_new(struct mg_vm *vm, const char *head, uint32_t length, const char *ip,
                     uint32_t ip_length, uint32_t port, int32_t tls, struct mg_probe **out)
{
  struct http_origin origin = { .tls = tls != 0, .local_port = (uint16_t)port };
  *out = NULL;
  if (ip_length >= sizeof(origin.ip))
    return UV_EINVAL;
  memcpy(origin.ip, ip, ip_length);
  origin.ip_len = (uint8_t)ip_length;
  return probe_new(out, vm->exchanges, &vm->server->limits, &origin, head, length);
}

struct mg_request *mg_probe_request(struct mg_probe *probe)
{
  return &probe_exchange(probe)->record;
}

void mg_probe_free(struct mg_probe *probe)
{
  probe_free(probe);
}
