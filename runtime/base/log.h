/* SPDX-License-Identifier: Apache-2.0 */
/* Structured log lines on standard error or in a file: a fixed event name and key-value pairs, as JSON or text.
 * One write a line, from any thread. Of one event's warnings and errors, LOG_REPEATS are written in
 * LOG_WINDOW_S seconds, and then how many were left out. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum log_level {
  LOG_DEBUG,
  LOG_INFO,
  LOG_WARN,
  LOG_ERROR,
  LOG_OFF
};

enum {
  LOG_REPEATS = 10,
  LOG_WINDOW_S = 10
};

/* Set once at start, before other threads run. */
void log_setup(enum log_level least, int as_json);
/* While it serves; of one thread, as log_open. */
void log_set_least(enum log_level least);
/* Lines go to the end of that file from now on; NULL: standard error. Opens anew what has been opened
 * before. On an error they go where they went. */
MG_MUST_USE int log_open(const char *path);
/* 1 when lines of this level are written. */
int log_enabled(enum log_level level);
/* Pairs of `const char *` key and value, ended by NULL. A NULL value is written as an empty text. */
void log_write(enum log_level level, const char *event, ...) __attribute__((sentinel));
/* The same in pieces, for pairs that are not known beforehand. A line lives on the caller's stack. */
enum {
  LOG_LINE_BYTES = 8192
};
struct log_line {
  char text[LOG_LINE_BYTES];
  size_t len;
};
void log_begin(struct log_line *line, enum log_level level, const char *event, size_t len);
void log_pair(struct log_line *line, const char *key, size_t key_len, const char *value,
              size_t value_len);
void log_end(struct log_line *line);
int log_is_json(void);
/* 0: this line is one repeat too many, and is counted instead. log_write asks by itself. */
int log_admit(enum log_level level, const char *event, size_t len);
/* Tells of what was left out in windows that are over, or in all. */
void log_sweep(int all);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__, (char *)NULL)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__, (char *)NULL)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__, (char *)NULL)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__, (char *)NULL)

/* Text of a number, for a value in a log call: `LOG_NUM(n)` lives until the end of the block. */
struct log_num {
  char text[24];
};
const char *log_num(struct log_num *into, int64_t value);
#define LOG_NUM(value) log_num(&(struct log_num){ { 0 } }, (int64_t)(value))

#endif
