// SPDX-License-Identifier: Apache-2.0
//
// The Lua files inside the binary. build/gen/embedded.c is generated from scripts/, plugins/, LuaJIT's own jit/ and
// the marked text of bridge/api.h by embed.lua; the module loader of bridge/vm reads it.
#ifndef MOONGATE_BRIDGE_EMBED_H
#define MOONGATE_BRIDGE_EMBED_H

struct embedded {
  const char
      *name; // path below the top, such as "scripts/moongate/init.lua", "jit/v.lua" or "api.cdef"
  const unsigned char *data; // static; a NUL follows the last byte
  unsigned int size;         // without that NUL
};

// Sorted by name, in the order of strcmp.
extern const struct embedded mg_embedded[];
extern const unsigned int mg_embedded_count;

#endif
