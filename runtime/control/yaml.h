/* SPDX-License-Identifier: Apache-2.0 */
/* Reads YAML (and so JSON) text into a flat array of nodes that Lua walks by
 * index. Used by the control thread only; nothing of it is on the request path.
 *
 * A text holds documents; each has either a root node or an error with its
 * position, and a bad document does not spoil the others. After an error of
 * syntax there is nothing more to read, so it belongs to the last document.
 * Node 0 means "none". The children of a mapping are key, value, key, value. */
#ifndef CONTROL_YAML_H
#define CONTROL_YAML_H

#include <stdint.h>

#include "base/compiler.h"

/* cdef-begin */
/* The documents of one text. Owned by the caller of mg_yaml_read. */
struct mg_yaml;

/* Reads `length` bytes of `text` (borrowed). Returns null when memory is short;
 * whatever is wrong with the text itself is an error of a document. */
struct mg_yaml *mg_yaml_read(const char *text, uint64_t length);

/* Frees all that mg_yaml_read made; null is permitted. */
void mg_yaml_free(struct mg_yaml *yaml);

/* Number of documents, those with an error included. */
uint32_t mg_yaml_document_count(const struct mg_yaml *yaml);

/* Root node of document `index` (from 0), or 0 if it is empty or has an error. */
uint32_t mg_yaml_document_root(const struct mg_yaml *yaml, uint32_t index);

/* What is wrong with the document as text that lives as long as `yaml`, or null. */
const char *mg_yaml_document_error(const struct mg_yaml *yaml, uint32_t index);

/* Position of the error, or of the document's start; both count from 1. */
uint32_t mg_yaml_document_line(const struct mg_yaml *yaml, uint32_t index);
uint32_t mg_yaml_document_column(const struct mg_yaml *yaml, uint32_t index);

/* 0 none, 1 plain scalar, 2 quoted scalar, 3 sequence, 4 mapping. */
int32_t mg_yaml_kind(const struct mg_yaml *yaml, uint32_t node);

/* Position of the node's first byte; both count from 1. */
uint32_t mg_yaml_line(const struct mg_yaml *yaml, uint32_t node);
uint32_t mg_yaml_column(const struct mg_yaml *yaml, uint32_t node);

/* Bytes of a scalar (may hold NUL) and their number; lives as long as `yaml`. */
const char *mg_yaml_text(const struct mg_yaml *yaml, uint32_t node);
uint32_t mg_yaml_length(const struct mg_yaml *yaml, uint32_t node);

/* First child of a sequence or mapping, and the one after `node`; 0 ends. */
uint32_t mg_yaml_first(const struct mg_yaml *yaml, uint32_t node);
uint32_t mg_yaml_next(const struct mg_yaml *yaml, uint32_t node);
/* cdef-end */

#endif
