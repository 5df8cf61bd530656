/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of exchange/ share and nobody else sees. In the order of the flow: fields.c reads the
 * request's head and writes the outgoing ones, forward.c drives the upstream, answer.c the client;
 * grpc.c knows what is different for gRPC. */
#ifndef EXCHANGE_INTERNAL_H
#define EXCHANGE_INTERNAL_H

#include "exchange/exchange.h"

enum {
  HIGH_WATER_BYTES = 128 * 1024,
  SHARED_HIGH_WATER_BYTES = 64 * 1024, /* where the client has many requests on a connection */
  SHARED_READ_BYTES = 32 * 1024,
  REPLAY_BYTES = 64 * 1024,
  GATHER_BYTES = 4 * 1024 * 1024, /* of a body that is to be whole first; then it streams */
  DRAIN_BYTES = 256 * 1024,
  INTERIMS_MAX = 32,
  REFUSALS_MAX = 3
};

/* Whether an exchange still is the one of that generation, and not over. */
static inline int exchange_lives(const struct exchange *exchange, uint32_t generation)
{
  return exchange->record.generation == generation && exchange->state != EX_LOG;
}

void exchange_enter(struct exchange *exchange, enum exchange_state to);
/* Runs a stage and acts on its verdict. May end: exchange. */
void exchange_stage(struct exchange *exchange, enum mg_stage stage);
/* Both peers are let go, then the log stage. `keep`: the client may send another request.
 * May end: exchange. */
void exchange_finish(struct exchange *exchange, int keep);

/* table.c */
/* A fresh exchange in EX_HEAD; NULL: out of memory. */
struct exchange *exchange_take(struct exchanges *all);
/* Gives one in EX_LOG back. */
void exchange_end(struct exchange *exchange);

/* count.c */
void exchange_count(struct exchange *exchange);
/* Bytes of head and body, the head as it was most likely sent. */
uint64_t exchange_request_bytes(const struct exchange *exchange);
uint64_t exchange_response_bytes(const struct exchange *exchange);
/* From the last attempt to the end of the request, in seconds; -1: there was none. */
double exchange_upstream_s(const struct exchange *exchange);

/* fields.c */
/* Fills the record from the head. 0, or the error that answers the request. */
MG_MUST_USE int fields_read(struct exchange *exchange);
/* Copies the request's head to `outgoing`, less what must not be forwarded, plus what a gateway adds. */
MG_MUST_USE int fields_outgoing(struct exchange *exchange);
/* Makes the upstream's head fit for the client. */
MG_MUST_USE int fields_response(struct exchange *exchange);
/* Adds Date where it is missing. */
MG_MUST_USE int fields_date(struct exchange *exchange);
/* Adds Server where it is missing and wanted. */
MG_MUST_USE int fields_server(struct exchange *exchange);

/* forward.c */
/* Makes an attempt at record.endpoint. May end: exchange. */
void forward_start(struct exchange *exchange);
/* Request bytes or the request's end have come, or there is room again. May end: exchange. */
void forward_request(struct exchange *exchange);
/* The request's body hook has seen its piece. 0, or an error. */
MG_MUST_USE int forward_hooked(struct exchange *exchange);
/* Takes the response's head that came while a stage waited. May end: exchange. */
void forward_head(struct exchange *exchange);
/* Hands bytes of the request on without keeping them, where nothing is pending and no other attempt
 * could send them again. Returns 0 when they have to be kept. May end: exchange. */
int forward_pass(struct exchange *exchange, const char *data, size_t len);
/* All that one read of the client brought has been handed on: sends it. May end: exchange. */
void forward_turn(struct exchange *exchange);
/* Says 100 Continue to a client that waits for it, now that somebody wants the body. */
void forward_continue(struct exchange *exchange);
/* Drops the present attempt, if any. */
void forward_drop(struct exchange *exchange);
/* Stops or goes on reading the upstream as the client's queue and hooks allow. */
void forward_pace(struct exchange *exchange);

/* Ends a request whose head of an answer is not out with an error, once no stage waits. May end:
 * exchange. */
void exchange_break_off(struct exchange *exchange, int err);
/* Tells who waits for a body, if anybody does, that it is whole (0) or what became of it. */
void exchange_end_body_wait(struct exchange *exchange, int err);

/* grpc.c */
/* Whether the request is one of gRPC, and until when its answer has to be there. */
void grpc_read(struct exchange *exchange);
/* The gateway's own answer as gRPC has it: in the head alone. ERR_NO_MEMORY or 0. */
MG_MUST_USE int grpc_answer(struct exchange *exchange);

/* answer.c */
/* The gateway's own answer for an error; before the head is out. May end: exchange. */
void answer_error(struct exchange *exchange, int err);
/* Sends the head as it stands and what is held of the body. May end: exchange. */
void answer_send(struct exchange *exchange);
/* A piece of the response body. May end: exchange. */
void answer_body(struct exchange *exchange, const char *data, size_t len);
/* The response's body hook has seen its piece, which goes out. May end: exchange. */
void answer_hooked(struct exchange *exchange);
/* Shows the body hook what it has not seen. May end: exchange. */
void answer_pump(struct exchange *exchange);
/* The response is whole. May end: exchange. */
void answer_end(struct exchange *exchange);
/* The answer cannot be finished: the client must see that it is cut. May end: exchange. */
void answer_abort(struct exchange *exchange, int err);

#endif
