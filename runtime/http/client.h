/* SPDX-License-Identifier: Apache-2.0 */
/* What connections to an upstream are told, whichever codec speaks: h1/client.h and h2/client.h. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "http/message.h"

/* Of one request. */
struct http_client_config {
  struct http_limits limits;
  /* That one read may bring, 0: what the loop's buffer holds. Where it is limited, so is what may be on
   * its way over HTTP/2: the window of the answer does not grow. */
  uint32_t read_bytes;
  uint64_t send_ms;
  uint64_t response_ms;
  uint64_t idle_ms;
  uint64_t tunnel_ms;
};

#endif
