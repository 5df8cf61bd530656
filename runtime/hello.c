/* SPDX-License-Identifier: Apache-2.0 */
#include "hello.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/cidr.h"
#include "secure.h"
#include "tls/facts.h"

struct asked {
  struct list node; /* of worker->asked */
  struct stream *stream;
  uint32_t number;
  int32_t service;
  struct mg_snapshot *snapshot; /* that the service is of, kept; NULL: there is none */
};

enum tls_verdict hello_ask(struct worker *worker, struct stream *stream, int32_t service)
{
  char text[16];
  char *arguments[] = { text };
  struct asked *asked = calloc(1, sizeof(*asked));
  if (!asked)
    return TLS_REFUSE;
  asked->stream = stream;
  asked->service = service;
  asked->number = ++worker->asked_last;
  (void)snprintf(text, sizeof(text), "%u", asked->number);
  if (vm_start(&worker->vm, "hello", 1, arguments) < 0) {
    free(asked);
    return TLS_REFUSE;
  }
  if (service >= 0)
    asked->snapshot = mg_snapshot_ref(worker->exchanges.pin->snapshot);
  list_push(&worker->asked, &asked->node);
  return TLS_WAIT;
}

static void forget(struct asked *asked)
{
  list_remove(&asked->node);
  mg_snapshot_unref(asked->snapshot);
  free(asked);
}

void hello_forget(struct worker *worker, const struct stream *stream)
{
  for (struct list *at = worker->asked.next; at != &worker->asked; at = at->next) {
    struct asked *asked = LIST_ENTRY(at, struct asked, node);
    if (asked->stream == stream) {
      forget(asked);
      return;
    }
  }
}

static struct asked *find(struct mg_vm *vm, uint32_t number)
{
  struct worker *worker = vm->owner;
  for (struct list *at = worker->asked.next; at != &worker->asked; at = at->next) {
    struct asked *asked = LIST_ENTRY(at, struct asked, node);
    if (asked->number == number)
      return asked;
  }
  return NULL;
}

_Static_assert(sizeof(((struct mg_hello *)0)->extensions) ==
                   sizeof(((struct tls_hello *)0)->extensions),
               "bridge/api_tls.h has as many as tls/hello.h");

static struct mg_text text_of(const struct tls_slice *slice)
{
  return (struct mg_text){ (const char *)slice->at, slice->length };
}

int32_t mg_hello_get(struct mg_vm *vm, uint32_t number, struct mg_hello *out)
{
  const struct asked *asked = find(vm, number);
  struct tls_hello hello;
  if (!asked || !tls_server_hello(asked->stream, &hello))
    return ERR_STALE;
  const struct http_server *arrival = asked->stream->owner;
  const char *sni = tls_sni(asked->stream);
  memset(out, 0, sizeof(*out));
  out->sni = (struct mg_text){ sni, sni ? (uint32_t)strlen(sni) : 0 };
  out->ip = (struct mg_text){ arrival->origin.ip, arrival->origin.ip_len };
  out->port = arrival->origin.port;
  out->service = asked->service;
  out->snapshot = asked->snapshot;
  out->version = (uint32_t)tls_hello_version(&hello);
  out->legacy_version = hello.version;
  out->alpn = text_of(&hello.alpn);
  out->suites = text_of(&hello.suites);
  out->groups = text_of(&hello.groups);
  out->points = text_of(&hello.points);
  out->signatures = text_of(&hello.signatures);
  out->versions = text_of(&hello.versions);
  out->extension_count = hello.extension_count;
  memcpy(out->extensions, hello.extensions, sizeof(out->extensions));
  return 0;
}

int32_t mg_hello_end(struct mg_vm *vm, uint32_t number, int32_t refuse,
                     struct mg_certificate *certificate)
{
  struct asked *asked = find(vm, number);
  if (!asked)
    return ERR_STALE;
  struct stream *stream = asked->stream;
  struct tls_choice choice = { 0 };
  forget(asked);
  secure_choose(vm->owner, tls_sni(stream), &choice);
  if (certificate)
    choice.certificate = certificate; /* what clients are asked for stays */
  tls_server_resume(stream, refuse ? TLS_REFUSE : TLS_GO, &choice);
  return 0;
}

int32_t mg_hello_pass(struct mg_vm *vm, uint32_t number, const char *ip, uint32_t port)
{
  struct worker *worker = vm->owner;
  struct asked *asked = find(vm, number);
  if (!asked)
    return ERR_STALE;
  struct sockaddr_in *v4 = (struct sockaddr_in *)&worker->passes_to;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&worker->passes_to;
  if (uv_ip4_addr(ip, (int)port, v4) < 0 && uv_ip6_addr(ip, (int)port, v6) < 0)
    return UV_EINVAL;
  struct stream *stream = asked->stream;
  forget(asked);
  tls_server_resume(stream, TLS_PASS, NULL);
  return 0;
}
