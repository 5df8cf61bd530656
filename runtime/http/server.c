/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

void http_server_drain_all(struct list *all)
{
  for (struct list *node = all->next; node != all; node = node->next) {
    struct http_server *server = LIST_ENTRY(node, struct http_server, node);
    server->ops->drain(server);
  }
}

void http_server_close_all(struct list *all)
{
  for (struct list *node = all->next; node != all; node = node->next) {
    struct http_server *server = LIST_ENTRY(node, struct http_server, node);
    server->ops->close(server);
  }
}
