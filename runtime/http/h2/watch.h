/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at each frame of a client before nghttp2 does, which is silent about some that RFC 9113 wants
 * refused: it forgets streams as they close, and no longer knows priorities. */
#ifndef HTTP_H2_WATCH_H
#define HTTP_H2_WATCH_H

#include <nghttp2/nghttp2.h>

struct h2_session;

enum {
  WATCH_BYTES = 13 /* a frame's head and the first word behind it */
};

struct h2_watch {
  uint8_t bytes[WATCH_BYTES]; /* of a frame that comes in pieces */
  uint8_t have;
  uint8_t drops;   /* nghttp2 is not to see the present frame */
  uint8_t preface; /* bytes of it that are still to come */
  uint32_t left;   /* bytes of the present frame */
  int32_t
      last_reset; /* the highest stream that we reset: what is on its way to those is no fault */
};

void h2_watch_init(struct h2_watch *watch);
/* Takes up to the end of a frame; returns how many bytes. `give` is what nghttp2 is to have, which may be
 * nothing. Not from within its callbacks. */
size_t h2_watch_take(struct h2_session *session, const uint8_t *data, size_t len,
                     nghttp2_vec *give);
/* RST_STREAM has gone out. */
static inline void h2_watch_reset(struct h2_watch *watch, int32_t id)
{
  if (id > watch->last_reset)
    watch->last_reset = id;
}

#endif
