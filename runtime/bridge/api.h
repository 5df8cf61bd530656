/* SPDX-License-Identifier: Apache-2.0 */
/* The one list of what Lua may call. The text between the markers, with that of the headers it
 * includes, is handed to ffi.cdef as it stands.
 *
 * Results: 0 or more is success, negative an error code (base/err.h). `request` and `generation` name a
 * request; a generation that is over gets ERR_STALE. Texts are borrowed by the callee during the call
 * and by the caller until its next call that changes the request. */
#ifndef BRIDGE_API_H
#define BRIDGE_API_H

#include <stdint.h>

#pragma GCC visibility push(default)

/* cdef-begin */
#include "base/series_config.h"
#include "exchange/record.h"
#include "exchange/stage.h"

struct mg_vm;
struct mg_snapshot;

/* Errors: bridge/api_core.c */
const char *mg_error_name(int32_t error);
const char *mg_error_text(int32_t error);
/* The code behind a name of base/err.h; 0 when there is none. */
int32_t mg_error_code(const char *name);

/* Log lines: bridge/api_core.c. Levels: 0 debug, 1 info, 2 warn, 3 error. One line at a time. */
int32_t mg_log_begin(struct mg_vm *vm, int32_t level, const char *event, uint32_t length);
void mg_log_pair(struct mg_vm *vm, const char *key, uint32_t key_length, const char *value,
                 uint32_t value_length);
void mg_log_end(struct mg_vm *vm);
void mg_log_setup(int32_t level, int32_t json);
/* For the control thread, while it serves. A path is opened anew; empty: standard error. */
void mg_log_least(int32_t level);
int32_t mg_log_open(const char *path);
int32_t mg_log_is_json(void);

/* Counters: bridge/api_stats.c and metrics.c */
struct mg_stat {
  const char *name;
  const char *label; /* with `label_value` null: all labels, as `name="value"` */
  const char *label_value;
  const char *help;
  int32_t kind; /* 0 counter, 1 gauge; of a histogram: 2 one bucket, 3 the sum */
};
/* Counters of the gateway itself by their position; 0 past the end. Lines of one name follow each
 * other. */
int32_t mg_stat_at(uint32_t position, struct mg_stat *stat);
/* What worker `index` has counted; for the control thread. */
double mg_worker_stat(struct mg_vm *vm, uint32_t index, uint32_t position);
/* Scripts that failed outside a hook, in all threads. */
double mg_script_errors(struct mg_vm *vm);
/* 0 CPU seconds, 1 resident bytes, 2 open files, 3 start in seconds since 1970, 4 files permitted, 5
 * virtual bytes, 6 bytes read from and 7 written to storage. */
double mg_process_stat(int32_t which);
/* Requests by route, host, method and status, for the control thread: series.c. A page begins by adding
 * up what the workers have; what is dropped in it they forget when it ends. */
struct mg_series {
  uint32_t route; /* mg_route_names.series; 0: none */
  uint32_t status;
  const char *method;
  struct mg_text host;
  struct mg_text alternative;
};
/* Before the workers start. */
void mg_series_setup(struct mg_vm *vm, const struct mg_series_config *config);
/* Returns how many positions there are; 0: none, and nothing to end. Below 0: out of memory. */
int32_t mg_series_begin(struct mg_vm *vm);
/* 1 when there is one at that position. */
int32_t mg_series_at(struct mg_vm *vm, uint32_t position, struct mg_series *series);
void mg_series_drop(struct mg_vm *vm, uint32_t position);
/* What is told of each, by position: 1, or 0 past the end. */
int32_t mg_series_metric(uint32_t metric, struct mg_stat *stat);
/* Adds the lines of a metric to the text that mg_series_take empties. Below 0: out of memory. */
int32_t mg_series_print(struct mg_vm *vm, uint32_t position, uint32_t metric, const char *labels);
void mg_series_take(struct mg_vm *vm, struct mg_text *text);
void mg_series_end(struct mg_vm *vm);
/* Counts that a limit was gone over, by the setting's name. */
void mg_count_limit(struct mg_vm *vm, const char *setting, uint32_t length);
/* Metrics of scripts, process-wide, for ever: base/metrics.c. One series is a name and a text of labels;
 * `kind` 0 counter, 1 gauge. Null: there are too many, or the name is of another kind. */
struct mg_metric;
struct mg_metric *mg_metric(struct mg_vm *vm, int32_t kind, const char *name, uint32_t name_length,
                            const char *labels, uint32_t labels_length, const char *help,
                            uint32_t help_length);
void mg_metric_add(struct mg_metric *metric, double by);
void mg_metric_set(struct mg_metric *metric, double value);
double mg_metric_value(const struct mg_metric *metric);
/* All of them, in no order; `metric` null: the first. */
const struct mg_metric *mg_metric_next(struct mg_vm *vm, const struct mg_metric *metric);
void mg_metric_describe(const struct mg_metric *metric, struct mg_stat *stat);

/* JSON: bridge/api_json.c */
enum mg_json_kind {
  MG_JSON_NULL,
  MG_JSON_FALSE,
  MG_JSON_TRUE,
  MG_JSON_NUMBER,
  MG_JSON_STRING,
  MG_JSON_ARRAY,
  MG_JSON_OBJECT
};
struct mg_json;
/* Null: out of memory. A text that is not JSON gives a document without root and with an error; strings
 * that are not UTF-8 are taken as they are with any_bytes. */
struct mg_json *mg_json_read(const char *text, uint64_t length, int32_t any_bytes);
void mg_json_free(struct mg_json *json);
const void *mg_json_root(const struct mg_json *json);
const char *mg_json_error(const struct mg_json *json);
/* Offset of the error in bytes. */
uint32_t mg_json_error_at(const struct mg_json *json);
int32_t mg_json_kind(const void *node);
double mg_json_number(const void *node);
void mg_json_text(const void *node, struct mg_text *text);
/* Elements of an array, pairs of an object. */
uint32_t mg_json_count(const void *node);
/* The first child, and the one after `node`; an object's are key, value, key, value. Only as many as
 * there are may be asked for. */
const void *mg_json_first(const void *node);
const void *mg_json_next(const void *node);

/* Time: seconds since 1970, and since some point that never changes; the loop's, read once a turn. */
double mg_time_now(void);
double mg_time_monotonic(void);

/* Tasks: bridge/api_task.c. A wait returns 0 and is followed by a yield, which gives the result. */
int32_t mg_wait_timer(struct mg_vm *vm, double seconds);
/* Ends a wait that has begun where no yield can follow. */
void mg_wait_cancel(struct mg_vm *vm);
/* Waits for mg_unpark. */
int32_t mg_park(struct mg_vm *vm);
/* The task that runs now: number and generation for mg_unpark; -1 outside a task. */
int32_t mg_task_number(struct mg_vm *vm);
/* 1 when the present task is a hook of that request. */
int32_t mg_task_serves(struct mg_vm *vm, const struct mg_request *request);
uint32_t mg_task_generation(struct mg_vm *vm);
/* Ends a wait by mg_park or mg_wait_timer; ERR_STALE when that task is in none any more. */
int32_t mg_unpark(struct mg_vm *vm, uint32_t number, uint32_t generation, int32_t result);
/* Runs moongate.boot.start(id) as a task at the loop's next turn. */
int32_t mg_spawn(struct mg_vm *vm, uint32_t id);
/* The next yield of this task is its last: the stage ends with `verdict` (0 go on, 2 answer, 3 abort). */
void mg_task_end(struct mg_vm *vm, int32_t verdict);

/* Requests: bridge/api_request.c. Heads: 0 as received, 1 as it goes upstream, 2 the response; trailers
 * of the request 3, of the response 4. */
struct mg_request *mg_request_at(struct mg_vm *vm, uint32_t slot);
/* 1 when there is an `nth` (from 0) field of that name, else 0. */
int32_t mg_head_get(struct mg_request *request, uint32_t generation, int32_t head, const char *name,
                    uint32_t length, uint32_t nth, struct mg_text *value);
int32_t mg_request_header(struct mg_request *request, uint32_t generation, const char *name,
                          uint32_t length, uint32_t nth, struct mg_text *value);
int32_t mg_head_count(struct mg_request *request, uint32_t generation, int32_t head);
int32_t mg_head_at(struct mg_request *request, uint32_t generation, int32_t head, uint32_t index,
                   struct mg_text *name, struct mg_text *value);
/* `add` 0 replaces all fields of that name. ERR_BAD_FIELD: not a token, or a value with CR, LF, NUL. */
int32_t mg_head_set(struct mg_request *request, uint32_t generation, int32_t head, const char *name,
                    uint32_t name_length, const char *value, uint32_t value_length, int32_t add);
/* Returns how many went. */
int32_t mg_head_remove(struct mg_request *request, uint32_t generation, int32_t head,
                       const char *name, uint32_t length);
int32_t mg_upstream_set_target(struct mg_request *request, uint32_t generation, const char *target,
                               uint32_t length);
int32_t mg_upstream_set_method(struct mg_request *request, uint32_t generation, const char *method,
                               uint32_t length);
int32_t mg_upstream_target(struct mg_request *request, uint32_t generation, struct mg_text *target);
/* Changes what routes match: request target and host, as if they had been received so. */
int32_t mg_request_set_target(struct mg_request *request, uint32_t generation, const char *target,
                              uint32_t length);
int32_t mg_request_set_host(struct mg_request *request, uint32_t generation, const char *host,
                            uint32_t length);
/* 1 when that is known of the client's TLS. */
int32_t mg_client_tls(struct mg_request *request, uint32_t generation, int32_t fact,
                      struct mg_text *text);
int32_t mg_request_id(struct mg_request *request, uint32_t generation, struct mg_text *id);
/* Begins the gateway's own answer; head 2 is empty afterwards. `source`: enum mg_source. */
int32_t mg_respond(struct mg_request *request, uint32_t generation, uint32_t status,
                   int32_t source);
/* Appends to the own answer's body, or to what replaces the upstream's in the response stage. */
int32_t mg_respond_body(struct mg_request *request, uint32_t generation, const char *data,
                        uint32_t length);
int32_t mg_response_set_status(struct mg_request *request, uint32_t generation, uint32_t status);
/* The body of the response goes out as gzip (`coding` 0) or br (1). */
int32_t mg_response_encode(struct mg_request *request, uint32_t generation, int32_t coding,
                           int32_t level);
/* Drops the body of the response; mg_respond_body gives another. */
int32_t mg_response_drop_body(struct mg_request *request, uint32_t generation);
/* Waits until the body of the request (0) or response (1) is whole; ERR_BODY_TOO_LARGE past `max`. */
int32_t mg_body_wait(struct mg_vm *vm, struct mg_request *request, uint32_t generation,
                     int32_t which, uint64_t max);
/* What has come of the body, after mg_body_wait. */
int32_t mg_body_get(struct mg_request *request, uint32_t generation, int32_t which,
                    struct mg_text *body);
/* Keeps a copy of the request's body as it passes, from the request stages on, unless it is longer than
 * `max`. */
int32_t mg_request_keep(struct mg_request *request, uint32_t generation, uint64_t max);
/* 1 and that copy, in the log stage; 0 when the body did not come whole, or was too long. */
int32_t mg_request_kept(struct mg_request *request, uint32_t generation, struct mg_text *body);
/* Replaces the request's body, after mg_body_wait. */
int32_t mg_body_set(struct mg_request *request, uint32_t generation, const char *data,
                    uint32_t length);
/* The present piece in a body stage; returns 1 when it is the last. */
int32_t mg_chunk_get(struct mg_request *request, uint32_t generation, struct mg_text *chunk);
/* UV_EINVAL: record.keeps_length says that a piece of the response keeps its length. */
int32_t mg_chunk_set(struct mg_request *request, uint32_t generation, const char *data,
                     uint32_t length);
/* 1 when the client has left. */
int32_t mg_request_gone(struct mg_request *request, uint32_t generation);

/* Hashes and chance: bridge/api_crypto.c. `algorithm`: MD5, SHA1, SHA256, SHA384, SHA512. Results go
 * to `out`, as bytes; the length is returned, or an error. */
enum {
  MG_DIGEST_MAX = 64
};
int32_t mg_digest(const char *algorithm, const char *data, uint32_t length, char *out);
int32_t mg_hmac(const char *algorithm, const char *key, uint32_t key_length, const char *data,
                uint32_t length, char *out);
int32_t mg_random(char *out, uint32_t length);
/* Writes two hexadecimal digits for each of `length` random bytes, 1 to 64, which are drawn many at once. */
int32_t mg_random_hex(struct mg_vm *vm, char *out, uint32_t length);
/* 1 when both are equal, in time that depends on the lengths alone. */
int32_t mg_equal(const char *a, uint32_t a_length, const char *b, uint32_t b_length);

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
/* The same for a match that begins at byte `from` or later. */
int32_t mg_regex_match_from(const struct mg_regex *regex, const char *text, uint32_t length,
                            uint32_t from, uint32_t *captures, uint32_t pairs);
/* The first of `count` patterns, from `first` on, that matches: its position, or `count` when none
 * does. *limited is set to 1, else 0, when that one hit a limit instead. */
uint32_t mg_regex_first(const struct mg_regex *const *list, uint32_t count, uint32_t first,
                        const char *text, uint32_t length, uint32_t *limited);
/* For a pattern that was given to no part; null is permitted. */
void mg_regex_free(struct mg_regex *regex);

/* What configuration is made into once: bridge/api_values.c */

/* A set of IP networks, filled and sealed before it is asked. Null: out of memory. */
struct mg_networks;
struct mg_networks *mg_networks_new(void);
/* UV_EINVAL when `text` is neither an address nor a network. */
int32_t mg_networks_add(struct mg_networks *networks, const char *text, uint32_t length);
void mg_networks_seal(struct mg_networks *networks);
/* 1 when the address `text` lies in one of them. */
int32_t mg_networks_contain(const struct mg_networks *networks, const char *text, uint32_t length);
void mg_networks_free(struct mg_networks *networks);
/* The 16 bytes of an address or network, IPv4 as ::ffff:a.b.c.d, to `bytes`; returns the prefix's bits,
 * UV_EINVAL for what is neither. */
int32_t mg_ip_parse(const char *text, uint32_t length, char *bytes);
/* A counter that all threads share by its name, for as long as somebody refers to it. Null: out of
 * memory. */
struct mg_counter;
struct mg_counter *mg_counter_ref(const char *name, uint32_t length);
/* How many took a turn before, modulo `modulus` (above 0). */
uint32_t mg_counter_next(struct mg_counter *counter, uint32_t modulus);
void mg_counter_unref(struct mg_counter *counter);

/* Passwords: bridge/api_password.c */
/* Waits until the password has been compared with a hash of htpasswd's forms, in another thread: 1
 * match, 0 none. ERR_LIMIT: too many comparisons are under way. */
int32_t mg_wait_password(struct mg_vm *vm, const char *password, uint32_t length, const char *hash,
                         uint32_t hash_length);
/* 1 when the hash has one of those forms. */
int32_t mg_password_is_known(const char *hash, uint32_t length);

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
/* Consistent hashing: writes to `order` the positions of the `most` nodes (32 at most) to which the
 * key belongs, best first, and returns how many. `seeds` tell nodes apart; the share of keys that a
 * node gets is proportional to its weight, which is above 0. */
uint32_t mg_rank(const char *key, uint32_t length, const uint32_t *seeds, const double *weights,
                 uint32_t count, uint32_t *order, uint32_t most);
/* Writes 32 hexadecimal digits and a NUL to `out`. Below 0: out of memory. */
int32_t mg_md5(const char *bytes, uint32_t length, char *out);
/* Writes the 32 bytes of the SHA-256 to `out`. Below 0: out of memory. */
int32_t mg_sha256(const char *bytes, uint32_t length, char *out);
/* 1 when the bytes are UTF-8: base/utf8.c */
int32_t mg_utf8_is_valid(const char *text, uint32_t length);
/* 1 when both texts hold the same `length` bytes. */
int32_t mg_bytes_equal(const char *a, const char *b, uint32_t length);
/* Length of the decoded value of the first parameter `name`, which is written to `out`. -1: there is
 * none. -2: it is longer than `out_size`. */
int32_t mg_query_value(const char *query, uint32_t length, const char *name, uint32_t name_length,
                       char *out, uint32_t out_size);

#include "bridge/api_control.h"
#include "bridge/api_io.h"
#include "bridge/api_tls.h"
/* cdef-end */

#pragma GCC visibility pop

#endif
