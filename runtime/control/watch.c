/* SPDX-License-Identifier: Apache-2.0 */
/* Changes in folders, told once they have come to rest: an editor's or kubelet's several steps are one
 * change. Folders are watched, never files: those are replaced by rename and by symbolic links. */
#include <stdlib.h>
#include <string.h>

#include "bridge/api.h"
#include "bridge/task.h"

struct folder {
  uv_fs_event_t event;
  struct mg_watch *watch;
  char *path;
  uint8_t named; /* since the last sweep */
};

struct mg_watch {
  struct mg_vm *vm;
  uv_timer_t quiet;
  struct folder **folders;
  uint32_t count;
  uint32_t cap;
  struct task *task; /* that waits */
  uint64_t quiet_ms;
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

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
  struct folder *folder = event->data;
  (void)name;
  (void)events;
  (void)status; /* an error is a change too: the folder is gone */
  folder->watch->changed = 1;
  if (folder->watch->task)
    (void)uv_timer_start(&folder->watch->quiet, on_quiet, folder->watch->quiet_ms, 0);
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

static void on_folder_closed(uv_handle_t *handle)
{
  struct folder *folder = handle->data;
  free(folder->path);
  free(folder);
}

int32_t mg_watch_add(struct mg_watch *watch, const char *path)
{
  for (uint32_t i = 0; i < watch->count; i++) {
    if (strcmp(watch->folders[i]->path, path) == 0) {
      watch->folders[i]->named = 1;
      return 0;
    }
  }
  int err = grow(watch);
  if (err < 0)
    return err;
  struct folder *folder = calloc(1, sizeof(*folder));
  char *copy = strdup(path);
  if (!folder || !copy) {
    free(folder);
    free(copy);
    return UV_ENOMEM;
  }
  *folder = (struct folder){ .watch = watch, .path = copy, .named = 1 };
  folder->event.data = folder;
  (void)uv_fs_event_init(watch->vm->loop->uv, &folder->event); /* always 0 */
  err = uv_fs_event_start(&folder->event, on_event, path, 0);
  if (err < 0) {
    uv_close((uv_handle_t *)&folder->event, on_folder_closed);
    return err;
  }
  watch->folders[watch->count++] = folder;
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
      uv_close((uv_handle_t *)&folder->event, on_folder_closed);
    folder->named = 0;
  }
  watch->count = kept;
}

static void cancel_wait(struct task *task)
{
  struct mg_watch *watch = task->operation;
  watch->task = NULL;
  (void)uv_timer_stop(&watch->quiet); /* always 0 */
}

int32_t mg_watch_wait(struct mg_vm *vm, struct mg_watch *watch, double quiet)
{
  int err = task_wait(vm, cancel_wait, watch);
  if (err < 0)
    return err;
  watch->task = vm->current;
  watch->quiet_ms = (uint64_t)(quiet * 1000);
  if (watch->changed)
    (void)uv_timer_start(&watch->quiet, on_quiet, watch->quiet_ms, 0);
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
    uv_close((uv_handle_t *)&watch->folders[i]->event, on_folder_closed);
  watch->count = 0;
  if (watch->task)
    task_wake(watch->task, UV_ECANCELED);
  uv_close((uv_handle_t *)&watch->quiet, on_watch_closed);
}
