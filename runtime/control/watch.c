/* SPDX-License-Identifier: Apache-2.0 */
/* Changes in folders, told once they have come to rest: an editor's or kubelet's several steps are one
 * change. Folders are watched, never files: those are replaced by rename and by symbolic links. A watch
 * is of what the path led to when it was set: each naming of a folder sets it anew. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bridge/api.h"
#include "bridge/task.h"

struct folder {
  uv_fs_event_t event;
  struct mg_watch *watch;
  char *path;
  char *filter;  /* as of mg_watch_add, or NULL */
  uint8_t named; /* since the last sweep */
};

struct mg_watch {
  struct mg_vm *vm;
  uv_timer_t quiet;
  struct folder **folders;
  uint32_t count;
  uint32_t cap;
  uint32_t next;     /* where the next folder to be named stands, as they come in the same order */
  struct task *task; /* that waits */
  uint64_t quiet_ms;
  uint64_t longest_ms;
  uint64_t first_ms; /* when `changed` was set */
  uint8_t changed;
};

static void on_quiet(uv_timer_t *timer)
{
  struct mg_watch *watch = timer->data;
  struct task *task = watch->task;
  if (!task)
    return;
  watch->task = NULL;
  watch->changed = 0;
  task->cancel = NULL;
  task_wake(task, 0);
}

/* What goes on and on is told nevertheless, at the latest so long after it began. */
static void await_quiet(struct mg_watch *watch)
{
  uint64_t now = uv_now(watch->vm->loop->uv);
  uint64_t end = watch->first_ms + watch->longest_ms;
  uint64_t left = end > now ? end - now : 0;
  (void)uv_timer_start(&watch->quiet, on_quiet, left < watch->quiet_ms ? left : watch->quiet_ms, 0);
}

static int has_ending(const char *name, const char *endings)
{
  size_t length = strlen(name);
  while (*endings == '/') {
    const char *ending = endings + 1;
    size_t size = strcspn(ending, "/");
    if (length >= size && memcmp(name + length - size, ending, size) == 0)
      return 1;
    endings = ending + size;
  }
  return 0;
}

/* Of names without a wanted ending only plain files are certain not to matter: a folder or link may
 * lead to what is wanted, and a name that is gone may have. */
static int is_plain_file(const char *folder, const char *name)
{
  char path[PATH_MAX];
  struct stat facts;
  int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
  return length > 0 && (size_t)length < sizeof(path) && lstat(path, &facts) == 0 &&
         S_ISREG(facts.st_mode);
}

static int matters(const struct folder *folder, const char *name)
{
  const char *filter = folder->filter;
  if (!name || !filter)
    return 1;
  if (filter[0] != '/')
    return strcmp(name, filter) == 0;
  return has_ending(name, filter) || !is_plain_file(folder->path, name);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
  struct folder *folder = event->data;
  struct mg_watch *watch = folder->watch;
  (void)events;
  (void)status; /* an error has no name, and is a change too */
  if (!matters(folder, name))
    return;
  if (!watch->changed)
    watch->first_ms = uv_now(watch->vm->loop->uv);
  watch->changed = 1;
  if (watch->task)
    await_quiet(watch);
}

struct mg_watch *mg_watch_new(struct mg_vm *vm)
{
  struct mg_watch *watch = calloc(1, sizeof(*watch));
  if (!watch)
    return NULL;
  watch->vm = vm;
  (void)uv_timer_init(vm->loop->uv, &watch->quiet); /* always 0 */
  watch->quiet.data = watch;
  return watch;
}

static int grow(struct mg_watch *watch)
{
  if (watch->count < watch->cap)
    return 0;
  uint32_t cap = watch->cap ? watch->cap * 2 : 16;
  struct folder **folders = realloc(watch->folders, cap * sizeof(struct folder *));
  if (!folders)
    return UV_ENOMEM;
  watch->folders = folders;
  watch->cap = cap;
  return 0;
}

static void folder_free(struct folder *folder)
{
  if (!folder)
    return;
  free(folder->path);
  free(folder->filter);
  free(folder);
}

static void on_folder_closed(uv_handle_t *handle)
{
  folder_free(handle->data);
}

static void folder_close(struct folder *folder)
{
  uv_close((uv_handle_t *)&folder->event, on_folder_closed);
}

static int folder_open(struct folder **out, struct mg_watch *watch, const char *path,
                       const char *filter)
{
  struct folder *folder = calloc(1, sizeof(*folder));
  if (!folder)
    return UV_ENOMEM;
  *folder = (struct folder){ .watch = watch, .path = strdup(path), .named = 1 };
  folder->filter = filter ? strdup(filter) : NULL;
  if (!folder->path || (filter && !folder->filter)) {
    folder_free(folder);
    return UV_ENOMEM;
  }
  folder->event.data = folder;
  (void)uv_fs_event_init(watch->vm->loop->uv, &folder->event); /* always 0 */
  int err = uv_fs_event_start(&folder->event, on_event, path, 0);
  if (err < 0) {
    folder_close(folder);
    return err;
  }
  *out = folder;
  return 0;
}

static int is_same(const struct folder *folder, const char *path, const char *filter)
{
  if (!folder->filter != !filter || (filter && strcmp(folder->filter, filter) != 0))
    return 0;
  return strcmp(folder->path, path) == 0;
}

/* Its index, or `count`. */
static uint32_t find(struct mg_watch *watch, const char *path, const char *filter)
{
  for (uint32_t i = 0; i < watch->count; i++) {
    uint32_t at = (watch->next + i) % watch->count;
    if (is_same(watch->folders[at], path, filter)) {
      watch->next = at + 1;
      return at;
    }
  }
  return watch->count;
}

int32_t mg_watch_add(struct mg_watch *watch, const char *path, const char *filter)
{
  struct folder *folder;
  int err = grow(watch);
  if (err < 0)
    return err;
  err = folder_open(&folder, watch, path, filter);
  if (err < 0)
    return err;
  uint32_t at = find(watch, path, filter);
  if (at < watch->count)
    folder_close(watch->folders[at]); /* not before: both may share the kernel's watch */
  else
    watch->count++;
  watch->folders[at] = folder;
  return 0;
}

void mg_watch_sweep(struct mg_watch *watch)
{
  uint32_t kept = 0;
  for (uint32_t i = 0; i < watch->count; i++) {
    struct folder *folder = watch->folders[i];
    if (folder->named)
      watch->folders[kept++] = folder;
    else
      folder_close(folder);
    folder->named = 0;
  }
  watch->count = kept;
  watch->next = 0;
}

static void cancel_wait(struct task *task)
{
  struct mg_watch *watch = task->operation;
  watch->task = NULL;
  (void)uv_timer_stop(&watch->quiet); /* always 0 */
}

int32_t mg_watch_wait(struct mg_vm *vm, struct mg_watch *watch, double quiet, double longest)
{
  int err = task_wait(vm, cancel_wait, watch);
  if (err < 0)
    return err;
  watch->task = vm->current;
  watch->quiet_ms = (uint64_t)(quiet * 1000);
  watch->longest_ms = (uint64_t)(longest * 1000);
  if (watch->changed)
    await_quiet(watch);
  return 0;
}

static void on_watch_closed(uv_handle_t *handle)
{
  struct mg_watch *watch = handle->data;
  free(watch->folders);
  free(watch);
}

void mg_watch_close(struct mg_watch *watch)
{
  for (uint32_t i = 0; i < watch->count; i++)
    folder_close(watch->folders[i]);
  watch->count = 0;
  if (watch->task)
    task_wake(watch->task, UV_ECANCELED);
  uv_close((uv_handle_t *)&watch->quiet, on_watch_closed);
}
