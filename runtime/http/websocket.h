/* SPDX-License-Identifier: Apache-2.0 */
/* What makes an upgrade to WebSocket a handshake (RFC 6455 4): HTTP/1.1 has it, HTTP/2 does not, and who
 * stands between the two makes it up. */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include <stddef.h>

#include "base/compiler.h"

enum {
  WEBSOCKET_KEY_BYTES = 24,
  WEBSOCKET_ACCEPT_BYTES = 28
};

/* A fresh Sec-WebSocket-Key; a NUL follows. An error, or 0. */
MG_MUST_USE int websocket_key(char key[WEBSOCKET_KEY_BYTES + 1]);
/* The Sec-WebSocket-Accept that answers `key`; a NUL follows. UV_ENOMEM, or 0. */
MG_MUST_USE int websocket_accept(const char *key, size_t len,
                                 char accept[WEBSOCKET_ACCEPT_BYTES + 1]);

#endif
