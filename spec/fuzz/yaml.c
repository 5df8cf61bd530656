/* SPDX-License-Identifier: Apache-2.0 */
/* Any text: each document is a finite tree or an error with a position inside the text. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "bridge/api.h"

enum {
  DEPTH_LIMIT = 200,
  WALK_LIMIT = 5000000
};

static uint32_t walk(const struct mg_yaml *yaml, uint32_t node, uint32_t depth, uint32_t seen)
{
  CHECK(depth < DEPTH_LIMIT);
  int32_t kind = mg_yaml_kind(yaml, node);
  CHECK(kind >= 1 && kind <= 4);
  CHECK(mg_yaml_line(yaml, node) >= 1 && mg_yaml_column(yaml, node) >= 1);
  CHECK(mg_yaml_text(yaml, node)[mg_yaml_length(yaml, node)] == 0);
  uint32_t children = 0;
  for (uint32_t child = mg_yaml_first(yaml, node); child; child = mg_yaml_next(yaml, child)) {
    children++;
    CHECK(++seen < WALK_LIMIT);
    seen = walk(yaml, child, depth + 1, seen);
  }
  CHECK(kind >= 3 || children == 0);
  CHECK(kind != 4 || children % 2 == 0);
  return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct mg_yaml *yaml = mg_yaml_read((const char *)data, size);
  CHECK(yaml);
  uint32_t count = mg_yaml_document_count(yaml);
  for (uint32_t i = 0; i < count; i++) {
    const char *error = mg_yaml_document_error(yaml, i);
    uint32_t root = mg_yaml_document_root(yaml, i);
    CHECK(!error || (root == 0 && error[0]));
    CHECK(mg_yaml_document_line(yaml, i) >= 1);
    if (root)
      (void)walk(yaml, root, 0, 0);
  }
  mg_yaml_free(yaml);
  return 0;
}
