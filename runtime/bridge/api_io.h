/* SPDX-License-Identifier: Apache-2.0 */
/* The part of bridge/api.h for what scripts hold open or share: endpoints, byte streams, requests of
 * their own, dictionaries, child processes. */
#ifndef BRIDGE_API_IO_H
#define BRIDGE_API_IO_H

#include <stdint.h>

#include "exchange/record.h"

#pragma GCC visibility push(default)

/* cdef-begin */
struct mg_vm;
struct mg_snapshot;
struct mg_tls_client;

/* Upstreams: bridge/api_upstream.c */
/* The number of an endpoint in this worker, for record.endpoint, until mg_endpoint_release; UV_EINVAL
 * when `address` is neither an IP address nor `unix:/path`. `protocol`: 0 HTTP/1.1, 1 HTTP/2, 2 what is
 * agreed on over TLS. `tls` null: plain. */
int32_t mg_endpoint(struct mg_vm *vm, const char *address, uint32_t length, uint32_t port,
                    int32_t protocol, struct mg_tls_client *tls);
void mg_endpoint_release(struct mg_vm *vm, int32_t endpoint);
/* Waits for the addresses of a host name, by the system's resolver in a thread of its own. */
int32_t mg_wait_resolve(struct mg_vm *vm, const char *name, uint32_t length);
/* What came of it: addresses, each ended by a newline. Valid until the next resolution. */
void mg_resolved(struct mg_vm *vm, struct mg_text *addresses);

/* Where a connection of a TCP service or a session of a UDP service is to go: boot.choose fills `chosen`
 * in. */
struct mg_place {
  char ip[46]; /* with a final NUL */
  uint16_t port;
};
struct mg_choice {
  struct mg_snapshot *snapshot;
  uint32_t service;
  uint32_t tried_count;
  struct mg_place tried[16]; /* to be avoided */
  struct mg_place chosen;
};

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
/* The same of the fields behind the body. */
int32_t mg_fetch_trailer_at(const struct mg_fetch *fetch, uint32_t index, struct mg_text *name,
                            struct mg_text *value);
void mg_fetch_text(const struct mg_fetch *fetch, struct mg_text *text);

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

/* This thread as a gateway of its own, for `moongate test`: accept.c, worker.c */
/* A connection of a client at `ip` that is in memory only; `secure`: as if by TLS. */
int32_t mg_test_connect(struct mg_vm *vm, const char *ip, uint32_t length, int32_t secure,
                        struct mg_handle *handle);
/* Requests that begin from now on get this snapshot, whose reference is given. */
int32_t mg_test_serve(struct mg_vm *vm, struct mg_snapshot *snapshot);
/* cdef-end */

#pragma GCC visibility pop

#endif
