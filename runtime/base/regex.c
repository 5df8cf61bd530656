/* SPDX-License-Identifier: Apache-2.0 */
#include "base/regex.h"

#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/err.h"

enum {
  /* `(a+)+$` on 30 bytes ends after 30 µs with this; no pattern of a sane route comes near. */
  MATCH_LIMIT = 20000,
  DEPTH_LIMIT = 1000,
  HEAP_LIMIT_KIB = 1024,
  /* A block of match data for REGEX_PAIRS_MAX pairs takes less. */
  SCRATCH_BYTES = 2048,
};

struct mg_regex {
  pcre2_code *code;
  pcre2_match_context *limits; /* never written after regex_new */
};

/* The match data of one call: on the stack, so that a match neither allocates nor shares. */
struct scratch {
  size_t used;
  _Alignas(16) char bytes[SCRATCH_BYTES];
};

static void *scratch_take(PCRE2_SIZE size, void *data)
{
  struct scratch *scratch = data;
  size_t rounded = (size + 15) & ~(size_t)15;
  if (rounded < size || rounded > sizeof(scratch->bytes) - scratch->used)
    return malloc(size);
  void *block = scratch->bytes + scratch->used;
  scratch->used += rounded;
  return block;
}

static void scratch_give(void *block, void *data)
{
  const struct scratch *scratch = data;
  uintptr_t offset = (uintptr_t)block - (uintptr_t)scratch->bytes;
  if (offset >= sizeof(scratch->bytes))
    free(block);
}

static void explain(char *error, uint32_t error_size, int code, size_t at)
{
  PCRE2_UCHAR text[160];
  if (pcre2_get_error_message(code, text, sizeof(text)) < 0)
    text[0] = '\0';
  if (error_size > 0)
    (void)snprintf(error, error_size, "%s at offset %zu", (const char *)text, at);
}

static pcre2_code *compile(const char *pattern, uint32_t length, uint32_t flags, int *code,
                           size_t *at)
{
  pcre2_compile_context *context = pcre2_compile_context_create(NULL);
  if (!context) {
    *code = PCRE2_ERROR_NOMEMORY;
    return NULL;
  }
  (void)pcre2_set_max_pattern_length(context, REGEX_PATTERN_LIMIT_BYTES);
  uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C;
  if (flags & REGEX_CASELESS)
    options |= PCRE2_CASELESS;
  if (flags & REGEX_ANCHORED)
    options |= PCRE2_ANCHORED;
  pcre2_code *made = pcre2_compile((PCRE2_SPTR)pattern, length, options, code, at, context);
  pcre2_compile_context_free(context);
  return made;
}

struct mg_regex *regex_new(const char *pattern, uint32_t length, uint32_t flags, char *error,
                           uint32_t error_size)
{
  int code = PCRE2_ERROR_NOMEMORY;
  size_t at = 0;
  struct mg_regex *self = calloc(1, sizeof(*self));
  if (!self)
    goto fail;
  self->code = compile(pattern, length, flags, &code, &at);
  if (!self->code)
    goto free_self;
  self->limits = pcre2_match_context_create(NULL);
  if (!self->limits) {
    code = PCRE2_ERROR_NOMEMORY;
    goto free_code;
  }
  (void)pcre2_set_match_limit(self->limits, MATCH_LIMIT);
  (void)pcre2_set_depth_limit(self->limits, DEPTH_LIMIT);
  (void)pcre2_set_heap_limit(self->limits, HEAP_LIMIT_KIB);
  /* Where there is no JIT the interpreter serves. */
  (void)pcre2_jit_compile(self->code, PCRE2_JIT_COMPLETE);
  return self;

free_code:
  pcre2_code_free(self->code);
free_self:
  free(self);
fail:
  explain(error, error_size, code, at);
  return NULL;
}

void regex_free(struct mg_regex *regex)
{
  if (!regex)
    return;
  pcre2_match_context_free(regex->limits);
  pcre2_code_free(regex->code);
  free(regex);
}

static int copy_pairs(pcre2_match_data *data, int found, uint32_t *captures, uint32_t pairs)
{
  const PCRE2_SIZE *from = pcre2_get_ovector_pointer(data);
  /* 0 says that there were more groups than room. */
  uint32_t count = found == 0 || (uint32_t)found > pairs ? pairs : (uint32_t)found;
  for (uint32_t i = 0; i < 2 * count; i++)
    captures[i] = from[i] == PCRE2_UNSET ? (uint32_t)REGEX_UNSET : (uint32_t)from[i];
  /* With no room asked for, a match still is one. */
  return count > 0 ? (int)count : 1;
}

int regex_match_from(const struct mg_regex *regex, const char *text, uint32_t length, uint32_t from,
                     uint32_t *captures, uint32_t pairs)
{
  if (length > REGEX_SUBJECT_LIMIT_BYTES)
    return ERR_LIMIT;
  if (from > length)
    return 0;
  if (pairs > REGEX_PAIRS_MAX)
    pairs = REGEX_PAIRS_MAX;
  struct scratch scratch;
  scratch.used = 0;
  pcre2_general_context *memory =
      pcre2_general_context_create(scratch_take, scratch_give, &scratch);
  if (!memory)
    return ERR_NO_MEMORY;
  pcre2_match_data *data = pcre2_match_data_create(pairs > 0 ? pairs : 1, memory);
  if (!data) {
    pcre2_general_context_free(memory);
    return ERR_NO_MEMORY;
  }
  const PCRE2_SPTR subject = (PCRE2_SPTR)(length > 0 ? text : "");
  int found = pcre2_match(regex->code, subject, length, from, 0, data, regex->limits);
  /* The JIT has 32 KiB of stack; what needs more is given to the interpreter and its heap limit. */
  if (found == PCRE2_ERROR_JIT_STACKLIMIT)
    found = pcre2_match(regex->code, subject, length, from, PCRE2_NO_JIT, data, regex->limits);
  int result = found == PCRE2_ERROR_NOMATCH ? 0 : ERR_LIMIT;
  if (found >= 0)
    result = copy_pairs(data, found, captures, pairs);
  pcre2_match_data_free(data);
  pcre2_general_context_free(memory);
  return result;
}

int regex_match(const struct mg_regex *regex, const char *text, uint32_t length, uint32_t *captures,
                uint32_t pairs)
{
  return regex_match_from(regex, text, length, 0, captures, pairs);
}
