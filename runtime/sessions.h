/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of UDP services: what one client says to a port, by its address, goes to one endpoint through
 * a socket of its own, and what comes back goes to that client. A session ends after a time of silence
 * or when all answers are there; of too many, that which has been silent for longest goes.
 *
 * A port that is closed is LEAVING while answers are under way. One of the same number may be opened
 * meanwhile: the kernel still spreads clients over both, so what the old one hears is handed to the new
 * one. */
#ifndef SESSIONS_H
#define SESSIONS_H

#include "worker.h"

struct sessions;
struct udp_port;

MG_MUST_USE int sessions_new(struct sessions **out, struct worker *worker);
/* None is open any more. NULL is permitted. */
void sessions_free(struct sessions *self);
/* Takes the socket that the worker took from `port` over, in failure too. */
MG_MUST_USE int sessions_open_port(struct sessions *self, struct udp_port **out, int fd,
                                   struct mg_port *port);
/* Takes nothing more from clients. Answers that are under way have a few seconds; then the socket is
 * closed. May end: port. */
void sessions_close_port(struct udp_port *port);
/* Whether none is open. */
int sessions_are_over(const struct sessions *self);
/* Ends all at once. */
void sessions_end(struct sessions *self);

#endif
