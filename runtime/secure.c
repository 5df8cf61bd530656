/* SPDX-License-Identifier: Apache-2.0 */
#include "secure.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/err.h"
#include "hello.h"
#include "passage.h"
#include "tls/client_auth.h"
#include "tls/facts.h"
#include "tls/server.h"

static void choose(void *data, const char *name, size_t length, struct tls_choice *choice)
{
  const struct worker *worker = data;
  const struct exchange_pin *pin = worker->exchanges.pin;
  if (!pin)
    return;
  const struct mg_snapshot *snapshot = pin->snapshot;
  choice->certificate = mg_snapshot_certificate(snapshot, name, (uint32_t)length);
  const struct mg_client_auth *auth = snapshot_client_auth(snapshot, name, (uint32_t)length);
  if (auth)
    client_auth_choose(auth, choice);
  choice->suites = snapshot_suites(snapshot, name, (uint32_t)length);
}

void secure_choose(const struct worker *worker, const char *name, struct tls_choice *choice)
{
  const char *known = name ? name : "";
  choose((void *)(uintptr_t)worker, known, strlen(known), choice); /* it does not write */
}

/* Only who is asked for costs a task of Lua. */
static enum tls_verdict on_hello(void *data, struct stream *stream, const struct tls_hello *hello,
                                 struct tls_choice *choice)
{
  struct worker *worker = data;
  const struct exchange_pin *pin = worker->exchanges.pin;
  const char *name = tls_sni(stream);
  int32_t service = -1;
  (void)hello;
  (void)choice;
  if (pin && name)
    service = snapshot_passthrough(pin->snapshot, name, (uint32_t)strlen(name));
  return service >= 0 || worker->vm.settings.hello ? hello_ask(worker, stream, service) : TLS_GO;
}

static void on_pass(void *data, struct stream *stream, char *bytes, size_t length)
{
  struct worker *worker = data;
  const struct passage_plan plan = { .worker = worker, .to = &worker->passes_to };
  passage_start(stream->owner, &plan, bytes, length);
}

/* One set for all workers, made with the first of them that resumes sessions. NULL: no memory. */
static struct tls_tickets *shared_tickets(struct gateway *gateway, uint32_t lifetime_s)
{
  uv_mutex_lock(&gateway->mutex);
  if (!gateway->tickets)
    gateway->tickets = tls_tickets_new(lifetime_s);
  else
    tls_tickets_set_lifetime(gateway->tickets, lifetime_s);
  struct tls_tickets *tickets = gateway->tickets;
  uv_mutex_unlock(&gateway->mutex);
  return tickets;
}

/* Connections that are there keep the old one. */
static int serve(struct worker *worker, const struct mg_tls_serve *wanted)
{
  struct tls_server *made = NULL;
  const char *const *protocols = worker->protocols;
  if (strcmp(protocols[0], "h2") == 0 && !worker->vm.settings.h2)
    protocols++;
  struct tls_server_settings settings = { .choose = choose,
                                          .hello = on_hello,
                                          .pass = on_pass,
                                          .data = worker,
                                          .alpn = protocols,
                                          .min_version = wanted->min_version,
                                          .max_version = wanted->max_version,
                                          .suites = wanted->suites,
                                          .groups = wanted->groups,
                                          .client_order = wanted->client_order };
  if (wanted->resume_s > 0)
    settings.tickets = shared_tickets(worker->gateway, (uint32_t)wanted->resume_s);
  int err = tls_server_new(&made, worker->tls_context, &settings);
  if (err < 0)
    return err;
  if (worker->tls)
    tls_server_unref(worker->tls);
  worker->tls = made;
  return 0;
}

int32_t mg_tls_serve(struct mg_vm *vm, const struct mg_tls_serve *wanted)
{
  struct worker *worker = vm->owner;
  return serve(worker, wanted);
}

int32_t mg_tls_log_keys(struct mg_vm *vm, const char *path)
{
  struct gateway *gateway = ((struct worker *)vm->owner)->gateway;
  int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0)
    return uv_translate_sys_error(errno);
  gateway->keylog = file;
  return 0;
}

int secure_open(struct worker *worker, const char *const *protocols)
{
  const struct mg_tls_serve defaults = { 0 };
  int err = tls_context_open(&worker->tls_context, &worker->uv);
  if (err < 0)
    return err;
  tls_context_log_keys(worker->tls_context, worker->gateway->keylog);
  worker->protocols = protocols;
  return serve(worker, &defaults);
}

void secure_close(struct worker *worker)
{
  tls_server_unref(worker->tls);
  tls_context_close(worker->tls_context);
}
