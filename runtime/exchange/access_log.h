/* SPDX-License-Identifier: Apache-2.0 */
/* The access log: one line for each request, or of another log for each connection of a TCP service and
 * each session of a UDP service, by a format with nginx's variables. A format is compiled
 * once; a line then costs no look-up of names. Lines gather in a buffer of the worker, which goes out
 * when it is large, a quarter of a second after its first line, and at the end. A reader who does not
 * keep up costs lines (counted), never time. */
#ifndef EXCHANGE_ACCESS_LOG_H
#define EXCHANGE_ACCESS_LOG_H

#include <stdint.h>
#include <time.h>

#include <uv.h>

#include "base/buf.h"
#include "base/stats.h"
#include "exchange/record.h"

struct exchange;

enum access_escape {
  ACCESS_ESCAPE_DEFAULT, /* as nginx: \xHH for control characters, quotes and bytes beyond ASCII */
  ACCESS_ESCAPE_JSON,    /* as the inside of a JSON string */
  ACCESS_ESCAPE_NONE
};

struct access_op;
struct access_skip;

/* A compiled format; embedded. */
struct access_format {
  struct access_op *ops;
  uint32_t count;
  char *text; /* its own copy, which literals point into */
  enum access_escape escape;
  uint8_t streams; /* its variables are those of sessions */
};

/* `format` is zeroed but for `escape` and `streams`. UV_ENOMEM, or 0. `unknown` (may be NULL) is set to the first name that is no variable, within `text`;
 * such a variable is always empty. */
MG_MUST_USE int access_format_init(struct access_format *format, const char *text, uint32_t len,
                                   struct mg_text *unknown);
void access_format_fini(struct access_format *format);

struct access_config {
  struct mg_text format; /* empty: no log */
  enum access_escape escape;
  struct mg_text path; /* empty: standard output */
  struct mg_text skip; /* request targets without a line, each ended by LF; `~` begins a pattern */
  int not_found;       /* lines for requests that nobody serves */
  int streams;         /* lines are of sessions, not of requests */
};

/* A connection of a TCP service, or a session of a UDP service, that is over. */
struct access_session {
  const char *protocol;    /* as $protocol */
  const char *ip;          /* the client's */
  const char *upstream_ip; /* "": none was tried */
  uint16_t port;
  uint16_t local_port;
  uint16_t upstream_port;
  uint16_t status; /* as of HTTP */
  uint64_t received;
  uint64_t sent;
  double seconds;
};

/* One worker's; embedded in it. */
struct access_log {
  uv_timer_t timer; /* runs while there is something to write */
  struct access_format format;
  struct access_skip *skip;
  uint32_t skip_count;
  struct buf out;
  struct stats *stats; /* where dropped lines are counted */
  char *path;          /* NULL: standard output */
  int fd;              /* -1: not open */
  uint8_t is_pipe;
  uint8_t on;
  uint8_t not_found;
  time_t second; /* that the texts below tell */
  char local[40];
  char iso8601[40];
};

int access_log_init(struct access_log *log, uv_loop_t *loop, struct stats *stats);
/* Takes a configuration (borrowed) over. An error leaves the log off. */
MG_MUST_USE int access_log_set(struct access_log *log, const struct access_config *config);
/* Adds the line of an exchange that is over, or leaves it out as configured. */
void access_log_write(struct access_log *log, const struct exchange *exchange);
/* The same for a log of sessions. */
void access_log_write_session(struct access_log *log, const struct access_session *session);
void access_log_flush(struct access_log *log);
/* Opens the file anew, after it was moved. */
void access_log_reopen(struct access_log *log);
/* Writes what is there and closes; the loop must run once more before access_log_fini. */
void access_log_close(struct access_log *log);
void access_log_fini(struct access_log *log);

#endif
