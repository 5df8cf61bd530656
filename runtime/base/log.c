/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

/* Written by the control thread, read by all. */
static _Atomic int log_least = LOG_INFO;
/* A descriptor of our own once there was a file: it is never closed, as others may be writing to it, and
 * is pointed to another file by the kernel. */
static _Atomic int log_fd = STDERR_FILENO;
static int log_json = 0; /* written once by log_setup before the threads start */

#define REPLACEMENT "\xef\xbf\xbd"

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

/* Values are escaped as JSON strings in both formats, so that nobody can forge a line. For a byte that is
 * no UTF-8 U+FFFD stands there (RFC 8259 8.1). */
static void put_quoted(struct log_line *line, const char *text, size_t text_len)
{
  const char *end = text + text_len;
  put(line, "\"", 1);
  while (text < end) {
    char escape[8];
    uint32_t step = utf8_character(text, (uint32_t)(end - text));
    if (step == 0) {
      put_text(line, REPLACEMENT);
    } else if (*text == '"' || *text == '\\') {
      escape[0] = '\\';
      escape[1] = *text;
      put(line, escape, 2);
    } else if ((unsigned char)*text < 0x20 || *text == 0x7f) {
      int len = snprintf(escape, sizeof(escape), "\\u%04x", *text);
      put(line, escape, (size_t)len);
    } else {
      put(line, text, step);
    }
    text += step ? step : 1;
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
  log_set_least(least);
  log_json = as_json;
}

void log_set_least(enum log_level least)
{
  atomic_store_explicit(&log_least, least, memory_order_relaxed);
}

int log_enabled(enum log_level level)
{
  return (int)level >= atomic_load_explicit(&log_least, memory_order_relaxed);
}

int log_open(const char *path)
{
  enum {
    FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY
  };
  int now = atomic_load(&log_fd);
  if (!path && now == STDERR_FILENO)
    return 0;
  int fd = path ? open(path, FLAGS, 0644) : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (fd < 0)
    return -errno;
  if (now == STDERR_FILENO) {
    atomic_store(&log_fd, fd);
    return 0;
  }
  int err = dup3(fd, now, O_CLOEXEC) < 0 ? -errno : 0;
  close(fd);
  return err;
}

int log_is_json(void)
{
  return log_json;
}

const char *log_num(struct log_num *into, int64_t value)
{
  (void)snprintf(into->text, sizeof(into->text), "%" PRId64, value);
  return into->text;
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
  ssize_t done = write(atomic_load_explicit(&log_fd, memory_order_relaxed), line->text, line->len);
  (void)done; /* nowhere to tell of a log that cannot be written */
}

/* repeats */

enum {
  EVENTS_MAX = 64,
  EVENT_BYTES = 48
};

static const uint64_t WINDOW_NS = LOG_WINDOW_S * 1000000000ull;

/* An event in its present window. */
struct repeats {
  char event[EVENT_BYTES]; /* "": free */
  size_t len;
  enum log_level level;
  uint64_t since_ns;
  unsigned written;
  uint64_t left_out;
};

/* Process-wide as the log is; lines that reach it are rare. */
static pthread_mutex_t repeats_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct repeats repeats[EVENTS_MAX];

static uint64_t monotonic_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* With the mutex held. */
static void end_window(struct repeats *entry)
{
  if (entry->left_out > 0) {
    struct log_line line;
    struct log_num number;
    const char *count = log_num(&number, (int64_t)entry->left_out);
    log_begin(&line, entry->level, "suppressed", strlen("suppressed"));
    log_pair(&line, "of", strlen("of"), entry->event, entry->len);
    log_pair(&line, "count", strlen("count"), count, strlen(count));
    log_end(&line);
  }
  *entry = (struct repeats){ 0 };
}

/* The entry of an event, or the one that gives way to it: a free one, else the oldest. */
static struct repeats *find_entry(const char *event, size_t len)
{
  struct repeats *best = &repeats[0];
  for (size_t i = 0; i < EVENTS_MAX; i++) {
    struct repeats *entry = &repeats[i];
    if (entry->len == len && memcmp(entry->event, event, len) == 0)
      return entry;
    if (best->len > 0 && (entry->len == 0 || entry->since_ns < best->since_ns))
      best = entry;
  }
  end_window(best);
  return best;
}

int log_admit(enum log_level level, const char *event, size_t len)
{
  if (level < LOG_WARN || len == 0)
    return 1;
  if (len > EVENT_BYTES)
    len = EVENT_BYTES;
  uint64_t now = monotonic_ns();
  pthread_mutex_lock(&repeats_mutex);
  struct repeats *entry = find_entry(event, len);
  if (entry->len > 0 && now - entry->since_ns >= WINDOW_NS)
    end_window(entry);
  if (entry->len == 0) {
    *entry = (struct repeats){ .len = len, .level = level, .since_ns = now };
    memcpy(entry->event, event, len);
  }
  int admitted = entry->written < LOG_REPEATS;
  if (admitted)
    entry->written++;
  else
    entry->left_out++;
  pthread_mutex_unlock(&repeats_mutex);
  return admitted;
}

void log_sweep(int all)
{
  uint64_t now = monotonic_ns();
  pthread_mutex_lock(&repeats_mutex);
  for (size_t i = 0; i < EVENTS_MAX; i++) {
    struct repeats *entry = &repeats[i];
    if (entry->len > 0 && (all || now - entry->since_ns >= WINDOW_NS))
      end_window(entry);
  }
  pthread_mutex_unlock(&repeats_mutex);
}

void log_write(enum log_level level, const char *event, ...)
{
  if (!log_enabled(level) || !log_admit(level, event, strlen(event)))
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
