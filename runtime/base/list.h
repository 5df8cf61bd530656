/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked ring. A node alone points to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stddef.h>

struct list {
  struct list *next;
  struct list *prev;
};

#define LIST_ENTRY(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
  list->next = list;
  list->prev = list;
}

static inline int list_empty(const struct list *list)
{
  return list->next == list;
}

static inline void list_push(struct list *head, struct list *node)
{
  node->next = head->next;
  node->prev = head;
  head->next->prev = node;
  head->next = node;
}

static inline void list_remove(struct list *node)
{
  node->prev->next = node->next;
  node->next->prev = node->prev;
  list_init(node);
}

#endif
