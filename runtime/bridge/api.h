/* SPDX-License-Identifier: Apache-2.0 */
/* All that Lua may call. The text between the markers is handed to ffi.cdef as it stands. */
#ifndef BRIDGE_API_H
#define BRIDGE_API_H

#include <stdint.h>

#pragma GCC visibility push(default)

/* cdef-begin */
struct mg_text {
  const char *data;
  uint32_t length;
};

struct mg_request {
  uint32_t slot;
  uint32_t generation;
  struct mg_text method;
  struct mg_text target;
  struct mg_text path;
  struct mg_text query;
  struct mg_text host;
  struct mg_text authority;
  struct mg_text client_ip;
  struct mg_text peer_ip;
  uint32_t client_port;
  uint32_t version;
  uint32_t secure;
};

int32_t mg_request_header(struct mg_request *request, uint32_t generation, const char *name,
                          uint32_t length, uint32_t nth, struct mg_text *out);

/* Patterns: base/regex.c */

struct mg_regex;

/* Compiles a PCRE2 pattern on bytes. `flags`: 1 ignores case, 2 matches at the first byte of the
 * text only. Null when the pattern is wrong: `error` (borrowed, `error_size` bytes) then says why. */
struct mg_regex *mg_regex_new(const char *pattern, uint32_t length, uint32_t flags, char *error,
                              uint32_t error_size);
/* 0: no match. n: matched, n pairs of start and end stand in `captures` (the whole match first; both
 * are 0xffffffff for a group that took no part). Below 0: a limit of length or effort was hit.
 * `pairs` is what `captures` has room for, of which 32 are used at most. */
int32_t mg_regex_match(const struct mg_regex *regex, const char *text, uint32_t length,
                       uint32_t *captures, uint32_t pairs);
/* The first of `count` patterns, from `first` on, that matches: its position, or `count` when none
 * does. *limited is set to 1, else 0, when that one hit a limit instead. */
uint32_t mg_regex_first(const struct mg_regex *const *list, uint32_t count, uint32_t first,
                        const char *text, uint32_t length, uint32_t *limited);
/* For a pattern that was given to no part; null is permitted. */
void mg_regex_free(struct mg_regex *regex);

/* Bytes: base/hash.c, base/query.c */

/* Hash of `length` bytes, well spread in all 32 bits and the same in every version. */
uint32_t mg_hash(const char *bytes, uint32_t length, uint32_t seed);
/* Hashes of a path, in marks of two numbers each: a length, and the hash of that many bytes. The
 * first mark is the whole path, then follow, shortest first, nothing, `/a` and `/a/b` of `/a/b/`.
 * `most` marks have room, at least 2; returns how many there are. */
uint32_t mg_hash_path(const char *path, uint32_t length, uint32_t *marks, uint32_t most);
/* An index is a hash table in a block of bytes, from a text and a kind (not 0) to two numbers. The
 * texts lie in the block too, which may be copied as a whole. Filled once: `bytes` zeroed bytes at a
 * multiple of 8, as many as mg_index_bytes says, which mg_index_init makes an index of. */
uint32_t mg_index_bytes(uint32_t keys);
void mg_index_init(char *index, uint32_t bytes);
void mg_index_put(char *index, uint32_t kind, const char *key, uint32_t length, uint32_t first,
                  uint32_t second);
/* 1: found, and `values` holds the two numbers. 0: not there. */
int32_t mg_index_find(const char *index, uint32_t kind, const char *key, uint32_t length,
                      uint32_t *values);
/* The same for the bytes of `path` that one of its marks (see mg_hash_path) stands for. */
int32_t mg_index_find_mark(const char *index, uint32_t kind, const char *path,
                           const uint32_t *marks, uint32_t mark, uint32_t *values);
/* The greatest of the marks 1 to `mark` that is found, or 0. */
uint32_t mg_index_find_longest(const char *index, uint32_t kind, const char *path,
                               const uint32_t *marks, uint32_t mark, uint32_t *values);
/* Looks for the first `lengths[i]` bytes of `path`, for i from `first` on: the first i that is found,
 * or `count`. A length beyond the path's is passed over. */
uint32_t mg_index_find_length(const char *index, uint32_t kind, const char *path, uint32_t length,
                              const uint32_t *lengths, uint32_t count, uint32_t first,
                              uint32_t *values);
/* Writes 32 hexadecimal digits and a NUL to `out`. Below 0: out of memory. */
int32_t mg_md5(const char *bytes, uint32_t length, char *out);
/* 1 when both texts hold the same `length` bytes. */
int32_t mg_bytes_equal(const char *a, const char *b, uint32_t length);
/* Length of the decoded value of the first parameter `name`, which is written to `out`. -1: there is
 * none. -2: it is longer than `out_size`. */
int32_t mg_query_value(const char *query, uint32_t length, const char *name, uint32_t name_length,
                       char *out, uint32_t out_size);

/* Snapshots: control/snapshot.c */

struct mg_part;
struct mg_draft;
struct mg_snapshot;
struct mg_certificate;

/* A part is an immutable, counted block, aligned to 16 bytes. Copies `bytes`; the caller has one
 * reference. Null: out of memory. */
struct mg_part *mg_part_new(const char *bytes, uint32_t length);
const char *mg_part_bytes(const struct mg_part *part);
uint32_t mg_part_length(const struct mg_part *part);
/* The regex is given to the part, in success or failure. Below 0: out of memory. To be called before
 * the part is in a snapshot. */
int32_t mg_part_keep_regex(struct mg_part *part, struct mg_regex *regex);
void mg_part_unref(struct mg_part *part);

/* A draft becomes a snapshot. What is put in twice under one name or id counts as put in last. Each
 * function takes a reference of its own; below 0: out of memory, or an id of 2^24 or more. */
struct mg_draft *mg_draft_new(uint64_t number);
int32_t mg_draft_host(struct mg_draft *draft, const char *name, uint32_t length,
                      struct mg_part *part);
int32_t mg_draft_service(struct mg_draft *draft, uint32_t id, struct mg_part *part);
int32_t mg_draft_plan(struct mg_draft *draft, uint32_t id, struct mg_part *part);
/* `name` is lower case; "*.a.test" covers one label, "" is the default certificate. */
int32_t mg_draft_certificate(struct mg_draft *draft, const char *name, uint32_t length,
                             struct mg_certificate *certificate);
/* The draft is gone; the caller has one reference to the snapshot. */
struct mg_snapshot *mg_draft_finish(struct mg_draft *draft);
/* Drops a draft that shall not become a snapshot. */
void mg_draft_free(struct mg_draft *draft);

struct mg_snapshot *mg_snapshot_ref(struct mg_snapshot *snapshot);
/* From any thread; null is permitted. */
void mg_snapshot_unref(struct mg_snapshot *snapshot);
uint64_t mg_snapshot_number(const struct mg_snapshot *snapshot);
/* Bytes of a part, or null. `name` is lower case and looked up as it stands. */
const char *mg_snapshot_host(const struct mg_snapshot *snapshot, const char *name, uint32_t length);
/* The next host that is stored as the end of `name` from a dot on, longest first; null at the end.
 * `cursor` has two numbers that are 0 at first: where to go on, and how many labels were cut off. */
const char *mg_snapshot_wildcard(const struct mg_snapshot *snapshot, const char *name,
                                 uint32_t length, uint32_t *cursor);
const char *mg_snapshot_service(const struct mg_snapshot *snapshot, uint32_t id);
const char *mg_snapshot_plan(const struct mg_snapshot *snapshot, uint32_t id);
/* The certificate for a server name (any case, final dot ignored): that of the name, of "*.parent",
 * or the default; null when there is none. Borrowed from the snapshot. */
struct mg_certificate *mg_snapshot_certificate(const struct mg_snapshot *snapshot, const char *name,
                                               uint32_t length);
/* cdef-end */

#pragma GCC visibility pop

#endif
