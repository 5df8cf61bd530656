/* SPDX-License-Identifier: Apache-2.0 */
/* Lua's way to what configuration is made into once: sets of networks, counters with names. */
#include <string.h>

#include "base/counter.h"
#include "base/utf8.h"
#include "bridge/api.h"
#include "net/cidr.h"
#include "net/networks.h"

struct mg_networks *mg_networks_new(void)
{
  return networks_new();
}

int32_t mg_networks_add(struct mg_networks *networks, const char *text, uint32_t length)
{
  return networks_add(networks, text, length);
}

void mg_networks_seal(struct mg_networks *networks)
{
  networks_seal(networks);
}

int32_t mg_networks_contain(const struct mg_networks *networks, const char *text, uint32_t length)
{
  return networks_contain(networks, text, length);
}

void mg_networks_free(struct mg_networks *networks)
{
  networks_free(networks);
}

struct mg_counter *mg_counter_ref(const char *name, uint32_t length)
{
  return counter_ref(name, length);
}

uint32_t mg_counter_next(struct mg_counter *counter, uint32_t modulus)
{
  return counter_next(counter, modulus);
}

void mg_counter_unref(struct mg_counter *counter)
{
  counter_unref(counter);
}

int32_t mg_utf8_is_valid(const char *text, uint32_t length)
{
  return utf8_is_valid(text, length);
}

int32_t mg_ip_parse(const char *text, uint32_t length, char *bytes)
{
  struct cidr found;
  int err = cidr_parse(text, length, &found);
  if (err < 0)
    return err;
  memcpy(bytes, found.bytes, sizeof(found.bytes));
  return found.bits;
}
