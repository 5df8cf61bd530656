/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot: all that the workers route by, numbered, immutable, counted, put together from parts
 * that successive snapshots share. bridge/api.h has the functions; the control thread makes it from
 * a draft, worker threads read it in place without a lock.
 *
 *   mg_draft_new -> mg_draft_host|service|plan|certificate ... -> mg_draft_finish -> mg_snapshot_* */
#ifndef CONTROL_SNAPSHOT_H
#define CONTROL_SNAPSHOT_H

#include "bridge/api.h"

enum {
  SNAPSHOT_ID_LIMIT = 1 << 24
};

#endif
