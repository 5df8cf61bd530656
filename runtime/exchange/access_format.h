/* SPDX-License-Identifier: Apache-2.0 */
/* Between access_log.c, which gathers lines and writes them out, access_format.c, which makes them, and
 * access_variables.c, which knows what stands in them. */
#ifndef EXCHANGE_ACCESS_FORMAT_H
#define EXCHANGE_ACCESS_FORMAT_H

#include "exchange/access_log.h"
#include "http/head.h"

/* One line while it is made. */
struct access_line {
  struct access_log *log;
  const struct exchange *exchange;
  struct timespec now;
  char scratch[256]; /* of the present variable */
};

/* Appends the line of line->exchange, by the log's format, to the log's buffer. */
MG_MUST_USE int access_line_put(struct access_line *line);
/* What a variable is of the line's exchange; data is NULL when it has no value. Valid until the next. */
typedef struct mg_text access_variable(struct access_line *line);
/* NULL: there is no such variable. */
access_variable *access_find_variable(const char *name, uint32_t len);
/* The three parts of $request, and what has never a value. */
access_variable access_method;
access_variable access_target;
access_variable access_protocol;
access_variable access_nothing;
/* The first field of that name; data is NULL when there is none. */
struct mg_text access_header(const struct access_line *line, const struct head *head,
                             const char *name, uint32_t len);

#endif
