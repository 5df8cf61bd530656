/* SPDX-License-Identifier: Apache-2.0 */
/* YAML text to nodes: libyaml gives events, this file keeps the tree, the
 * positions and the limits. Comes before scripts/moongate/control/model/document.lua. */
#include "bridge/api.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

enum {
  KIND_NONE = 0,
  KIND_PLAIN = 1,
  KIND_QUOTED = 2,
  KIND_SEQUENCE = 3,
  KIND_MAPPING = 4,
};

enum {
  DEPTH_LIMIT = 100,
  NODE_LIMIT = 2000000,
  /* Nodes that aliases of one document may stand for; a Kubernetes manifest
   * has a few thousand nodes, "billion laughs" has 10^9. */
  ALIAS_LIMIT = 200000,
  ERROR_BYTES = 200,
};

#define TEXT_LIMIT_BYTES ((uint64_t)256 << 20)

struct node {
  uint8_t kind;
  uint32_t line;
  uint32_t column;
  uint32_t text; /* offset into the text of struct mg_yaml */
  uint32_t length;
  uint32_t first;
  uint32_t next;
  uint32_t weight; /* nodes of the subtree with aliases written out */
};

struct document {
  uint32_t root;
  uint32_t line;
  uint32_t column;
  char error[ERROR_BYTES]; /* empty: none */
};

/* Grown by doubling; owned by the struct that embeds it. */
struct array {
  void *items;
  uint32_t count;
  uint32_t room;
};

struct mg_yaml {
  struct array nodes;     /* struct node; the first stands for "none" */
  struct array text;      /* char, each scalar followed by a NUL */
  struct array documents; /* struct document */
};

struct anchor {
  uint32_t name; /* offset into the text */
  uint32_t node;
};

/* One level of nesting that is open. */
struct level {
  uint32_t node;
  uint32_t last;   /* last child so far */
  uint32_t anchor; /* index + 1 into the anchors, 0 when it has none */
};

struct key {
  const char *text;
  uint32_t length;
  uint32_t node;
};

/* Lives for one call of mg_yaml_read. */
struct reader {
  struct mg_yaml *yaml;
  yaml_parser_t parser;
  struct array anchors; /* struct anchor, of the current document */
  struct array keys;    /* struct key, scratch */
  struct level levels[DEPTH_LIMIT];
  uint32_t depth;
  uint32_t alias_nodes;
  uint32_t document; /* index of the current one */
  bool bad;          /* the current document has an error; skip to its end */
  bool no_memory;
};

static bool array_reserve(struct array *array, uint32_t more, size_t item_bytes)
{
  uint64_t wanted = (uint64_t)array->count + more;
  if (wanted <= array->room)
    return true;
  uint64_t room = array->room ? array->room : 64;
  while (room < wanted)
    room *= 2;
  if (room > UINT32_MAX)
    return false;
  void *items = realloc(array->items, (size_t)room * item_bytes);
  if (!items)
    return false;
  array->items = items;
  array->room = (uint32_t)room;
  return true;
}

static struct node *node_at(const struct mg_yaml *yaml, uint32_t index)
{
  return (struct node *)yaml->nodes.items + (index < yaml->nodes.count ? index : 0);
}

static struct document *document_at(const struct mg_yaml *yaml, uint32_t index)
{
  return (struct document *)yaml->documents.items + index;
}

static const char *text_at(const struct mg_yaml *yaml, uint32_t offset)
{
  return (const char *)yaml->text.items + offset;
}

/* Gives the current document up; its nodes stay unused in the array. */
static void fail(struct reader *self, uint32_t line, uint32_t column, const char *message)
{
  if (self->bad)
    return;
  struct document *document = document_at(self->yaml, self->document);
  document->root = 0;
  document->line = line;
  document->column = column;
  snprintf(document->error, sizeof(document->error), "%s", message);
  self->bad = true;
}

static void fail_at(struct reader *self, uint32_t node, const char *message)
{
  const struct node *at = node_at(self->yaml, node);
  fail(self, at->line, at->column, message);
}

static bool text_add(struct reader *self, const void *bytes, size_t length, uint32_t *offset)
{
  struct array *text = &self->yaml->text;
  if (length >= UINT32_MAX || !array_reserve(text, (uint32_t)length + 1, 1)) {
    self->no_memory = true;
    return false;
  }
  *offset = text->count;
  char *to = (char *)text->items + text->count;
  if (length)
    memcpy(to, bytes, length);
  to[length] = '\0';
  text->count += (uint32_t)length + 1;
  return true;
}

/* Returns the new node's index; 0 when there is no room (noted in self). */
static uint32_t node_add(struct reader *self, uint8_t kind, const yaml_mark_t *mark)
{
  struct array *nodes = &self->yaml->nodes;
  if (nodes->count > NODE_LIMIT) {
    fail(self, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1,
         "the file holds more than 2000000 values");
    return 0;
  }
  if (!array_reserve(nodes, 1, sizeof(struct node))) {
    self->no_memory = true;
    return 0;
  }
  uint32_t index = nodes->count++;
  *node_at(self->yaml, index) = (struct node){
    .kind = kind,
    .line = (uint32_t)mark->line + 1,
    .column = (uint32_t)mark->column + 1,
    .weight = 1,
  };
  return index;
}

/* Hangs a node below the innermost open level, or makes it the root. */
static void attach(struct reader *self, uint32_t node)
{
  if (!self->depth) {
    document_at(self->yaml, self->document)->root = node;
    return;
  }
  struct level *level = &self->levels[self->depth - 1];
  if (level->last)
    node_at(self->yaml, level->last)->next = node;
  else
    node_at(self->yaml, level->node)->first = node;
  level->last = node;
}

/* Remembers a name; `node` 0 means that the node is not complete yet. */
static uint32_t anchor_add(struct reader *self, const yaml_char_t *name, uint32_t node)
{
  if (!name)
    return 0;
  uint32_t offset = 0;
  if (!array_reserve(&self->anchors, 1, sizeof(struct anchor))) {
    self->no_memory = true;
    return 0;
  }
  if (!text_add(self, name, strlen((const char *)name), &offset))
    return 0;
  struct anchor *anchor = (struct anchor *)self->anchors.items + self->anchors.count++;
  anchor->name = offset;
  anchor->node = node;
  return self->anchors.count;
}

static void on_scalar(struct reader *self, const yaml_event_t *event)
{
  bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  const char *tag = (const char *)event->data.scalar.tag;
  if (tag && !strcmp(tag, YAML_STR_TAG))
    plain = false;
  else if (tag && !strncmp(tag, "tag:yaml.org,2002:", 18))
    plain = true;
  uint32_t offset = 0;
  if (!text_add(self, event->data.scalar.value, event->data.scalar.length, &offset))
    return;
  uint32_t node = node_add(self, plain ? KIND_PLAIN : KIND_QUOTED, &event->start_mark);
  if (!node)
    return;
  node_at(self->yaml, node)->text = offset;
  node_at(self->yaml, node)->length = (uint32_t)event->data.scalar.length;
  anchor_add(self, event->data.scalar.anchor, node);
  attach(self, node);
}

static void open_level(struct reader *self, uint8_t kind, const yaml_char_t *anchor,
                       const yaml_mark_t *mark)
{
  uint32_t node = node_add(self, kind, mark);
  if (!node)
    return;
  if (self->depth == DEPTH_LIMIT) {
    fail_at(self, node, "nested deeper than 100 levels");
    return;
  }
  attach(self, node);
  self->levels[self->depth++] =
      (struct level){ .node = node, .anchor = anchor_add(self, anchor, 0) };
}

static int by_text(const void *left, const void *right)
{
  const struct key *a = left;
  const struct key *b = right;
  if (a->length != b->length)
    return a->length < b->length ? -1 : 1;
  int order = memcmp(a->text, b->text, a->length);
  if (order)
    return order;
  return a->node < b->node ? -1 : a->node > b->node;
}

static void check_keys(struct reader *self, uint32_t mapping)
{
  self->keys.count = 0;
  for (uint32_t key = node_at(self->yaml, mapping)->first; key;) {
    const struct node *at = node_at(self->yaml, key);
    if (at->kind != KIND_PLAIN && at->kind != KIND_QUOTED) {
      fail_at(self, key, "a key must be a string");
      return;
    }
    if (!array_reserve(&self->keys, 1, sizeof(struct key))) {
      self->no_memory = true;
      return;
    }
    ((struct key *)self->keys.items)[self->keys.count++] = (struct key){
      .text = text_at(self->yaml, at->text),
      .length = at->length,
      .node = key,
    };
    key = node_at(self->yaml, at->next)->next;
  }
  if (self->keys.count < 2)
    return;
  struct key *keys = self->keys.items;
  qsort(keys, self->keys.count, sizeof(*keys), by_text);
  for (uint32_t i = 1; i < self->keys.count; i++) {
    if (keys[i].length != keys[i - 1].length ||
        memcmp(keys[i].text, keys[i - 1].text, keys[i].length) != 0)
      continue;
    char message[ERROR_BYTES];
    snprintf(message, sizeof(message), "key \"%.100s\" is given twice, first on line %u",
             keys[i].text, node_at(self->yaml, keys[i - 1].node)->line);
    fail_at(self, keys[i].node, message);
    return;
  }
}

static void close_level(struct reader *self)
{
  const struct level *level = &self->levels[--self->depth];
  struct node *node = node_at(self->yaml, level->node);
  uint64_t weight = 1;
  for (uint32_t child = node->first; child; child = node_at(self->yaml, child)->next)
    weight += node_at(self->yaml, child)->weight;
  node->weight = weight > UINT32_MAX ? UINT32_MAX : (uint32_t)weight;
  if (level->anchor)
    ((struct anchor *)self->anchors.items)[level->anchor - 1].node = level->node;
  if (node->kind == KIND_MAPPING)
    check_keys(self, level->node);
}

/* An alias becomes a node that shares the children of the one it names. */
static void on_alias(struct reader *self, const yaml_event_t *event)
{
  const char *name = (const char *)event->data.alias.anchor;
  uint32_t node = node_add(self, KIND_NONE, &event->start_mark);
  if (!node)
    return;
  const struct anchor *anchors = self->anchors.items;
  uint32_t found = 0;
  for (uint32_t i = self->anchors.count; i-- > 0;) {
    if (strcmp(text_at(self->yaml, anchors[i].name), name) != 0)
      continue;
    found = anchors[i].node;
    break;
  }
  if (!found) {
    fail_at(self, node, "this alias names no anchor before it");
    return;
  }
  const struct node *named = node_at(self->yaml, found);
  if (named->weight > ALIAS_LIMIT - self->alias_nodes) {
    fail_at(self, node, "the aliases of this document stand for more than 200000 values");
    return;
  }
  self->alias_nodes += named->weight;
  struct node *copy = node_at(self->yaml, node);
  uint32_t line = copy->line;
  uint32_t column = copy->column;
  *copy = *named;
  copy->line = line;
  copy->column = column;
  copy->next = 0;
  attach(self, node);
}

static void begin_document(struct reader *self, size_t line, size_t column)
{
  self->bad = false;
  self->depth = 0;
  self->alias_nodes = 0;
  self->anchors.count = 0;
  if (!array_reserve(&self->yaml->documents, 1, sizeof(struct document))) {
    self->no_memory = true;
    return;
  }
  self->document = self->yaml->documents.count++;
  *document_at(self->yaml, self->document) =
      (struct document){ .line = (uint32_t)line + 1, .column = (uint32_t)column + 1 };
}

static void on_event(struct reader *self, const yaml_event_t *event)
{
  if (event->type == YAML_DOCUMENT_START_EVENT) {
    begin_document(self, event->start_mark.line, event->start_mark.column);
    return;
  }
  if (self->bad)
    return;
  switch (event->type) {
  case YAML_SCALAR_EVENT:
    on_scalar(self, event);
    break;
  case YAML_ALIAS_EVENT:
    on_alias(self, event);
    break;
  case YAML_SEQUENCE_START_EVENT:
    open_level(self, KIND_SEQUENCE, event->data.sequence_start.anchor, &event->start_mark);
    break;
  case YAML_MAPPING_START_EVENT:
    open_level(self, KIND_MAPPING, event->data.mapping_start.anchor, &event->start_mark);
    break;
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT:
    close_level(self);
    break;
  default:
    break;
  }
}

/* Turns libyaml's fault into the error of the current, or of one more, document. */
static void on_syntax_error(struct reader *self, bool inside)
{
  const yaml_parser_t *parser = &self->parser;
  const yaml_mark_t *mark = &parser->problem_mark;
  if (parser->error == YAML_MEMORY_ERROR) {
    self->no_memory = true;
    return;
  }
  if (!inside)
    begin_document(self, mark->line, mark->column);
  if (self->no_memory)
    return;
  char message[ERROR_BYTES];
  const char *problem = parser->problem ? parser->problem : "not YAML";
  if (parser->error == YAML_READER_ERROR)
    snprintf(message, sizeof(message), "%.90s at byte %zu", problem, parser->problem_offset);
  else if (parser->context)
    snprintf(message, sizeof(message), "%.90s (%.70s, line %zu)", problem, parser->context,
             parser->context_mark.line + 1);
  else
    snprintf(message, sizeof(message), "%.90s", problem);
  self->bad = false; /* the syntax is worth more than an earlier complaint */
  fail(self, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1, message);
}

static void read_all(struct reader *self)
{
  bool inside = false;
  bool more = true;
  while (more && !self->no_memory) {
    yaml_event_t event;
    if (!yaml_parser_parse(&self->parser, &event)) {
      on_syntax_error(self, inside);
      return;
    }
    if (event.type == YAML_DOCUMENT_START_EVENT)
      inside = true;
    on_event(self, &event);
    if (event.type == YAML_DOCUMENT_END_EVENT)
      inside = false;
    more = event.type != YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
  }
}

void mg_yaml_free(struct mg_yaml *yaml)
{
  if (!yaml)
    return;
  free(yaml->nodes.items);
  free(yaml->text.items);
  free(yaml->documents.items);
  free(yaml);
}

struct mg_yaml *mg_yaml_read(const char *text, uint64_t length)
{
  struct mg_yaml *yaml = calloc(1, sizeof(*yaml));
  struct reader *self = calloc(1, sizeof(*self));
  if (!yaml || !self)
    goto free_both;
  self->yaml = yaml;
  const yaml_mark_t start = { 0 };
  node_add(self, KIND_NONE, &start);
  uint32_t empty = 0;
  if (self->no_memory || !text_add(self, "", 0, &empty))
    goto free_both;
  if (length > TEXT_LIMIT_BYTES) {
    begin_document(self, 0, 0);
    if (self->no_memory)
      goto free_both;
    fail(self, 1, 1, "the file is larger than 256 MiB");
    free(self);
    return yaml;
  }
  if (!yaml_parser_initialize(&self->parser))
    goto free_both;
  yaml_parser_set_input_string(&self->parser, (const unsigned char *)text, (size_t)length);
  read_all(self);
  yaml_parser_delete(&self->parser);
  free(self->anchors.items);
  free(self->keys.items);
  if (self->no_memory)
    goto free_both;
  free(self);
  return yaml;

free_both:
  free(self);
  mg_yaml_free(yaml);
  return NULL;
}

uint32_t mg_yaml_document_count(const struct mg_yaml *yaml)
{
  return yaml->documents.count;
}

uint32_t mg_yaml_document_root(const struct mg_yaml *yaml, uint32_t index)
{
  return index < yaml->documents.count ? document_at(yaml, index)->root : 0;
}

const char *mg_yaml_document_error(const struct mg_yaml *yaml, uint32_t index)
{
  if (index >= yaml->documents.count || !document_at(yaml, index)->error[0])
    return NULL;
  return document_at(yaml, index)->error;
}

uint32_t mg_yaml_document_line(const struct mg_yaml *yaml, uint32_t index)
{
  return index < yaml->documents.count ? document_at(yaml, index)->line : 0;
}

uint32_t mg_yaml_document_column(const struct mg_yaml *yaml, uint32_t index)
{
  return index < yaml->documents.count ? document_at(yaml, index)->column : 0;
}

int32_t mg_yaml_kind(const struct mg_yaml *yaml, uint32_t node)
{
  return node_at(yaml, node)->kind;
}

uint32_t mg_yaml_line(const struct mg_yaml *yaml, uint32_t node)
{
  return node_at(yaml, node)->line;
}

uint32_t mg_yaml_column(const struct mg_yaml *yaml, uint32_t node)
{
  return node_at(yaml, node)->column;
}

const char *mg_yaml_text(const struct mg_yaml *yaml, uint32_t node)
{
  return text_at(yaml, node_at(yaml, node)->text);
}

uint32_t mg_yaml_length(const struct mg_yaml *yaml, uint32_t node)
{
  return node_at(yaml, node)->length;
}

uint32_t mg_yaml_first(const struct mg_yaml *yaml, uint32_t node)
{
  return node_at(yaml, node)->first;
}

uint32_t mg_yaml_next(const struct mg_yaml *yaml, uint32_t node)
{
  return node_at(yaml, node)->next;
}
