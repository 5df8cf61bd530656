/* SPDX-License-Identifier: Apache-2.0 */
/* Looks a parameter up in a raw query (`a=1&b=%20`), without parsing the rest. */
#ifndef BASE_QUERY_H
#define BASE_QUERY_H

#include <stdint.h>

#include "base/compiler.h"

/* The first parameter whose decoded name is `name`: writes its decoded value to `out` and returns
 * how many bytes that is. UV_ENOENT: there is none. ERR_LIMIT: `out_size` is too small.
 * A `%` without two digits stands for itself, `+` for a space. */
MG_MUST_USE int query_find(const char *query, uint32_t length, const char *name,
                           uint32_t name_length, char *out, uint32_t out_size);

#endif
