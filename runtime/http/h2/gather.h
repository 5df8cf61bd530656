/* SPDX-License-Identifier: Apache-2.0 */
/* What nghttp2 has to send, put together into few writes: frames are copied, large bodies are written from
 * where they are. */
#ifndef HTTP_H2_GATHER_H
#define HTTP_H2_GATHER_H

#include "http/h2/session.h"

void h2_gather_callbacks(nghttp2_session_callbacks *callbacks);

#endif
