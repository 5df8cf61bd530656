/* SPDX-License-Identifier: Apache-2.0 */
/* Counters with names that all threads share, so that what is dealt out by turn (such as the share of
 * a canary) is exact over the whole process and survives a change of configuration. */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdint.h>

struct mg_counter;

/* The counter of that name, made with 0 when nobody has it. NULL: out of memory. */
struct mg_counter *counter_ref(const char *name, uint32_t length);
/* The last reference frees it; NULL is permitted. */
void counter_unref(struct mg_counter *counter);
/* How many took a turn before, modulo `modulus` (above 0). */
uint32_t counter_next(struct mg_counter *counter, uint32_t modulus);

#endif
