/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/probe.h"

#include <stdlib.h>

#include "base/err.h"
#include "exchange/internal.h"
#include "http/h1/parser.h"

struct mg_probe {
  struct h1_parser parser;
  struct http_origin origin;
  struct http_peer peer;
  struct exchange *exchange;
  uint8_t has_head;
};

static struct mg_probe *of(struct h1_parser *parser)
{
  return LIST_ENTRY(parser, struct mg_probe, parser);
}

static const struct http_message *on_begin(struct h1_parser *parser)
{
  return &of(parser)->exchange->message;
}

static int on_head(struct h1_parser *parser)
{
  of(parser)->has_head = 1;
  return 0;
}

static int on_body(struct h1_parser *parser, const char *data, size_t len)
{
  (void)parser; /* no route looks at it */
  (void)data;
  (void)len;
  return 0;
}

static int on_complete(struct h1_parser *parser)
{
  (void)parser;
  return 0;
}

static const struct h1_parser_events events = { on_begin, on_head, on_body, on_complete };

static int read_head(struct mg_probe *probe, const char *head, size_t len)
{
  struct exchange *exchange = probe->exchange;
  int64_t used = h1_parser_feed(&probe->parser, head, len);
  if (used < 0)
    return (int)used;
  if (!probe->has_head)
    return ERR_BAD_REQUEST;
  int err = fields_read(exchange);
  return err < 0 ? err : fields_outgoing(exchange);
}

int probe_new(struct mg_probe **out, struct exchanges *all, const struct http_limits *limits,
              const struct http_origin *origin, const char *head, size_t len)
{
  struct mg_probe *probe = calloc(1, sizeof(*probe));
  if (!probe)
    return UV_ENOMEM;
  struct exchange *exchange = exchange_take(all);
  if (!exchange) {
    free(probe);
    return UV_ENOMEM;
  }
  probe->origin = *origin;
  probe->exchange = exchange;
  exchange->origin = &probe->origin;
  exchange->client = &probe->peer;
  exchange->message =
      (struct http_message){ &exchange->arena, &exchange->request, &exchange->request_trailers };
  h1_parser_init(&probe->parser, 0, limits, &events);
  int err = read_head(probe, head, len);
  exchange_enter(exchange, EX_REQUEST);
  if (err < 0) {
    probe_free(probe);
    return err;
  }
  *out = probe;
  return 0;
}

struct exchange *probe_exchange(const struct mg_probe *probe)
{
  return probe->exchange;
}

void probe_free(struct mg_probe *probe)
{
  probe->exchange->client = NULL;
  exchange_enter(probe->exchange, EX_LOG);
  exchange_end(probe->exchange);
  free(probe);
}
