/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionaries of all threads for Lua. */
#include "base/dict.h"
#include "base/err.h"
#include "bridge/api.h"
#include "bridge/vm.h"

static struct dict_key key_of(const char *key, uint32_t length)
{
  return (struct dict_key){ key, length };
}

static struct dict_value in(const struct mg_shared_value *value)
{
  return (struct dict_value){ (enum dict_kind)value->kind, value->number, value->data,
                              value->length };
}

int32_t mg_shared(struct mg_vm *vm, const char *name, uint32_t length, double bytes,
                  struct dict **dict)
{
  if (!(bytes >= 0) || bytes > 1e12)
    return UV_EINVAL;
  return dicts_find(vm->dicts, name, length, (size_t)bytes, dict);
}

int32_t mg_shared_get(struct mg_vm *vm, struct dict *dict, const char *key, uint32_t length,
                      double now, struct mg_shared_value *value)
{
  struct dict_value found = { 0 };
  int result = dict_get(dict, key_of(key, length), now, &found, &vm->shared_text);
  *value = (struct mg_shared_value){ (int32_t)found.kind, found.length, found.number, found.data };
  return result;
}

int32_t mg_shared_set(struct dict *dict, const char *key, uint32_t length, double now,
                      const struct mg_shared_value *value, double expires, int32_t mode)
{
  struct dict_value wanted = in(value);
  return dict_set(dict, key_of(key, length), now, &wanted, expires, (enum dict_mode)mode);
}

int32_t mg_shared_swap(struct dict *dict, const char *key, uint32_t length, double now,
                       const struct mg_shared_value *old, const struct mg_shared_value *value,
                       double expires)
{
  struct dict_value before = in(old);
  struct dict_value wanted = in(value);
  return dict_swap(dict, key_of(key, length), now, &before, &wanted, expires);
}

int32_t mg_shared_incr(struct dict *dict, const char *key, uint32_t length, double now, double by,
                       const double *init, double expires, double *result)
{
  return dict_add(dict, key_of(key, length), now, by, init, expires, result);
}

int32_t mg_shared_delete(struct dict *dict, const char *key, uint32_t length, double now)
{
  return dict_delete(dict, key_of(key, length), now);
}

int32_t mg_shared_expires(struct dict *dict, const char *key, uint32_t length, double now,
                          double *expires)
{
  return dict_expires(dict, key_of(key, length), now, expires);
}

int32_t mg_shared_expire(struct dict *dict, const char *key, uint32_t length, double now,
                         double expires)
{
  return dict_expire(dict, key_of(key, length), now, expires);
}

int32_t mg_shared_take_token(struct dict *dict, const char *key, uint32_t length, double now,
                             double rate, double burst, double *verdict)
{
  struct dict_verdict found = { 0 };
  int result = dict_take_token(dict, key_of(key, length), now, rate, burst, &found);
  verdict[0] = found.remaining;
  verdict[1] = found.wait_s;
  return result;
}

int32_t mg_shared_window_add(struct dict *dict, const char *key, uint32_t length, double now,
                             double limit, double window, double *verdict)
{
  struct dict_verdict found = { 0 };
  int result = dict_window_add(dict, key_of(key, length), now, limit, window, &found);
  verdict[0] = found.remaining;
  verdict[1] = found.wait_s;
  return result;
}

int32_t mg_shared_keys(struct mg_vm *vm, struct dict *dict, double now, uint32_t most,
                       struct mg_text *keys)
{
  int err = dict_keys(dict, now, most, &vm->shared_text);
  *keys = (struct mg_text){ vm->shared_text.data, (uint32_t)vm->shared_text.len };
  return err;
}

double mg_shared_count(struct dict *dict)
{
  return (double)dict_count(dict);
}

void mg_shared_flush(struct dict *dict)
{
  dict_flush(dict);
}
