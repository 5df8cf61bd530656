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
/* 0 CPU seconds, 1 resident bytes, 2 open files, 3 start in seconds since 1970, 4 files permitted. */
double mg_process_stat(int32_t which);
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
/* Null: out of memory. A text that is not JSON gives a document without root and with an error. */
struct mg_json *mg_json_read(const char *text, uint64_t length);
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
int32_t mg_request_id(struct mg_request *request, uint32_t generation, struct mg_text *id);
/* Begins the gateway's own answer; head 2 is empty afterwards. `source`: enum mg_source. */
int32_t mg_respond(struct mg_request *request, uint32_t generation, uint32_t status,
                   int32_t source);
/* Appends to the own answer's body, or to what replaces the upstream's in the response stage. */
int32_t mg_respond_body(struct mg_request *request, uint32_t generation, const char *data,
                        uint32_t length);
int32_t mg_response_set_status(struct mg_request *request, uint32_t generation, uint32_t status);
/* Drops the body of the response; mg_respond_body gives another. */
int32_t mg_response_drop_body(struct mg_request *request, uint32_t generation);
/* Waits until the body of the request (0) or response (1) is whole; ERR_BODY_TOO_LARGE past `max`. */
int32_t mg_body_wait(struct mg_vm *vm, struct mg_request *request, uint32_t generation,
                     int32_t which, uint64_t max);
/* What has come of the body, after mg_body_wait. */
int32_t mg_body_get(struct mg_request *request, uint32_t generation, int32_t which,
                    struct mg_text *body);
/* Replaces the request's body, after mg_body_wait. */
int32_t mg_body_set(struct mg_request *request, uint32_t generation, const char *data,
                    uint32_t length);
/* The present piece in a body stage; returns 1 when it is the last. */
int32_t mg_chunk_get(struct mg_request *request, uint32_t generation, struct mg_text *chunk);
int32_t mg_chunk_set(struct mg_request *request, uint32_t generation, const char *data,
                     uint32_t length);
/* 1 when the client has left. */
int32_t mg_request_gone(struct mg_request *request, uint32_t generation);

/* Certificates: tls/certificate.c. A chain and its key, counted, for any thread; null when they are no
 * good, and `error` (borrowed, `error_size` bytes) says why. */
struct mg_certificate;
struct mg_certificate *mg_certificate_new(const char *pem, uint32_t length, const char *key,
                                          uint32_t key_length, char *error, uint32_t error_size);
void mg_certificate_unref(struct mg_certificate *certificate);
uint32_t mg_certificate_name_count(const struct mg_certificate *certificate);
const char *mg_certificate_name(const struct mg_certificate *certificate, uint32_t index);
/* Seconds since 1970. */
int64_t mg_certificate_not_after(const struct mg_certificate *certificate);
/* Makes a certificate for `name` and its key, PEM; both are freed by mg_file_free. */
int32_t mg_certificate_self_signed(const char *name, struct mg_text *certificate,
                                   struct mg_text *key);

/* TLS towards upstreams: bridge/api_tls.c. Texts that are not given are empty or null. */
struct mg_tls_options {
  uint32_t verify;
  int32_t depth;     /* intermediates that a chain may have; below 0: no limit */
  struct mg_text ca; /* PEM; empty: the system's */
  struct mg_text certificate;
  struct mg_text key;
  const char *server_name;          /* for SNI; null: none */
  const char *verify_name;          /* null: server_name */
  int32_t min_version, max_version; /* 12, 13, or 0 */
};
/* A profile of this worker, which outlives the endpoints that have it. Null: `error` says why not. */
struct mg_tls_client;
struct mg_tls_client *mg_tls_client_new(struct mg_vm *vm, const struct mg_tls_options *options,
                                        char *error, uint32_t error_size);
void mg_tls_client_free(struct mg_tls_client *profile);

/* A request that nobody sent, for the control thread: bridge/api_probe.c */
struct mg_probe;
/* Reads the text of a head, with its empty line, as if it had come from `ip` to `port`. On an error
 * *out is null. */
int32_t mg_probe_new(struct mg_vm *vm, const char *head, uint32_t length, const char *ip,
                     uint32_t ip_length, uint32_t port, int32_t tls, struct mg_probe **out);
/* To match with; its own `snapshot` is the caller's to set. */
struct mg_request *mg_probe_request(struct mg_probe *probe);
void mg_probe_free(struct mg_probe *probe);

/* Upstreams: bridge/api_upstream.c */
/* The number of an endpoint in this worker, for record.endpoint, until mg_endpoint_release; UV_EINVAL when `address` is not an IP
 * address or `unix:/path`. `tls` null: plain. */
int32_t mg_endpoint(struct mg_vm *vm, const char *address, uint32_t length, uint32_t port,
                    struct mg_tls_client *tls);

void mg_endpoint_release(struct mg_vm *vm, int32_t endpoint);
/* Waits for the addresses of a host name, by the system's resolver in a thread of its own. */
int32_t mg_wait_resolve(struct mg_vm *vm, const char *name, uint32_t length);
/* What came of it: addresses, each ended by a newline. Valid until the next resolution. */
void mg_resolved(struct mg_vm *vm, struct mg_text *addresses);

/* What a script holds open; one that is over gives ERR_STALE. */
struct mg_handle {
  uint32_t number;
  uint32_t generation;
};

/* Byte streams: bridge/api_tcp.c. Waits end with UV_ETIMEDOUT after `seconds`; 0: no limit. One task
 * at a time reads, and one writes: UV_EBUSY. */
/* `address`: an IP address, or unix:/path. mg_tcp_wait_open comes next. */
int32_t mg_tcp_connect(struct mg_vm *vm, const char *address, uint32_t length, uint32_t port,
                       struct mg_handle *handle);
int32_t mg_tcp_wait_open(struct mg_vm *vm, const struct mg_handle *handle, double seconds);
/* Waits until `least` bytes are there; UV_EOF or another error when no more will come. */
int32_t mg_tcp_wait_data(struct mg_vm *vm, const struct mg_handle *handle, uint32_t least,
                         double seconds);
/* What is there, valid until the next call or wait; returns why nothing more will come, 0: it may. */
int32_t mg_tcp_data(struct mg_vm *vm, const struct mg_handle *handle, struct mg_text *data);
/* Drops so many bytes from the front. */
int32_t mg_tcp_take(struct mg_vm *vm, const struct mg_handle *handle, uint32_t length);
/* 1 when bytes are left that the kernel has not taken: mg_tcp_wait_drained. */
int32_t mg_tcp_write(struct mg_vm *vm, const struct mg_handle *handle, const char *data,
                     uint32_t length);
int32_t mg_tcp_wait_drained(struct mg_vm *vm, const struct mg_handle *handle, double seconds);
/* Sends FIN behind what was written; reading goes on. */
int32_t mg_tcp_shutdown(struct mg_vm *vm, const struct mg_handle *handle);
/* Returns the port, 0 for a unix socket. */
int32_t mg_tcp_listen(struct mg_vm *vm, const char *address, uint32_t length,
                      struct mg_handle *handle);
int32_t mg_tcp_wait_accept(struct mg_vm *vm, const struct mg_handle *handle, double seconds);
/* UV_EAGAIN when nobody has connected. */
int32_t mg_tcp_accept(struct mg_vm *vm, const struct mg_handle *handle, struct mg_handle *out);
/* Does nothing for a stale handle. `at_once`: what is not sent yet is dropped. */
void mg_tcp_close(struct mg_vm *vm, const struct mg_handle *handle, int32_t at_once);
/* As mg_tcp_close at once, with RST. */
void mg_tcp_reset(struct mg_vm *vm, const struct mg_handle *handle);

/* Dictionaries that all threads share: bridge/api_shared.c, base/dict.c. Times are those of
 * mg_time_monotonic; `expires` 0: never. Results 1 done, 0 not, below 0 an error. */
struct dict;
struct mg_shared_value {
  int32_t kind; /* 0 nothing, 1 number, 2 text, 3 false, 4 true */
  uint32_t length;
  double number;
  const char *data;
};
/* The dictionary of that name, made when it is first named; `bytes` 0: as it is, or the usual size. */
int32_t mg_shared(struct mg_vm *vm, const char *name, uint32_t length, double bytes,
                  struct dict **dict);
/* A text is valid until this thread's next call. */
int32_t mg_shared_get(struct mg_vm *vm, struct dict *dict, const char *key, uint32_t length,
                      double now, struct mg_shared_value *value);
/* `mode`: 0 in any case, 1 only a key that is not there, 2 only one that is. */
int32_t mg_shared_set(struct dict *dict, const char *key, uint32_t length, double now,
                      const struct mg_shared_value *value, double expires, int32_t mode);
/* Puts `value` where `old` is; kind 0 stands for a key that is not there. */
int32_t mg_shared_swap(struct dict *dict, const char *key, uint32_t length, double now,
                       const struct mg_shared_value *old, const struct mg_shared_value *value,
                       double expires);
/* `init` null: the key must be there. UV_EINVAL: it is no number. */
int32_t mg_shared_incr(struct dict *dict, const char *key, uint32_t length, double now, double by,
                       const double *init, double expires, double *result);
int32_t mg_shared_delete(struct dict *dict, const char *key, uint32_t length, double now);
int32_t mg_shared_expires(struct dict *dict, const char *key, uint32_t length, double now,
                          double *expires);
int32_t mg_shared_expire(struct dict *dict, const char *key, uint32_t length, double now,
                         double expires);
/* `verdict`: what is left, and after how many seconds more is. */
int32_t mg_shared_take_token(struct dict *dict, const char *key, uint32_t length, double now,
                             double rate, double burst, double *verdict);
int32_t mg_shared_window_add(struct dict *dict, const char *key, uint32_t length, double now,
                             double limit, double window, double *verdict);
/* Keys, each behind its length as uint32_t, valid until this thread's next call. */
int32_t mg_shared_keys(struct mg_vm *vm, struct dict *dict, double now, uint32_t most,
                       struct mg_text *keys);
double mg_shared_count(struct dict *dict);
void mg_shared_flush(struct dict *dict);

/* Requests of scripts, over the connections of mg_endpoint: bridge/api_fetch.c */
struct mg_fetch;
/* Null: out of memory. `target`: path and query. */
struct mg_fetch *mg_fetch_new(struct mg_vm *vm, const char *method, uint32_t method_length,
                              const char *target, uint32_t target_length);
void mg_fetch_free(struct mg_fetch *fetch);
int32_t mg_fetch_header(struct mg_fetch *fetch, const char *name, uint32_t name_length,
                        const char *value, uint32_t value_length);
int32_t mg_fetch_body(struct mg_fetch *fetch, const char *data, uint32_t length);
/* Sends it and waits for the whole response, of which the body has at most `limit` bytes. Once. */
int32_t mg_fetch_wait(struct mg_vm *vm, struct mg_fetch *fetch, int32_t endpoint,
                      double connect_seconds, double seconds, double limit);
int32_t mg_fetch_status(const struct mg_fetch *fetch);
/* 1, or 0 when there are no more fields. */
int32_t mg_fetch_head_at(const struct mg_fetch *fetch, uint32_t index, struct mg_text *name,
                         struct mg_text *value);
void mg_fetch_text(const struct mg_fetch *fetch, struct mg_text *text);

/* Hashes and chance: bridge/api_crypto.c. `algorithm`: MD5, SHA1, SHA256, SHA384, SHA512. Results go
 * to `out`, as bytes; the length is returned, or an error. */
enum {
  MG_DIGEST_MAX = 64
};
int32_t mg_digest(const char *algorithm, const char *data, uint32_t length, char *out);
int32_t mg_hmac(const char *algorithm, const char *key, uint32_t key_length, const char *data,
                uint32_t length, char *out);
int32_t mg_random(char *out, uint32_t length);
/* 1 when both are equal, in time that depends on the lengths alone. */
int32_t mg_equal(const char *a, uint32_t a_length, const char *b, uint32_t b_length);

/* Child processes, for `moongate test`: bridge/api_process.c */
/* `arguments`: each ended by NUL, the program first. Its output is read by `output` and `errors`. A
 * child that lives when its thread ends is killed. */
int32_t mg_process_start(struct mg_vm *vm, const char *arguments, uint32_t length,
                         struct mg_handle *process, struct mg_handle *output,
                         struct mg_handle *errors);
int32_t mg_process_pid(struct mg_vm *vm, const struct mg_handle *process);
int32_t mg_process_kill(struct mg_vm *vm, const struct mg_handle *process, int32_t signal);
/* Waits for its end: the exit code, or 128 and the signal's number. The handle is stale afterwards. */
int32_t mg_process_wait(struct mg_vm *vm, const struct mg_handle *process, double seconds);
/* Path of this program. */
int32_t mg_executable(char *path, uint32_t size);

/* This thread as a gateway of its own, for `moongate test`: worker.c */
/* A connection of a client at `ip` that is in memory only; `secure`: as if by TLS. */
int32_t mg_test_connect(struct mg_vm *vm, const char *ip, uint32_t length, int32_t secure,
                        struct mg_handle *handle);
/* Requests that begin from now on get this snapshot, whose reference is given. */
int32_t mg_test_serve(struct mg_vm *vm, struct mg_snapshot *snapshot);

/* Settings of a thread, read when mg_settings_apply is called: bridge/api_settings.c */
struct mg_settings {
  uint32_t client_header_ms, client_body_ms, keep_alive_ms, client_send_ms, tunnel_ms;
  uint32_t header_bytes, target_bytes, fields, field_bytes;
  uint32_t drop_underscores;
  uint32_t request_fields; /* bits of enum exchange_fields */
  uint32_t public_http_port, public_https_port;
  uint32_t keep_alive_requests; /* 0: no limit */
  uint32_t upstream_idle_ms, upstream_idle_count;
  uint32_t upstream_requests, upstream_life_ms; /* of a connection; 0: no limit */
  uint32_t stages;                              /* what a request that Lua never saw shows to it */
  uint32_t proxy_protocol; /* 1: connections of clients begin with a PROXY header */
};
struct mg_settings *mg_settings(struct mg_vm *vm);
void mg_settings_apply(struct mg_vm *vm);
/* The access log of a worker: bridge/api_core.c */
struct mg_access_log {
  struct mg_text format; /* with variables of nginx; empty: no log */
  struct mg_text path;   /* empty: standard output */
  struct mg_text skip; /* request targets without a line, each ended by LF; `~` begins a pattern */
  int32_t escape;      /* 0 as nginx does, 1 for JSON, 2 none */
  int32_t not_found;   /* 1: lines for requests that nobody serves */
};
/* Takes settings (borrowed) over; on an error there is no log. Does nothing in the control thread. */
int32_t mg_access_log(struct mg_vm *vm, const struct mg_access_log *settings);
/* 1 and the first name in a format that is no variable, borrowed from it; 0 when there is none. */
int32_t mg_access_log_unknown(const char *format, uint32_t length, struct mg_text *name);
/* Proxies whose forwarding fields are believed; `clear` first, then each network. */
void mg_trust_clear(struct mg_vm *vm);
int32_t mg_trust(struct mg_vm *vm, const char *network, uint32_t length);

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
/* 1 when both texts hold the same `length` bytes. */
int32_t mg_bytes_equal(const char *a, const char *b, uint32_t length);
/* Length of the decoded value of the first parameter `name`, which is written to `out`. -1: there is
 * none. -2: it is longer than `out_size`. */
int32_t mg_query_value(const char *query, uint32_t length, const char *name, uint32_t name_length,
                       char *out, uint32_t out_size);

/* Snapshots: control/snapshot.c */

struct mg_part;
struct mg_draft;
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
/* A host whose name matches `regex`, which the part keeps; asked in this order, after all names. */
int32_t mg_draft_alias(struct mg_draft *draft, const struct mg_regex *regex, struct mg_part *part);
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
/* Bytes of the first host whose pattern the name matches, or null. */
const char *mg_snapshot_alias(const struct mg_snapshot *snapshot, const char *name,
                              uint32_t length);
/* One more than the greatest service id. */
uint32_t mg_snapshot_service_count(const struct mg_snapshot *snapshot);
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

/* YAML, and so JSON with positions: control/yaml.c, for the control thread. A text holds documents; each
 * has either a root node or an error with its position, and a bad document does not spoil the others.
 * After an error of syntax there is nothing more to read, so it belongs to the last document. Node 0
 * means "none". The children of a mapping are key, value, key, value. */
/* The documents of one text. Owned by the caller of mg_yaml_read. */
struct mg_yaml;

/* Reads `length` bytes of `text` (borrowed). Returns null when memory is short;
 * whatever is wrong with the text itself is an error of a document. */
struct mg_yaml *mg_yaml_read(const char *text, uint64_t length);

/* Frees all that mg_yaml_read made; null is permitted. */
void mg_yaml_free(struct mg_yaml *yaml);

/* Number of documents, those with an error included. */
uint32_t mg_yaml_document_count(const struct mg_yaml *yaml);

/* Root node of document `index` (from 0), or 0 if it is empty or has an error. */
uint32_t mg_yaml_document_root(const struct mg_yaml *yaml, uint32_t index);

/* What is wrong with the document as text that lives as long as `yaml`, or null. */
const char *mg_yaml_document_error(const struct mg_yaml *yaml, uint32_t index);

/* Position of the error, or of the document's start; both count from 1. */
uint32_t mg_yaml_document_line(const struct mg_yaml *yaml, uint32_t index);
uint32_t mg_yaml_document_column(const struct mg_yaml *yaml, uint32_t index);

/* 0 none, 1 plain scalar, 2 quoted scalar, 3 sequence, 4 mapping. */
int32_t mg_yaml_kind(const struct mg_yaml *yaml, uint32_t node);

/* Position of the node's first byte; both count from 1. */
uint32_t mg_yaml_line(const struct mg_yaml *yaml, uint32_t node);
uint32_t mg_yaml_column(const struct mg_yaml *yaml, uint32_t node);

/* Bytes of a scalar (may hold NUL) and their number; lives as long as `yaml`. */
const char *mg_yaml_text(const struct mg_yaml *yaml, uint32_t node);
uint32_t mg_yaml_length(const struct mg_yaml *yaml, uint32_t node);

/* First child of a sequence or mapping, and the one after `node`; 0 ends. */
uint32_t mg_yaml_first(const struct mg_yaml *yaml, uint32_t node);
uint32_t mg_yaml_next(const struct mg_yaml *yaml, uint32_t node);

/* Files: control/file.c, for the control thread. The texts are freed by mg_file_free. */
/* Kinds: 0 nothing there, 1 file, 2 folder, 3 other; symbolic links are followed. `stamp` changes with
 * the file's content: of time, size and identity. */
int32_t mg_file_stat(const char *path, uint64_t *stamp);
/* Names in a folder, sorted, each ended by a NUL. */
int32_t mg_file_list(const char *path, struct mg_text *names);
/* At most `limit` bytes, else UV_EFBIG. */
int32_t mg_file_read(const char *path, uint64_t limit, struct mg_text *content);
void mg_file_free(struct mg_text *text);
/* Wakes its waiter when something in one of its folders changes: control/watch.c */
struct mg_watch;
struct mg_watch *mg_watch_new(struct mg_vm *vm);
/* Folders that are watched already stay so; those not named since the last mg_watch_sweep go. */
int32_t mg_watch_add(struct mg_watch *watch, const char *folder);
void mg_watch_sweep(struct mg_watch *watch);
/* Waits until something changed since the last wait, then for `quiet` seconds without a change. */
int32_t mg_watch_wait(struct mg_vm *vm, struct mg_watch *watch, double quiet);
void mg_watch_close(struct mg_watch *watch);

/* Life of the process: gateway.c, for the control thread */
/* Makes `count` workers, not yet running. */
int32_t mg_workers(struct mg_vm *vm, uint32_t count);
/* Binds `address` (host:port, [host]:port, :port, unix:/path) for all workers, or for the control
 * thread's own requests with kind 2. Kinds: 0 plain, 1 TLS, 2 admin, plain. Returns the port, 0 for a
 * unix socket. */
int32_t mg_listen(struct mg_vm *vm, int32_t kind, const char *address, uint32_t length);
int32_t mg_workers_start(struct mg_vm *vm);
/* Processors that this process may use. */
uint32_t mg_processors(void);
uint32_t mg_worker_count(struct mg_vm *vm);
/* Number of the snapshot that worker `index` serves. */
uint64_t mg_worker_serves(struct mg_vm *vm, uint32_t index);
/* Hands a snapshot (one reference is given) to all workers. */
void mg_publish(struct mg_vm *vm, struct mg_snapshot *snapshot);
/* Sends a text to boot.on_message of all workers. */
int32_t mg_broadcast(struct mg_vm *vm, const char *text, uint32_t length);
/* How long this thread's Lua may run without coming back, 0: as scripts may. For work of our own. */
void mg_watch_limit(struct mg_vm *vm, uint32_t limit_ms);
/* Sends a text to boot.on_message of the control thread. */
int32_t mg_report(struct mg_vm *vm, const char *text, uint32_t length);
/* Opens the log files anew, after they were moved. */
void mg_log_reopen(struct mg_vm *vm);
/* Stops accepting, lets requests end for at most `seconds`, then the process ends with `code`. */
void mg_drain(struct mg_vm *vm, double seconds, int32_t code);
/* For workers: what scripts do at the end is done. */
void mg_unloaded(struct mg_vm *vm);
/* Writes to standard output or, with `error`, standard error. */
void mg_write(int32_t error, const char *text, uint32_t length);
/* cdef-end */

#pragma GCC visibility pop

#endif
