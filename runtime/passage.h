/* SPDX-License-Identifier: Apache-2.0 */
/* A client's bytes that go to an endpoint as they are, and the other way: TLS that is not ours, and
 * connections of TCP services. One end of either side goes on as that: what the other side still says
 * is passed. What one side does not take is bounded: the other one is not read meanwhile.
 *
 * CONNECTING -> OPEN -> CLOSING -> freed; CONNECTING -> CLOSING
 * CONNECTING: to one endpoint after the other; the client is not read. CLOSING: waiting for libuv. */
#ifndef PASSAGE_H
#define PASSAGE_H

#include "net/proxy_protocol.h"
#include "worker.h"

/* `to` NULL: the service of the port that the client came to. `destination` is what its PROXY header
 * says, or zeroes. */
struct passage_plan {
  struct worker *worker;
  const struct sockaddr_storage *to;
  const union proxy_address *destination;
};

/* Takes over the stream of an arrival, which is plain, with the bytes that came first; all is borrowed.
 * May end: arrival. */
void passage_start(struct http_server *arrival, const struct passage_plan *plan, const char *bytes,
                   size_t length);

#endif
