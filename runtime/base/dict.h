/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionaries that all threads share: from texts to values that may end by time. The memory of each is
 * bounded: when it is used up, what was used longest ago goes. Every call is atomic; a dictionary is
 * locked in stripes by the hash of the key.
 *
 * Times are seconds of any clock that never goes back, given by the caller; `expires` 0 is never. */
#ifndef BASE_DICT_H
#define BASE_DICT_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/compiler.h"

struct dict;
struct dict_named;

enum dict_kind {
  DICT_NONE,
  DICT_NUMBER,
  DICT_TEXT,
  DICT_FALSE,
  DICT_TRUE,
  DICT_LIMIT /* the state of dict_take_token or dict_window_add */
};

struct dict_key {
  const char *data;
  uint32_t length;
};

/* Of a text the bytes are borrowed; a text that is read is put into a buffer of the caller. */
struct dict_value {
  enum dict_kind kind;
  double number;
  const char *data;
  uint32_t length;
};

enum dict_mode {
  DICT_SET,
  DICT_ADD,    /* only a key that is not there */
  DICT_REPLACE /* only one that is */
};

/* What a limit says: how much is left, and after how many seconds more is. */
struct dict_verdict {
  double remaining;
  double wait_s;
};

MG_MUST_USE int dict_new(struct dict **out, size_t bytes);
void dict_free(struct dict *dict);
/* Bounds it anew. */
void dict_resize(struct dict *dict, size_t bytes);
/* 1, or 0 when it is not there; a text is put into `text`. UV_ENOMEM. */
MG_MUST_USE int dict_get(struct dict *dict, struct dict_key key, double now,
                         struct dict_value *value, struct buf *text);
/* 1, or 0 when the mode forbids it. ERR_LIMIT: larger than the dictionary may be. UV_ENOMEM. */
MG_MUST_USE int dict_set(struct dict *dict, struct dict_key key, double now,
                         const struct dict_value *value, double expires, enum dict_mode mode);
/* As dict_set, when the present value is `old` (DICT_NONE: not there). */
MG_MUST_USE int dict_swap(struct dict *dict, struct dict_key key, double now,
                          const struct dict_value *old, const struct dict_value *value,
                          double expires);
/* Adds to a number. 1; 0 when it is not there and `init` is NULL, else it begins with *init and ends at
 * `expires`. UV_EINVAL: it is no number. */
MG_MUST_USE int dict_add(struct dict *dict, struct dict_key key, double now, double by,
                         const double *init, double expires, double *result);
/* 1, or 0 when it was not there. */
int dict_delete(struct dict *dict, struct dict_key key, double now);
/* 1 and when it ends, or 0. */
int dict_expires(struct dict *dict, struct dict_key key, double now, double *expires);
int dict_expire(struct dict *dict, struct dict_key key, double now, double expires);
/* Takes one token of a bucket that holds `burst` and gets `rate` a second: 1, or 0 when none is left. */
MG_MUST_USE int dict_take_token(struct dict *dict, struct dict_key key, double now, double rate,
                                double burst, struct dict_verdict *verdict);
/* Counts one in a sliding window of so many seconds: 1, or 0 when `limit` is reached. */
MG_MUST_USE int dict_window_add(struct dict *dict, struct dict_key key, double now, double limit,
                                double window_s, struct dict_verdict *verdict);
/* Keys, each behind its length as uint32_t; at most `most`. UV_ENOMEM. */
MG_MUST_USE int dict_keys(struct dict *dict, double now, uint32_t most, struct buf *keys);
/* How many keys there are, those that have ended but are still held included. */
uint64_t dict_count(struct dict *dict);
void dict_flush(struct dict *dict);

/* Dictionaries by name; one is made when it is first named, and lives as long as the process. */
struct dicts {
  uv_mutex_t mutex;
  struct dict_named *first; /* of dict.c */
  uint32_t count;
};

MG_MUST_USE int dicts_init(struct dicts *dicts);
void dicts_fini(struct dicts *dicts);
/* `bytes` 0: as it is, or the usual size. ERR_LIMIT: too many, or too long a name. */
MG_MUST_USE int dicts_find(struct dicts *dicts, const char *name, uint32_t length, size_t bytes,
                           struct dict **out);

#endif
