/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a password belongs to a stored hash, in the forms of htpasswd. Slow by design: not for the
 * thread of a loop. */
#ifndef BASE_PASSWORD_H
#define BASE_PASSWORD_H

#include <stddef.h>

#include "base/compiler.h"

/* 1 when the form is known: $apr1$, {SHA}, {SSHA}, $2a$ $2b$ $2y$, $1$, $5$, $6$, and the 13 letters
 * of the old crypt. Text as it is (and {PLAIN}) is not, nor what would take longer than some seconds:
 * bcrypt of a cost over 16, more than five million rounds. */
int password_is_known(const char *hash, size_t length);
/* 1 match, 0 no match (also for a form that is not known), UV_ENOMEM. Neither text needs a NUL. */
MG_MUST_USE int password_check(const char *password, size_t length, const char *hash,
                               size_t hash_length);

#endif
