/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/regex.h"
#include "exchange/access_format.h"
#include "exchange/exchange.h"

enum {
  FLUSH_BYTES = 32 * 1024,
  HELD_BYTES_MAX = 1024 * 1024, /* while nobody reads */
  FLUSH_MS = 250
};

struct access_skip {
  char *text;
  uint32_t len;
  struct mg_regex *regex; /* NULL: the whole text counts */
};

static void on_timer(uv_timer_t *timer)
{
  struct access_log *log = timer->data;
  access_log_flush(log);
}

int access_log_init(struct access_log *log, uv_loop_t *loop, struct stats *stats)
{
  *log = (struct access_log){ .fd = -1, .stats = stats };
  int err = uv_timer_init(loop, &log->timer);
  log->timer.data = log;
  return err;
}

/* files */

static void close_file(struct access_log *log)
{
  if (log->fd >= 0)
    close(log->fd);
  log->fd = -1;
}

/* Standard output is opened again where that is possible: not to block is then a property of our own
 * description, not of one that other processes share. */
static int open_stdout(void)
{
  int fd = open("/proc/self/fd/1", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  return fd >= 0 ? fd : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

static int open_file(struct access_log *log)
{
  close_file(log);
  if (log->path)
    log->fd =
        open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0644);
  else
    log->fd = open_stdout();
  struct stat stat;
  if (log->fd < 0 || fstat(log->fd, &stat) < 0) {
    int err = -errno;
    log_error("access_log_not_open", "path", log->path, "error", err_text(err));
    close_file(log);
    return err;
  }
  log->is_pipe = S_ISFIFO(stat.st_mode);
  return 0;
}

/* Bytes that may go out at once: workers share a pipe, which keeps up to PIPE_BUF bytes together. */
static size_t piece_of(const struct access_log *log, const char *data, size_t len)
{
  if (!log->is_pipe || len <= PIPE_BUF)
    return len;
  size_t end = PIPE_BUF;
  while (end > 0 && data[end - 1] != '\n')
    end--;
  if (end > 0)
    return end;
  while (data[end] != '\n') /* one longer line: torn only when another comes between */
    end++;
  return end + 1;
}

static uint64_t lines_in(const struct buf *buf)
{
  uint64_t count = 0;
  for (size_t i = 0; i < buf->len; i++)
    count += buf->data[i] == '\n';
  return count;
}

static void drop(struct access_log *log)
{
  stat_add(log->stats, STAT_LOG_DROPPED, lines_in(&log->out));
  log->out.len = 0;
}

static void arm(struct access_log *log)
{
  if (!uv_is_active((uv_handle_t *)&log->timer))
    (void)uv_timer_start(&log->timer, on_timer, FLUSH_MS, 0); /* fails on a closing handle only */
}

void access_log_flush(struct access_log *log)
{
  size_t done = 0;
  while (log->out.data && done < log->out.len && log->fd >= 0) {
    size_t piece = piece_of(log, log->out.data + done, log->out.len - done);
    ssize_t written = write(log->fd, log->out.data + done, piece);
    if (written >= 0) {
      done += (size_t)written;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      log_warn("access_log_failed", "path", log->path, "error", err_text(-errno));
      buf_drop(&log->out, done);
      drop(log);
      return;
    }
  }
  buf_drop(&log->out, done);
  if (log->fd < 0)
    drop(log);
  else if (log->out.len > 0)
    arm(log);
}

void access_log_reopen(struct access_log *log)
{
  if (!log->on)
    return;
  access_log_flush(log);
  (void)open_file(log); /* logged there */
}

/* settings */

static void free_skip(struct access_log *log)
{
  for (uint32_t i = 0; i < log->skip_count; i++) {
    free(log->skip[i].text);
    regex_free(log->skip[i].regex);
  }
  free(log->skip);
  log->skip = NULL;
  log->skip_count = 0;
}

static int add_skip(struct access_log *log, const char *text, uint32_t len)
{
  struct access_skip *list = realloc(log->skip, (log->skip_count + 1) * sizeof(*list));
  if (!list)
    return UV_ENOMEM;
  log->skip = list;
  struct access_skip *skip = &list[log->skip_count];
  *skip = (struct access_skip){ .text = strndup(text, len), .len = len };
  if (!skip->text)
    return UV_ENOMEM;
  log->skip_count++;
  if (text[0] != '~')
    return 0;
  char error[160];
  uint32_t caseless = len > 1 && text[1] == '*';
  skip->regex = regex_new(text + 1 + caseless, len - 1 - caseless, caseless ? REGEX_CASELESS : 0,
                          error, sizeof(error));
  if (!skip->regex)
    log_error("access_log_pattern", "pattern", skip->text, "error", error);
  return 0;
}

static int set_skip(struct access_log *log, struct mg_text list)
{
  const char *end = list.data + list.length;
  free_skip(log);
  int err = 0;
  for (const char *at = list.data; at < end && err == 0;) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop)
      stop = end;
    if (stop > at)
      err = add_skip(log, at, (uint32_t)(stop - at));
    at = stop + 1;
  }
  return err;
}

static int set_path(struct access_log *log, struct mg_text path)
{
  char *copy = NULL;
  int is_stdout =
      path.length == 0 || (path.length == 11 && memcmp(path.data, "/dev/stdout", 11) == 0);
  if (!is_stdout) {
    copy = strndup(path.data, path.length);
    if (!copy)
      return UV_ENOMEM;
  }
  int same = log->fd >= 0 && (copy && log->path ? strcmp(copy, log->path) == 0 : copy == log->path);
  if (same) {
    free(copy);
    return 0;
  }
  access_log_flush(log);
  free(log->path);
  log->path = copy;
  return open_file(log);
}

static void turn_off(struct access_log *log)
{
  access_log_flush(log);
  close_file(log);
  access_format_fini(&log->format);
  free_skip(log);
  log->on = 0;
}

int access_log_set(struct access_log *log, const struct access_config *config)
{
  if (config->format.length == 0) {
    turn_off(log);
    return 0;
  }
  access_format_fini(&log->format);
  log->format.escape = config->escape;
  log->format.streams = (uint8_t)(config->streams != 0);
  int err = access_format_init(&log->format, config->format.data, config->format.length, NULL);
  if (err == 0)
    err = set_skip(log, config->skip);
  if (err == 0)
    err = set_path(log, config->path);
  log->not_found = (uint8_t)(config->not_found != 0);
  log->on = err == 0;
  if (err < 0)
    turn_off(log);
  return err;
}

/* lines */

/* As ingress-nginx: what its default server answers has no line. */
static int is_of_nobody(const struct mg_request *record)
{
  return record->error == ERR_NOT_FOUND && (!record->names || record->names->ingress.length == 0);
}

static int is_skipped(const struct access_log *log, const struct exchange *exchange)
{
  const struct mg_request *record = &exchange->record;
  if (record->no_log || (!log->not_found && is_of_nobody(record)))
    return 1;
  const struct mg_text target = record->target;
  for (uint32_t i = 0; i < log->skip_count; i++) {
    const struct access_skip *skip = &log->skip[i];
    if (skip->regex ? regex_match(skip->regex, target.data, target.length, NULL, 0) > 0
                    : skip->len == target.length && memcmp(skip->text, target.data, skip->len) == 0)
      return 1;
  }
  return 0;
}

static void tell_time(struct access_log *log, time_t now)
{
  struct tm local;
  if (now == log->second)
    return;
  log->second = now;
  localtime_r(&now, &local);
  (void)strftime(log->local, sizeof(log->local), "%d/%b/%Y:%H:%M:%S %z", &local);
  size_t len = strftime(log->iso8601, sizeof(log->iso8601) - 1, "%Y-%m-%dT%H:%M:%S%z", &local);
  if (len < 5)
    return;
  memmove(log->iso8601 + len - 1, log->iso8601 + len - 2, 3); /* +0100 to +01:00 */
  log->iso8601[len - 2] = ':';
}

static void add_line(struct access_log *log, const struct exchange *exchange,
                     const struct access_session *session)
{
  if (log->out.len > HELD_BYTES_MAX) {
    stat_add(log->stats, STAT_LOG_DROPPED, 1);
    return;
  }
  struct access_line line;
  line.log = log;
  line.exchange = exchange;
  line.session = session;
  clock_gettime(CLOCK_REALTIME, &line.now);
  tell_time(log, line.now.tv_sec);
  size_t before = log->out.len;
  if (access_line_put(&line) < 0) {
    log->out.len = before;
    stat_add(log->stats, STAT_LOG_DROPPED, 1);
    return;
  }
  if (before < FLUSH_BYTES && log->out.len >= FLUSH_BYTES)
    access_log_flush(log);
  else
    arm(log);
}

void access_log_write(struct access_log *log, const struct exchange *exchange)
{
  if (log->on && !is_skipped(log, exchange))
    add_line(log, exchange, NULL);
}

void access_log_write_session(struct access_log *log, const struct access_session *session)
{
  if (log->on)
    add_line(log, NULL, session);
}

void access_log_close(struct access_log *log)
{
  turn_off(log);
  uv_close((uv_handle_t *)&log->timer, NULL);
}

void access_log_fini(struct access_log *log)
{
  buf_fini(&log->out);
  free(log->path);
}
