/* SPDX-License-Identifier: Apache-2.0 */
/* Between access_log.c, which gathers lines and writes them out, access_format.c, which makes them, and
 * access_variables.c and access_session.c, which know what stands in them. */
#ifndef EXCHANGE_ACCESS_FORMAT_H
#define EXCHANGE_ACCESS_FORMAT_H

#include "exchange/access_log.h"
#include "http/head.h"

/* One line while it is made. */
struct access_line {
  struct access_log *log;
  const struct exchange *exchange;      /* NULL in the log of sessions */
  const struct access_session *session; /* NULL in the log of requests */
  struct timespec now;
  char scratch[256]; /* of the present variable */
};

/* Appends the line of line->exchange or line->session, by the log's format, to the log's buffer. */
MG_MUST_USE int access_line_put(struct access_line *line);
/* What a variable is of the line's exchange or session; data is NULL when it has no value. Valid until the next. */
typedef struct mg_text access_variable(struct access_line *line);
/* By name; each list ends with one that has none. */
struct access_named {
  const char *name;
  access_variable *fn;
};
extern const struct access_named access_variables[];         /* of requests */
extern const struct access_named access_session_variables[]; /* of sessions */
/* The three parts of $request, and what has never a value. */
access_variable access_method;
access_variable access_target;
access_variable access_protocol;
access_variable access_nothing;
/* Those that both kinds of logs have. */
access_variable access_time_local;
access_variable access_time_iso8601;
access_variable access_msec;
access_variable access_pid;
access_variable access_hostname;
/* A number with so many digits at least, into the line's scratch. */
struct mg_text access_number(struct access_line *line, uint64_t value, uint32_t digits);
/* Seconds with three decimals, in the same way; below 0: no value. */
struct mg_text access_seconds(struct access_line *line, double value);
/* The first field of that name; data is NULL when there is none. */
struct mg_text access_header(const struct access_line *line, const struct head *head,
                             const char *name, uint32_t len);

#endif
