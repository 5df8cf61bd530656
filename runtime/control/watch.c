/* SPDX-License-Identifier: Apache-2.0 */
/* Changes in folders, told once they have come to rest: an editor's or kubelet's several steps are one
 * change. inotify(7) itself, as libuv's events have one mask for all: of the folders on the way to what
 * is watched only the coming and going of names counts, and whoever writes to a log beside it must not
 * wake anybody. A watch is of what the path led to when it was set: each naming of a path sets it anew. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/api.h"
#include "bridge/task.h"

/* One inotify has one mask for a folder, so that there are two. */
enum {
  CONTENTS, /* whatever happens in a folder or to a file */
  NAMES,
  KINDS
};

enum {
  COMES_AND_GOES =
      IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF,
  CHANGES = COMES_AND_GOES | IN_MODIFY | IN_ATTRIB
};

struct target {
  struct list node;
  char *path;
  char *filter; /* as of mg_watch_add, or NULL */
  int kind;
  int wd;
  uint8_t named; /* since the last sweep */
};

struct source {
  uv_poll_t poll;
  struct mg_watch *watch;
  int fd; /* below 0: not there yet */
};

struct mg_watch {
  struct mg_vm *vm;
  uv_timer_t quiet;
  struct source sources[KINDS];
  struct list targets;
  struct list
      *next; /* the target that is likely to be named next, as they come in the same order */
  struct task *task; /* that waits */
  uint64_t quiet_ms;
  uint64_t longest_ms;
  uint64_t first_ms; /* when `changed` was set */
  uint8_t changed;
  uint8_t open; /* handles of libuv */
};

static struct target *target_at(struct list *node)
{
  return LIST_ENTRY(node, struct target, node);
}

/* what matters */

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

static void note(struct mg_watch *watch)
{
  if (!watch->changed)
    watch->first_ms = uv_now(watch->vm->loop->uv);
  watch->changed = 1;
  if (watch->task)
    await_quiet(watch);
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

static int matters(const struct target *target, const struct inotify_event *event)
{
  const char *filter = target->filter;
  if (event->len == 0 || !filter || filter[0] == '\0')
    return 1;
  if (filter[0] != '/')
    return strcmp(event->name, filter) == 0;
  return has_ending(event->name, filter) || !is_plain_file(target->path, event->name);
}

static void take(struct source *source, const struct inotify_event *event)
{
  struct mg_watch *watch = source->watch;
  int kind = (int)(source - watch->sources);
  if (event->mask & IN_Q_OVERFLOW) {
    note(watch);
    return;
  }
  if (event->mask & IN_IGNORED)
    return; /* that it went has been told */
  for (struct list *node = watch->targets.next; node != &watch->targets; node = node->next) {
    const struct target *target = target_at(node);
    if (target->kind == kind && target->wd == event->wd && matters(target, event)) {
      note(watch);
      return;
    }
  }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
  struct source *source = poll->data;
  _Alignas(struct inotify_event) char bytes[4096];
  (void)status; /* reading tells */
  (void)events;
  for (;;) {
    ssize_t length = read(source->fd, bytes, sizeof(bytes));
    if (length <= 0)
      return;
    const struct inotify_event *event;
    for (char *at = bytes; at < bytes + length; at += sizeof(*event) + event->len) {
      event = (const struct inotify_event *)at;
      take(source, event);
    }
  }
}

/* targets */

static void forget(struct mg_watch *watch, struct target *target)
{
  if (watch->next == &target->node)
    watch->next = target->node.next;
  list_remove(&target->node);
  free(target->path);
  free(target->filter);
  free(target);
}

/* Lets the kernel go of a folder that no target is about any more. */
static void release(struct mg_watch *watch, int kind, int wd)
{
  for (struct list *node = watch->targets.next; node != &watch->targets; node = node->next) {
    if (target_at(node)->kind == kind && target_at(node)->wd == wd)
      return;
  }
  (void)inotify_rm_watch(watch->sources[kind].fd, wd); /* it may be gone by itself */
}

static int is_same(const struct target *target, const char *path, const char *filter)
{
  if (!target->filter != !filter || (filter && strcmp(target->filter, filter) != 0))
    return 0;
  return strcmp(target->path, path) == 0;
}

static struct target *find(struct mg_watch *watch, const char *path, const char *filter)
{
  struct list *first = watch->next;
  struct list *node = first;
  do {
    if (node != &watch->targets && is_same(target_at(node), path, filter)) {
      watch->next = node->next;
      return target_at(node);
    }
    node = node->next;
  } while (node != first);
  return NULL;
}

static int add_target(struct mg_watch *watch, const char *path, const char *filter, int kind,
                      struct target **out)
{
  struct target *target = calloc(1, sizeof(*target));
  if (!target)
    return UV_ENOMEM;
  target->path = strdup(path);
  target->filter = filter ? strdup(filter) : NULL;
  if (!target->path || (filter && !target->filter)) {
    free(target->path);
    free(target->filter);
    free(target);
    return UV_ENOMEM;
  }
  target->kind = kind;
  target->wd = -1;
  list_push(watch->targets.prev, &target->node);
  *out = target;
  return 0;
}

static int open_source(struct mg_watch *watch, struct source *source)
{
  if (source->fd >= 0)
    return 0;
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0)
    return uv_translate_sys_error(errno);
  int err = uv_poll_init(watch->vm->loop->uv, &source->poll, fd);
  if (err < 0) {
    close(fd);
    return err;
  }
  source->fd = fd;
  source->watch = watch;
  source->poll.data = source;
  watch->open++;
  return uv_poll_start(&source->poll, UV_READABLE, on_readable);
}

int32_t mg_watch_add(struct mg_watch *watch, const char *path, const char *filter)
{
  int is_file = filter && filter[0] == '\0';
  int kind = filter && !is_file && filter[0] != '/' ? NAMES : CONTENTS;
  struct source *source = &watch->sources[kind];
  int err = open_source(watch, source);
  if (err < 0)
    return err;
  uint32_t mask = kind == NAMES ? COMES_AND_GOES : CHANGES;
  int wd = inotify_add_watch(source->fd, path, mask | (is_file ? 0 : IN_ONLYDIR));
  if (wd < 0)
    return uv_translate_sys_error(errno);
  struct target *target = find(watch, path, filter);
  err = target ? 0 : add_target(watch, path, filter, kind, &target);
  if (err < 0) {
    release(watch, kind, wd);
    return err;
  }
  int before = target->wd;
  target->wd = wd;
  target->named = 1;
  if (before >= 0 && before != wd)
    release(watch, kind, before);
  return 0;
}

void mg_watch_sweep(struct mg_watch *watch)
{
  struct list *next;
  for (struct list *node = watch->targets.next; node != &watch->targets; node = next) {
    struct target *target = target_at(node);
    next = node->next;
    if (!target->named) {
      int kind = target->kind;
      int wd = target->wd;
      forget(watch, target);
      release(watch, kind, wd);
    } else {
      target->named = 0;
    }
  }
  watch->next = watch->targets.next;
}

/* life */

struct mg_watch *mg_watch_new(struct mg_vm *vm)
{
  struct mg_watch *watch = calloc(1, sizeof(*watch));
  if (!watch)
    return NULL;
  watch->vm = vm;
  list_init(&watch->targets);
  watch->next = &watch->targets;
  for (int i = 0; i < KINDS; i++)
    watch->sources[i].fd = -1;
  (void)uv_timer_init(vm->loop->uv, &watch->quiet); /* always 0 */
  watch->quiet.data = watch;
  watch->open = 1;
  return watch;
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

static void on_handle_closed(struct mg_watch *watch)
{
  if (--watch->open == 0)
    free(watch);
}

static void on_timer_closed(uv_handle_t *handle)
{
  on_handle_closed(handle->data);
}

static void on_source_closed(uv_handle_t *handle)
{
  struct source *source = handle->data;
  close(source->fd);
  on_handle_closed(source->watch);
}

void mg_watch_close(struct mg_watch *watch)
{
  while (!list_empty(&watch->targets))
    forget(watch, target_at(watch->targets.next));
  if (watch->task)
    task_wake(watch->task, UV_ECANCELED);
  for (int i = 0; i < KINDS; i++) {
    if (watch->sources[i].fd >= 0)
      uv_close((uv_handle_t *)&watch->sources[i].poll, on_source_closed);
  }
  uv_close((uv_handle_t *)&watch->quiet, on_timer_closed);
}
