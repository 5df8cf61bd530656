/* SPDX-License-Identifier: Apache-2.0 */
/* Files for the control thread, which may block: nothing here is on the request path. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "base/buf.h"
#include "bridge/api.h"

enum {
  KIND_NOTHING,
  KIND_FILE,
  KIND_FOLDER,
  KIND_OTHER
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
  hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
  return hash;
}

enum {
  SETTLED_MS = 50 /* several ticks of the clock that the kernel writes times by */
};

/* A second change within one tick leaves time and size as they were. Times ahead of the clock, as of
 * another machine's, tell nothing either. */
static int is_settled(const struct stat *facts)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now); /* always 0 */
  int64_t age_ms = ((int64_t)now.tv_sec - (int64_t)facts->st_ctim.tv_sec) * 1000 +
                   ((int64_t)now.tv_nsec - (int64_t)facts->st_ctim.tv_nsec) / 1000000;
  return age_ms >= SETTLED_MS;
}

/* With the time of the last change of mode or name, which no tool sets back. */
static uint64_t stamp_of(const struct stat *facts)
{
  if (!is_settled(facts))
    return 0;
  uint64_t hash = mix((uint64_t)facts->st_ino, (uint64_t)facts->st_dev);
  hash = mix(hash, (uint64_t)facts->st_size);
  hash = mix(hash, (uint64_t)facts->st_mtim.tv_sec);
  hash = mix(hash, (uint64_t)facts->st_mtim.tv_nsec);
  hash = mix(hash, (uint64_t)facts->st_ctim.tv_sec);
  return mix(hash, (uint64_t)facts->st_ctim.tv_nsec);
}

static int32_t error_of_look(void)
{
  return errno == ENOENT || errno == ENOTDIR ? KIND_NOTHING : uv_translate_sys_error(errno);
}

int32_t mg_file_stat(const char *path, struct mg_file_facts *out)
{
  struct stat facts;
  *out = (struct mg_file_facts){ 0 };
  if (lstat(path, &facts) < 0)
    return error_of_look();
  out->is_link = S_ISLNK(facts.st_mode);
  if (out->is_link && stat(path, &facts) < 0)
    return error_of_look();
  out->stamp = stamp_of(&facts);
  out->device = (uint64_t)facts.st_dev;
  out->inode = (uint64_t)facts.st_ino;
  if (S_ISREG(facts.st_mode))
    return KIND_FILE;
  return S_ISDIR(facts.st_mode) ? KIND_FOLDER : KIND_OTHER;
}

static int put_names(struct dirent **entries, int count, struct buf *out)
{
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
      continue;
    int err = buf_put(out, name, strlen(name) + 1);
    if (err < 0)
      return err;
  }
  return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
  return strcmp((*a)->d_name, (*b)->d_name);
}

int32_t mg_file_list(const char *path, struct mg_text *names)
{
  struct dirent **entries;
  struct buf out = { 0 };
  int count = scandir(path, &entries, NULL, by_name);
  if (count < 0)
    return uv_translate_sys_error(errno);
  int err = put_names(entries, count, &out);
  for (int i = 0; i < count; i++)
    free(entries[i]);
  free(entries);
  if (err < 0)
    buf_fini(&out);
  *names = (struct mg_text){ out.data, (uint32_t)out.len };
  return err;
}

int32_t mg_file_link(const char *path, struct mg_text *target)
{
  char text[PATH_MAX];
  struct buf out = { 0 };
  ssize_t length = readlink(path, text, sizeof(text));
  if (length < 0)
    return uv_translate_sys_error(errno);
  int err = buf_put(&out, text, (size_t)length);
  if (err < 0)
    return err;
  *target = (struct mg_text){ out.data, (uint32_t)out.len };
  return 0;
}

static int read_all(int fd, uint64_t limit, struct buf *out)
{
  for (;;) {
    int err = buf_reserve(out, 65536);
    if (err < 0)
      return err;
    ssize_t got = read(fd, out->data + out->len, out->cap - out->len);
    if (got == 0)
      return 0;
    if (got < 0)
      return uv_translate_sys_error(errno);
    out->len += (size_t)got;
    if (out->len > limit)
      return UV_EFBIG;
  }
}

int32_t mg_file_read(const char *path, uint64_t limit, struct mg_text *content)
{
  struct buf out = { 0 };
  /* O_NONBLOCK: a pipe that somebody put there must not hold the gateway up. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return uv_translate_sys_error(errno);
  int err = read_all(fd, limit < UINT32_MAX ? limit : UINT32_MAX, &out);
  close(fd);
  if (err < 0)
    buf_fini(&out);
  *content = (struct mg_text){ out.data, (uint32_t)out.len };
  return err;
}

int32_t mg_folder_make(const char *path)
{
  return mkdir(path, 0777) < 0 && errno != EEXIST ? uv_translate_sys_error(errno) : 0;
}

static int write_all(int fd, const char *text, size_t length)
{
  while (length > 0) {
    ssize_t put = write(fd, text, length);
    if (put < 0)
      return uv_translate_sys_error(errno);
    text += put;
    length -= (size_t)put;
  }
  return 0;
}

int32_t mg_file_write(const char *path, const char *text, uint32_t length)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0)
    return uv_translate_sys_error(errno);
  int err = write_all(fd, text, length);
  int closed = close(fd) < 0 ? uv_translate_sys_error(errno) : 0;
  return err < 0 ? err : closed;
}

void mg_file_free(struct mg_text *text)
{
  free((char *)text->data); /* made by buf_put */
  *text = (struct mg_text){ 0 };
}
