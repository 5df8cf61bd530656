/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP requests that Lua makes, over the kept connections that requests of clients use as well. The
 * response is gathered whole, up to a limit.
 *
 * NEW -> RUNNING -> DONE; a task waits while it is RUNNING. */
#include "bridge/fetch.h"

#include <stdlib.h>

#include "base/err.h"
#include "bridge/task.h"

enum {
  HEAD_MAX_BYTES = 256 * 1024
};

enum fetch_state {
  FETCH_NEW,
  FETCH_RUNNING,
  FETCH_DONE
};

struct mg_fetch {
  struct mg_vm *vm;
  struct list node; /* of vm->fetches */
  struct task *task;
  struct http_peer *peer; /* NULL: no connection is ours */
  struct buf arena;       /* of the request */
  struct head request;
  struct buf body;
  struct buf answer_arena;
  struct head answer;
  struct head trailers;
  struct http_message message;
  struct buf text; /* the response's body */
  struct pool_request wanted;
  size_t limit;
  int endpoint;
  uint8_t state;
  uint8_t repeated; /* on a fresh connection, after a kept one had died */
};

static struct mg_fetch *of(struct http_peer *peer)
{
  return peer->owner;
}

static void let_go(struct mg_fetch *fetch, int reuse)
{
  struct http_peer *peer = fetch->peer;
  fetch->peer = NULL;
  if (peer)
    peer->ops->release(peer, reuse);
}

static void finish(struct mg_fetch *fetch, int result)
{
  struct task *task = fetch->task;
  fetch->state = FETCH_DONE;
  let_go(fetch, result == 0);
  if (task)
    task_wake(task, result);
}

static void start(struct mg_fetch *fetch, int want_fresh);

/* RFC 9110 9.2.2; on a connection that was kept the server may have closed it meanwhile. */
static int may_repeat(const struct mg_fetch *fetch, int err)
{
  const char *method = span_text(&fetch->arena, fetch->request.method);
  uint32_t len = fetch->request.method.len;
  return !fetch->repeated && err == ERR_UPSTREAM_CLOSED &&
         fetch->peer->ops->is_stale(fetch->peer) &&
         !(text_equal(method, len, "POST", 4) || text_equal(method, len, "PATCH", 5));
}

/* events of the connection */

static const struct http_message *on_begin(struct http_peer *peer)
{
  struct mg_fetch *fetch = of(peer);
  if (!fetch)
    return NULL;
  head_clear(&fetch->answer);
  head_clear(&fetch->trailers);
  fetch->answer_arena.len = 0;
  fetch->message = (struct http_message){ &fetch->answer_arena, &fetch->answer, &fetch->trailers };
  return &fetch->message;
}

static void on_head(struct http_peer *peer)
{
  struct mg_fetch *fetch = of(peer);
  if (fetch->answer.status == 101)
    finish(fetch, ERR_UPSTREAM_PROTOCOL); /* nobody asked for it */
}

static void on_body(struct http_peer *peer, const char *data, size_t len)
{
  struct mg_fetch *fetch = of(peer);
  if (fetch->text.len + len > fetch->limit)
    finish(fetch, ERR_BODY_TOO_LARGE);
  else if (buf_put(&fetch->text, data, len) < 0)
    finish(fetch, ERR_NO_MEMORY);
}

static void on_complete(struct http_peer *peer)
{
  finish(of(peer), 0);
}

static void on_abort(struct http_peer *peer, int err)
{
  struct mg_fetch *fetch = of(peer);
  if (!may_repeat(fetch, err)) {
    finish(fetch, err);
    return;
  }
  fetch->repeated = 1;
  let_go(fetch, 0);
  start(fetch, 1);
}

static void on_nothing(struct http_peer *peer)
{
  (void)peer; /* all of the request was handed over at once */
}

static void on_tunnel(struct http_peer *peer, const char *data, size_t len)
{
  (void)data;
  (void)len;
  finish(of(peer), ERR_UPSTREAM_PROTOCOL);
}

static void on_ready(struct http_peer *peer)
{
  struct mg_fetch *fetch = of(peer);
  fetch->peer = peer;
  int more = fetch->request.body_len > 0;
  int err = peer->ops->send_head(peer, &fetch->request, &fetch->arena, more);
  if (err == 0 && more)
    err = peer->ops->send_body(peer, fetch->body.data, fetch->body.len);
  if (err == 0)
    err = peer->ops->send_end(peer, NULL, &fetch->arena);
  if (err == 0)
    err = peer->ops->flush(peer);
  if (err < 0)
    on_abort(peer, ERR_UPSTREAM_CLOSED);
}

static const struct http_events events = {
  .on_begin = on_begin,
  .on_head = on_head,
  .on_body = on_body,
  .on_complete = on_complete,
  .on_abort = on_abort,
  .on_drained = on_nothing,
  .on_turn = on_nothing,
  .on_tunnel = on_tunnel,
  .on_tunnel_end = on_nothing,
  .on_ready = on_ready,
};

static void start(struct mg_fetch *fetch, int want_fresh)
{
  int fresh = 0;
  int err = pool_take(fetch->vm->pool, fetch->endpoint, &fetch->wanted, &events, fetch,
                      want_fresh ? POOL_FRESH : POOL_ALIVE, &fetch->peer, &fresh);
  if (err < 0) {
    fetch->peer = NULL;
    finish(fetch, err);
  } else if (!fresh) {
    on_ready(fetch->peer);
  }
}

/* what Lua calls */

struct mg_fetch *mg_fetch_new(struct mg_vm *vm, const char *method, uint32_t method_length,
                              const char *target, uint32_t target_length)
{
  struct mg_fetch *fetch = calloc(1, sizeof(*fetch));
  if (!fetch)
    return NULL;
  fetch->vm = vm;
  fetch->request.version = 11;
  list_push(&vm->fetches, &fetch->node);
  if (text_put(&fetch->arena, method, method_length, &fetch->request.method) == 0 &&
      text_put(&fetch->arena, target, target_length, &fetch->request.target) == 0)
    return fetch;
  mg_fetch_free(fetch);
  return NULL;
}

void mg_fetch_free(struct mg_fetch *fetch)
{
  if (fetch->task)
    task_abandon(fetch->task);
  let_go(fetch, 0);
  list_remove(&fetch->node);
  buf_fini(&fetch->arena);
  buf_fini(&fetch->answer_arena);
  buf_fini(&fetch->body);
  buf_fini(&fetch->text);
  head_fini(&fetch->request);
  head_fini(&fetch->answer);
  head_fini(&fetch->trailers);
  free(fetch);
}

int32_t mg_fetch_header(struct mg_fetch *fetch, const char *name, uint32_t name_length,
                        const char *value, uint32_t value_length)
{
  if (fetch->state != FETCH_NEW || fetch->arena.len > HEAD_MAX_BYTES)
    return ERR_STATE;
  if (!text_is_token(name, name_length) || !text_is_value(value, value_length))
    return ERR_BAD_FIELD;
  return head_add(&fetch->request, &fetch->arena, name, name_length, value, value_length);
}

int32_t mg_fetch_body(struct mg_fetch *fetch, const char *data, uint32_t length)
{
  if (fetch->state != FETCH_NEW)
    return ERR_STATE;
  int err = buf_put(&fetch->body, data, length);
  fetch->request.body_len = (int64_t)fetch->body.len;
  return err;
}

static void on_timeout(uv_timer_t *timer)
{
  task_wake(timer->data, ERR_UPSTREAM_TIMEOUT);
}

/* Also when the time is over, or the task's deadline: the connection is in the midst of an answer. */
static void cancel_fetch(struct task *task)
{
  struct mg_fetch *fetch = task->operation;
  (void)uv_timer_stop(&task->timer); /* always 0 */
  fetch->task = NULL;
  fetch->state = FETCH_DONE;
  let_go(fetch, 0);
}

static uint64_t ms_of(double seconds)
{
  return (uint64_t)(seconds * 1000 + 0.5);
}

int32_t mg_fetch_wait(struct mg_vm *vm, struct mg_fetch *fetch, int32_t endpoint,
                      double connect_seconds, double seconds, double limit)
{
  if (fetch->state != FETCH_NEW || !(seconds > 0 && seconds < 1e6) ||
      !(connect_seconds > 0 && connect_seconds < 1e6) || !(limit >= 0 && limit < 1e15))
    return UV_EINVAL;
  int err = task_wait(vm, cancel_fetch, fetch);
  if (err < 0)
    return err;
  struct task *task = vm->current;
  fetch->task = task;
  fetch->state = FETCH_RUNNING;
  fetch->endpoint = endpoint;
  fetch->limit = (size_t)limit;
  fetch->wanted = (struct pool_request){ .connect_ms = ms_of(connect_seconds),
                                         .send_ms = ms_of(seconds),
                                         .response_ms = ms_of(seconds) };
  (void)uv_timer_start(&task->timer, on_timeout, ms_of(seconds), 0); /* its callback is not NULL */
  start(fetch, 0);
  return 0;
}

int32_t mg_fetch_status(const struct mg_fetch *fetch)
{
  return (int32_t)fetch->answer.status;
}

static int32_t field_at(const struct mg_fetch *fetch, const struct head *head, uint32_t index,
                        struct mg_text *name, struct mg_text *value)
{
  if (index >= head->count)
    return 0;
  const struct field *field = &head->fields[index];
  *name = (struct mg_text){ span_text(&fetch->answer_arena, field->name), field->name.len };
  *value = (struct mg_text){ span_text(&fetch->answer_arena, field->value), field->value.len };
  return 1;
}

int32_t mg_fetch_head_at(const struct mg_fetch *fetch, uint32_t index, struct mg_text *name,
                         struct mg_text *value)
{
  return field_at(fetch, &fetch->answer, index, name, value);
}

int32_t mg_fetch_trailer_at(const struct mg_fetch *fetch, uint32_t index, struct mg_text *name,
                            struct mg_text *value)
{
  return field_at(fetch, &fetch->trailers, index, name, value);
}

void mg_fetch_text(const struct mg_fetch *fetch, struct mg_text *text)
{
  *text = (struct mg_text){ fetch->text.data, (uint32_t)fetch->text.len };
}

void fetches_close(struct mg_vm *vm)
{
  for (struct list *node = vm->fetches.next; node != &vm->fetches; node = node->next) {
    struct mg_fetch *fetch = LIST_ENTRY(node, struct mg_fetch, node);
    fetch->task = NULL;
    fetch->state = FETCH_DONE;
    let_go(fetch, 0);
  }
}
