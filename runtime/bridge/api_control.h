/* SPDX-License-Identifier: Apache-2.0 */
/* The part of bridge/api.h for configuration and the life of the process: settings, the access log,
 * snapshots, YAML, files, workers. */
#ifndef BRIDGE_API_CONTROL_H
#define BRIDGE_API_CONTROL_H

#include <stdint.h>

#include "exchange/record.h"

#pragma GCC visibility push(default)

/* cdef-begin */
struct mg_vm;
struct mg_snapshot;
struct mg_regex;
struct mg_certificate;
struct mg_client_auth;
struct mg_suites;
struct mg_port;

/* Settings of a thread, read when mg_settings_apply is called: bridge/api_core.c */
struct mg_settings {
  uint32_t client_header_ms, client_body_ms, keep_alive_ms, client_send_ms, tunnel_ms;
  uint32_t header_bytes, target_bytes, fields, field_bytes;
  uint32_t drop_names;     /* bits of enum name_oddity */
  uint32_t request_fields; /* bits of enum exchange_fields */
  uint32_t public_http_port, public_https_port;
  uint32_t keep_alive_requests; /* 0: no limit */
  uint32_t upstream_idle_ms, upstream_idle_count;
  uint32_t upstream_requests, upstream_life_ms;     /* of a connection; 0: no limit */
  uint32_t upstream_ping_ms, upstream_ping_wait_ms; /* over HTTP/2; 0: never, no limit */
  uint32_t stages;         /* what a request that Lua never saw shows to it */
  uint32_t proxy_protocol; /* 1: connections of clients begin with a PROXY header */
  uint32_t proxy_header_ms, tls_handshake_ms;
  uint32_t metric_series; /* of each worker, for mg_series */
  uint32_t hello;         /* 1: scripts want to see each ClientHello */
  uint32_t connections;   /* of clients, for each worker; 0: no limit */
  uint32_t h2;            /* 1: HTTP/2 is offered over TLS */
  uint32_t h2_streams, h2_stream_window, h2_connection_window, h2_table_bytes;
  uint32_t h2_continuations;
  uint32_t h2_resets;         /* at once; a fifth of it comes back within a second */
  uint32_t h2_control_frames; /* within a second, and at once */
  /* TCP and UDP services */
  uint32_t stream_ms;         /* of silence */
  uint32_t stream_connect_ms; /* of one attempt */
  uint32_t stream_tries;      /* attempts in all; 0: as many as there are endpoints */
  uint32_t stream_tries_ms;   /* no further attempt after that; 0: no limit */
  uint32_t stream_responses;  /* datagrams that answer one */
  uint32_t udp_sessions;      /* of a worker */
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
  int32_t streams;     /* 1: the log of TCP and UDP services, not that of requests */
};
/* Takes settings (borrowed) over; on an error there is no log. Does nothing in the control thread. */
int32_t mg_access_log(struct mg_vm *vm, const struct mg_access_log *settings);
/* 1 and the first name in a format that is no variable, borrowed from it; 0 when there is none. */
int32_t mg_access_log_unknown(const char *format, uint32_t length, int32_t streams,
                              struct mg_text *name);
/* Server of responses that have none; empty: none. */
int32_t mg_server_name(struct mg_vm *vm, const char *name, uint32_t length);
/* Proxies whose forwarding fields are believed; `clear` first, with the name of the field that tells the
 * client's address, then each network. `address_only`: of its proxies that one alone. */
int32_t mg_trust_clear(struct mg_vm *vm, const char *field, uint32_t length);
int32_t mg_trust(struct mg_vm *vm, const char *network, uint32_t length, int32_t address_only);

/* A request that nobody sent, for the control thread: bridge/api_probe.c */
struct mg_probe;
/* Reads the text of a head, with its empty line, as if it had come from `ip` to `port`. On an error
 * *out is null. */
int32_t mg_probe_new(struct mg_vm *vm, const char *head, uint32_t length, const char *ip,
                     uint32_t ip_length, uint32_t port, int32_t tls, struct mg_probe **out);
/* To match with; its own `snapshot` is the caller's to set. */
struct mg_request *mg_probe_request(struct mg_probe *probe);
void mg_probe_free(struct mg_probe *probe);

/* Snapshots: control/snapshot.c */

struct mg_part;
struct mg_draft;

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
/* The same for what is asked of clients, and for suites of TLS 1.2, without a default. */
int32_t mg_draft_client_auth(struct mg_draft *draft, const char *name, uint32_t length,
                             struct mg_client_auth *auth);
int32_t mg_draft_suites(struct mg_draft *draft, const char *name, uint32_t length,
                        struct mg_suites *suites);
/* Bytes of clients that ask for a name go to that service as they are. */
int32_t mg_draft_passthrough(struct mg_draft *draft, const char *name, uint32_t length,
                             uint32_t service);
/* Clients of a port go to that service; `proxy`: 1 they begin with a PROXY header, 2 the service gets
 * one, 3 both. */
int32_t mg_draft_port(struct mg_draft *draft, struct mg_port *port, uint32_t service,
                      uint32_t proxy);
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
struct mg_file_facts {
  uint64_t stamp; /* changes with content and mode; 0: changed so lately that it would not tell */
  uint64_t device;
  uint64_t inode;
  uint32_t is_link; /* the path is a symbolic link; the rest is of what it leads to, if anything */
};
/* Kinds: 0 nothing there, 1 file, 2 folder, 3 other; symbolic links are followed. */
int32_t mg_file_stat(const char *path, struct mg_file_facts *facts);
/* Names in a folder, sorted, each ended by a NUL. */
int32_t mg_file_list(const char *path, struct mg_text *names);
/* What a symbolic link says. UV_EINVAL: it is none. */
int32_t mg_file_link(const char *path, struct mg_text *target);
/* At most `limit` bytes, else UV_EFBIG. */
int32_t mg_file_read(const char *path, uint64_t limit, struct mg_text *content);
void mg_file_free(struct mg_text *text);
/* Makes one folder, unless there is something of that name. */
int32_t mg_folder_make(const char *path);
/* In the place of what is there. */
int32_t mg_file_write(const char *path, const char *text, uint32_t length);
/* Wakes its waiter when something in one of its folders changes: control/watch.c */
struct mg_watch;
struct mg_watch *mg_watch_new(struct mg_vm *vm);
/* Watches what is at that path now; those not named since the last mg_watch_sweep go. `filter`, of a
 * folder: the one name whose coming and going counts, or endings each behind a slash (/.yaml/.json), which
 * leave out plain files of other names; null: everything counts. Empty: the path is a file. */
int32_t mg_watch_add(struct mg_watch *watch, const char *path, const char *filter);
void mg_watch_sweep(struct mg_watch *watch);
/* Waits until something changed since the last wait, then for `quiet` seconds without a change, but no
 * longer than `longest` since that first one. */
int32_t mg_watch_wait(struct mg_vm *vm, struct mg_watch *watch, double quiet, double longest);
void mg_watch_close(struct mg_watch *watch);

/* Life of the process: gateway.c, for the control thread */
/* Makes `count` workers, not yet running. */
int32_t mg_workers(struct mg_vm *vm, uint32_t count);
/* Binds `address` (host:port, [host]:port, :port, unix:/path) for all workers, or for the control
 * thread's own requests with kind 2. Kinds: 0 plain, 1 TLS, 2 admin, plain. Returns the port, 0 for a
 * unix socket. */
int32_t mg_listen(struct mg_vm *vm, int32_t kind, const char *address, uint32_t length);
int32_t mg_workers_start(struct mg_vm *vm);
/* Binds a port of TCP, or of UDP, at all addresses for all workers, which take it with a snapshot. The
 * caller has one reference. `closing`: one of the same number that may not be quite closed, or null. */
int32_t mg_port_open(struct mg_vm *vm, int32_t udp, uint32_t number, const struct mg_port *closing,
                     struct mg_port **port);
/* No further worker takes it; those that have it close it with the first snapshot that is without it. */
void mg_port_close(struct mg_port *port);
/* How many workers have not closed it. */
uint32_t mg_port_users(const struct mg_port *port);
void mg_port_unref(struct mg_port *port);
/* Processors that this process may use. */
uint32_t mg_processors(void);
uint32_t mg_worker_count(struct mg_vm *vm);
/* Number of the snapshot that worker `index` serves. */
uint64_t mg_worker_serves(struct mg_vm *vm, uint32_t index);
/* Hands a snapshot (one reference is given) to all workers. */
void mg_publish(struct mg_vm *vm, struct mg_snapshot *snapshot);
/* Sends a text to boot.on_message of all workers. */
int32_t mg_broadcast(struct mg_vm *vm, const char *text, uint32_t length);
/* Has scripts stopped that do not come back, also where no worker is started. */
int32_t mg_watch_start(struct mg_vm *vm);
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
