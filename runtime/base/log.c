/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Written once by log_setup before the threads start, read-only afterwards. */
static enum log_level log_least = LOG_INFO;
static int log_json = 0;

static const char *const level_names[] = { "debug", "info", "warn", "error", "off" };

static void put(struct log_line *line, const char *text, size_t len)
{
  size_t room = sizeof(line->text) - 2 - line->len;
  if (len > room)
    len = room;
  memcpy(line->text + line->len, text, len);
  line->len += len;
}

static void put_text(struct log_line *line, const char *text)
{
  put(line, text, strlen(text));
}

/* Values are escaped as JSON strings in both formats, so that nobody can forge a line. */
static void put_quoted(struct log_line *line, const char *text, size_t text_len)
{
  const unsigned char *end = (const unsigned char *)text + text_len;
  put(line, "\"", 1);
  for (const unsigned char *at = (const unsigned char *)text; at < end; at++) {
    char escape[8];
    if (*at == '"' || *at == '\\') {
      escape[0] = '\\';
      escape[1] = (char)*at;
      put(line, escape, 2);
    } else if (*at < 0x20 || *at == 0x7f) {
      int len = snprintf(escape, sizeof(escape), "\\u%04x", *at);
      put(line, escape, (size_t)len);
    } else {
      put(line, (const char *)at, 1);
    }
  }
  put(line, "\"", 1);
}

void log_pair(struct log_line *line, const char *key, size_t key_len, const char *value,
              size_t value_len)
{
  if (log_json) {
    put_text(line, ",");
    put_quoted(line, key, key_len);
    put_text(line, ":");
  } else {
    put_text(line, " ");
    put(line, key, key_len);
    put_text(line, "=");
  }
  put_quoted(line, value, value_len);
}

static void put_time(struct log_line *line)
{
  struct timespec now;
  struct tm utc;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  char text[40];
  size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  put(line, text, len);
  int tail = snprintf(text, sizeof(text), ".%03ldZ", now.tv_nsec / 1000000);
  put(line, text, (size_t)tail);
}

void log_setup(enum log_level least, int as_json)
{
  log_least = least;
  log_json = as_json;
}

int log_enabled(enum log_level level)
{
  return level >= log_least;
}

void log_begin(struct log_line *line, enum log_level level, const char *event, size_t len)
{
  line->len = 0;
  put_text(line, log_json ? "{\"time\":\"" : "");
  put_time(line);
  put_text(line, log_json ? "\",\"level\":\"" : " ");
  put_text(line, level_names[level]);
  put_text(line, log_json ? "\",\"event\":" : " ");
  if (log_json)
    put_quoted(line, event, len);
  else
    put(line, event, len);
}

void log_end(struct log_line *line)
{
  if (log_json)
    put_text(line, "}");
  line->text[line->len++] = '\n';
  ssize_t done = write(STDERR_FILENO, line->text, line->len);
  (void)done; /* nowhere to tell of a log that cannot be written */
}

void log_write(enum log_level level, const char *event, ...)
{
  if (level < log_least)
    return;
  struct log_line line;
  log_begin(&line, level, event, strlen(event));
  va_list args;
  va_start(args, event);
  for (const char *key = va_arg(args, const char *); key; key = va_arg(args, const char *)) {
    const char *value = va_arg(args, const char *);
    log_pair(&line, key, strlen(key), value ? value : "", value ? strlen(value) : 0);
  }
  va_end(args);
  log_end(&line);
}

void log_raw(const char *text, size_t len)
{
  ssize_t done = write(STDOUT_FILENO, text, len);
  (void)done; /* as above */
}

const char *log_num(struct log_num *into, int64_t value)
{
  (void)snprintf(into->text, sizeof(into->text), "%" PRId64, value);
  return into->text;
}
