/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for Lua: yyjson keeps the document, Lua walks it and takes what it asks for. */
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "bridge/api.h"

struct mg_json {
  yyjson_doc *document;
  char error[96];
  uint32_t at;
};

static const yyjson_val *value_of(const void *node)
{
  return node;
}

struct mg_json *mg_json_read(const char *text, uint64_t length, int32_t any_bytes)
{
  struct mg_json *json = calloc(1, sizeof(*json));
  if (!json)
    return NULL;
  yyjson_read_flag flags = any_bytes ? YYJSON_READ_ALLOW_INVALID_UNICODE : 0;
  yyjson_read_err err;
  /* yyjson does not write to the text without YYJSON_READ_INSITU. */
  json->document = yyjson_read_opts((char *)text, length, flags, NULL, &err);
  if (!json->document) {
    strncpy(json->error, err.msg, sizeof(json->error) - 1);
    json->at = (uint32_t)err.pos;
  }
  return json;
}

void mg_json_free(struct mg_json *json)
{
  if (json)
    yyjson_doc_free(json->document);
  free(json);
}

const void *mg_json_root(const struct mg_json *json)
{
  return yyjson_doc_get_root(json->document);
}

const char *mg_json_error(const struct mg_json *json)
{
  return json->error;
}

uint32_t mg_json_error_at(const struct mg_json *json)
{
  return json->at;
}

int32_t mg_json_kind(const void *node)
{
  switch (yyjson_get_tag((yyjson_val *)value_of(node))) {
  case YYJSON_TYPE_NULL | YYJSON_SUBTYPE_NONE:
    return MG_JSON_NULL;
  case YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_FALSE:
    return MG_JSON_FALSE;
  case YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_TRUE:
    return MG_JSON_TRUE;
  case YYJSON_TYPE_NUM | YYJSON_SUBTYPE_UINT:
  case YYJSON_TYPE_NUM | YYJSON_SUBTYPE_SINT:
  case YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL:
    return MG_JSON_NUMBER;
  case YYJSON_TYPE_ARR | YYJSON_SUBTYPE_NONE:
    return MG_JSON_ARRAY;
  case YYJSON_TYPE_OBJ | YYJSON_SUBTYPE_NONE:
    return MG_JSON_OBJECT;
  default:
    return MG_JSON_STRING;
  }
}

double mg_json_number(const void *node)
{
  return yyjson_get_num((yyjson_val *)value_of(node));
}

void mg_json_text(const void *node, struct mg_text *text)
{
  text->data = yyjson_get_str((yyjson_val *)value_of(node));
  text->length = (uint32_t)yyjson_get_len((yyjson_val *)value_of(node));
}

uint32_t mg_json_count(const void *node)
{
  return (uint32_t)yyjson_get_len((yyjson_val *)value_of(node));
}

/* Children lie behind their parent; an object's alternate between key and value. */
const void *mg_json_first(const void *node)
{
  return unsafe_yyjson_get_first((yyjson_val *)value_of(node));
}

const void *mg_json_next(const void *node)
{
  return unsafe_yyjson_get_next((yyjson_val *)value_of(node));
}
