/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of TCP and UDP services, as a worker has them: opened and closed as snapshots say. A connection
 * that is under way outlives its port (passage.h); sessions of UDP answer from it, and end with it
 * (sessions.h). */
#ifndef PORTS_H
#define PORTS_H

#include "worker.h"

/* Closes what `snapshot` has not, and opens what it has. */
void ports_adopt(struct worker *worker, const struct mg_snapshot *snapshot);
/* Closes all. */
void ports_close(struct worker *worker);

/* Whether clients of a TCP service's port begin with a PROXY header. */
int ports_expect_header(const struct worker *worker, uint16_t number);
/* Begins a choice of endpoints: of the service behind a port of the worker's snapshot, which is kept
 * until ports_choice_fini. Returns what the snapshot has of the port; NULL: there is no such port. */
const struct snapshot_port *ports_choice_init(struct worker *worker, struct mg_choice *choice,
                                              int type, uint16_t number);
/* The next endpoint, in `choice->chosen` and as an address. Below 0: there is none. */
MG_MUST_USE int ports_choose(struct worker *worker, struct mg_choice *choice,
                             struct sockaddr_storage *to);
/* The attempt at what was chosen last has failed. 1 when there may be another: it was begun at
 * `started_ms`, of the loop's time. */
int ports_choose_again(struct worker *worker, struct mg_choice *choice, uint64_t started_ms);
void ports_choice_fini(struct mg_choice *choice);

#endif
