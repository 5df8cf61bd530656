/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords for Lua: checked in a thread of the pool, a bounded number at once. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/password.h"
#include "bridge/api.h"
#include "bridge/task.h"

enum {
  CHECKS_MAX = 32, /* of one thread: whoever guesses must not keep the pool from others */
};

struct check {
  uv_work_t work;
  struct mg_vm *vm;
  struct task *task; /* NULL: nobody waits any more */
  int result;
  uint32_t password_length;
  uint32_t hash_length;
  char text[]; /* password, then hash */
};

static void check_free(struct check *check)
{
  explicit_bzero(check->text, check->password_length);
  free(check);
}

static void on_work(uv_work_t *work)
{
  struct check *check = work->data;
  check->result = password_check(check->text, check->password_length,
                                 check->text + check->password_length, check->hash_length);
}

static void on_done(uv_work_t *work, int status)
{
  struct check *check = work->data;
  struct task *task = check->task;
  int result = status < 0 ? status : check->result;
  check->vm->password_checks--;
  check_free(check);
  if (task) {
    task->operation = NULL;
    task->cancel = NULL;
    task_wake(task, result);
  }
}

static void cancel_check(struct task *task)
{
  struct check *check = task->operation;
  check->task = NULL;
  (void)uv_cancel((uv_req_t *)&check->work); /* fails when it runs already: its end finds nobody */
}

static struct check *check_new(struct mg_vm *vm, const struct mg_text *password,
                               const struct mg_text *hash)
{
  struct check *check = calloc(1, sizeof(*check) + password->length + hash->length);
  if (!check)
    return NULL;
  check->work.data = check;
  check->vm = vm;
  check->password_length = password->length;
  check->hash_length = hash->length;
  memcpy(check->text, password->data, password->length);
  memcpy(check->text + password->length, hash->data, hash->length);
  return check;
}

int32_t mg_wait_password(struct mg_vm *vm, const char *password, uint32_t length, const char *hash,
                         uint32_t hash_length)
{
  if (vm->password_checks >= CHECKS_MAX)
    return ERR_LIMIT;
  struct check *check =
      check_new(vm, &(struct mg_text){ password, length }, &(struct mg_text){ hash, hash_length });
  if (!check)
    return UV_ENOMEM;
  int err = task_wait(vm, cancel_check, check);
  if (err < 0) {
    check_free(check);
    return err;
  }
  check->task = vm->current;
  err = uv_queue_work(vm->loop->uv, &check->work, on_work, on_done);
  if (err < 0) {
    check_free(check);
    vm->current->cancel = NULL;
    task_wake(vm->current, err);
    return 0;
  }
  vm->password_checks++;
  return 0;
}

int32_t mg_password_is_known(const char *hash, uint32_t length)
{
  return password_is_known(hash, length);
}
