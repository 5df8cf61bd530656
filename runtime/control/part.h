/* SPDX-License-Identifier: Apache-2.0 */
/* Parts: immutable, counted blocks that a snapshot is put together from. Lua makes them (bridge/api.h
 * has the functions); snapshots share them. */
#ifndef CONTROL_PART_H
#define CONTROL_PART_H

struct mg_part;

/* Returns `part`. From any thread. */
struct mg_part *part_ref(struct mg_part *part);
/* NULL is permitted. From any thread. */
void part_unref(struct mg_part *part);
/* Aligned to 16 bytes; lives as long as the part. */
const char *part_bytes(const struct mg_part *part);

#endif
