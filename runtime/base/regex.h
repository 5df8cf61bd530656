/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns that come from configuration: PCRE2 with its JIT, on bytes (no UTF), under limits.
 * A compiled pattern is read-only, so that all threads match with the same one at once. */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include <stdint.h>

#include "base/compiler.h"

enum {
  REGEX_CASELESS = 1,
  REGEX_ANCHORED = 2, /* matches at the subject's first byte only */
  REGEX_PATTERN_LIMIT_BYTES = 8192,
  REGEX_SUBJECT_LIMIT_BYTES = 32768, /* the largest header block */
  REGEX_PAIRS_MAX = 32,
  REGEX_UNSET = -1, /* as uint32_t: start and end of a group that took no part */
};

struct mg_regex;

/* Compiles `length` bytes of `pattern`. NULL: `error` says why and where, in at most `error_size`
 * bytes with the final NUL. */
struct mg_regex *regex_new(const char *pattern, uint32_t length, uint32_t flags, char *error,
                           uint32_t error_size);
/* NULL is permitted. */
void regex_free(struct mg_regex *regex);
/* 0: no match. n: matched, and the first n pairs of start and end stand in `captures` (pair 0 is the
 * whole match); at most `pairs`. ERR_LIMIT: the subject is too long or the pattern backtracks too
 * much, which is not "no match". */
MG_MUST_USE int regex_match(const struct mg_regex *regex, const char *text, uint32_t length,
                            uint32_t *captures, uint32_t pairs);
/* The same for a match that begins at `from` or later; what stands before still counts for `^`, `\\b`
 * and look-behinds. */
MG_MUST_USE int regex_match_from(const struct mg_regex *regex, const char *text, uint32_t length,
                                 uint32_t from, uint32_t *captures, uint32_t pairs);

#endif
