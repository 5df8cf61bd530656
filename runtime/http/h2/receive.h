/* SPDX-License-Identifier: Apache-2.0 */
/* What nghttp2 tells of the frames that come. */
#ifndef HTTP_H2_RECEIVE_H
#define HTTP_H2_RECEIVE_H

#include "http/h2/session.h"

void h2_receive_callbacks(nghttp2_session_callbacks *callbacks);

#endif
