-- SPDX-License-Identifier: Apache-2.0
--
-- The runtime for specs: the library with sanitizers inside, and its headers as FFI declarations.
--
--   local core = require("spec.support.core")
--   core.cdef({ "base/buf.h", "http/head.h" })
--   core.C.buf_put(…)
local ffi = require("ffi")

local M = {}

-- Macros that would leave in the headers what LuaJIT's parser of C does not know.
local PREPROCESS = table.concat({
  "cc -E -std=gnu11 -O0 -D_GNU_SOURCE -Iruntime -isystem build/vendor/include",
  "-D'__attribute__(x)=' -D_Float128=long -D__extension__= -D__restrict= -Drestrict= -x c -",
}, " ")

local LIBRARY = "./build/libmoongate-test.so"

-- LuaJIT unloads a library with its state, before LeakSanitizer looks at what the library's globals
-- point to and names who allocated; RTLD_NODELETE keeps it.
local RTLD_NOW, RTLD_NODELETE = 2, 0x1000
ffi.cdef("void *dlopen(const char *path, int flags);")
ffi.C.dlopen(LIBRARY, RTLD_NOW + RTLD_NODELETE)

--- The runtime as a library; its functions are there for `ffi.C` too.
M.C = ffi.load(LIBRARY, true)

local OPEN, CLOSE, SEMICOLON = ("{};"):byte(1, 3)

local declared = {}

local function output_of(command, input)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(input)
  file:close()
  local pipe = assert(io.popen("LD_PRELOAD= " .. command .. " <" .. path))
  local text = pipe:read("*a")
  pipe:close()
  os.remove(path)
  return text
end

-- Where the declaration that begins at `at` ends, and whether it is a function's definition.
local function declaration_end(text, at)
  local depth, defines = 0, false
  local position = text:find("[{};]", at)
  while position do
    local char = text:byte(position)
    if char == OPEN then
      if depth == 0 then
        defines = text:sub(at, position - 1):find("%)%s*$") ~= nil
      end
      depth = depth + 1
    elseif char == CLOSE then
      depth = depth - 1
    end
    if depth == 0 and (char == SEMICOLON or defines) then
      return position, defines
    end
    position = text:find("[{};]", position + 1)
  end
end

-- A declaration of the system's may be beyond LuaJIT; it matters only if one of ours needs it,
-- which then fails.
local function declare(text, is_ours)
  local key = text:gsub("%s+", " "):gsub("^ ", "")
  if declared[key] then
    return
  end
  declared[key] = true
  local ok, err = pcall(ffi.cdef, text)
  if not ok and is_ours then
    error(err .. " in:\n" .. text, 0)
  end
end

-- Takes the line markers out; returns the rest and where each file's text begins in it. A marker
-- may stand within a declaration, after a macro of another header.
local function without_markers(preprocessed)
  local lines, starts, length = {}, {}, 0
  for line in preprocessed:gmatch("([^\n]*)\n") do
    local file = line:match('^# %d+ "([^"]+)"')
    if file then
      starts[#starts + 1] = { at = length + 1, is_ours = file:match("^runtime/") ~= nil }
    elseif not line:find("^#pragma") then
      lines[#lines + 1] = line
      length = length + #line + 1
    end
  end
  return table.concat(lines, "\n") .. "\n", starts
end

--- Declares what headers of the runtime declare, given by their path below runtime/.
---
--- Definitions of inline functions are left out: the library does not export them.
function M.cdef(headers)
  local includes = {}
  for _, header in ipairs(headers) do
    includes[#includes + 1] = ('#include "%s"\n'):format(header)
  end
  local preprocessed = output_of(PREPROCESS, table.concat(includes))
  assert(#preprocessed > 0, "the preprocessor gave nothing for " .. table.concat(headers, ", "))
  local text, starts = without_markers(preprocessed)
  local at, start = 1, 1
  local last, defines = declaration_end(text, at)
  while last do
    while starts[start + 1] and starts[start + 1].at <= last do
      start = start + 1
    end
    if not defines then
      declare(text:sub(at, last), starts[start].is_ours)
    end
    at = last + 1
    last, defines = declaration_end(text, at)
  end
end

--- Declares what Lua may call in the binary, all of bridge/api.h.
---@return ffi.namespace*  the library
function M.api()
  M.cdef({ "bridge/api.h" })
  return M.C
end

return M
