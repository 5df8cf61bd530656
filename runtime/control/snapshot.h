/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot: all that the workers route by, numbered, immutable, counted, put together from parts
 * that successive snapshots share. bridge/api.h has the functions; the control thread makes it from
 * a draft, worker threads read it in place without a lock.
 *
 *   mg_draft_new -> mg_draft_host|service|plan|certificate|port ... -> mg_draft_finish -> mg_snapshot_* */
#ifndef CONTROL_SNAPSHOT_H
#define CONTROL_SNAPSHOT_H

#include "bridge/api.h"

enum {
  SNAPSHOT_ID_LIMIT = 1 << 24
};

/* What clients that come under a name are asked for, in the same way; null: nothing. Borrowed. */
struct mg_client_auth *snapshot_client_auth(const struct mg_snapshot *snapshot, const char *name,
                                            uint32_t length);
/* Suites of a host's own, in the same way; null: those of the settings. Borrowed. */
struct mg_suites *snapshot_suites(const struct mg_snapshot *snapshot, const char *name,
                                  uint32_t length);
/* The service that a name's bytes go to, in the same way; below 0: none. */
int32_t snapshot_passthrough(const struct mg_snapshot *snapshot, const char *name, uint32_t length);

/* A port of a TCP or UDP service. */
struct snapshot_port {
  struct mg_port *port;
  uint32_t service;
  uint32_t proxy; /* bits of enum snapshot_proxy */
};
enum snapshot_proxy {
  SNAPSHOT_PROXY_IN = 1, /* clients begin with a PROXY header */
  SNAPSHOT_PROXY_OUT = 2 /* the service gets one */
};
/* All of them, borrowed, in the order of port_key. */
const struct snapshot_port *snapshot_ports(const struct mg_snapshot *snapshot, uint32_t *count);
/* NULL: there is no such port. `type` is SOCK_STREAM or SOCK_DGRAM. */
const struct snapshot_port *snapshot_port(const struct mg_snapshot *snapshot, int type,
                                          uint16_t number);

#endif
