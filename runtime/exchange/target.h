/* SPDX-License-Identifier: Apache-2.0 */
/* The request target as routes see it: percent-decoded, dot segments resolved, slashes merged, as
 * nginx makes $uri. What goes upstream is the target as received unless a hook sets another. */
#ifndef EXCHANGE_TARGET_H
#define EXCHANGE_TARGET_H

#include <stddef.h>

/* Writes at most `len` bytes to `out`; `len` is that of `raw`, an origin-form path without query.
 * Returns the length, or ERR_BAD_REQUEST: a broken escape, a NUL, or a path that leaves the root. */
int target_normalise(const char *raw, size_t len, char *out);

#endif
