-- SPDX-License-Identifier: Apache-2.0
--
-- mg.regex: PCRE2 on bytes, with limits of length and effort. For every pattern that comes from
-- configuration; compiled once, when that is read.
local ffi = require("ffi")

local C = require("moongate.api.core")

local M = {}

---@class moongate.Regex
---@field pattern string
local Regex = {}
Regex.__index = Regex

local IGNORE_CASE, ANCHORED = 1, 2
local PAIRS = 32
local UNSET = 0xffffffff

local error_text = ffi.new("char[160]")
local pairs_found = ffi.new("uint32_t[?]", 2 * PAIRS)

--- Compiles a pattern.
---
--- Errors: `invalid`, with what PCRE2 says.
---@param pattern string
---@param options { ignore_case: boolean?, anchored: boolean? }?  anchored: at the text's beginning
---@return moongate.Regex? regex
---@return string? err
---@return "invalid"? code
function M.compile(pattern, options)
  local flags = 0
  if options and options.ignore_case then
    flags = flags + IGNORE_CASE
  end
  if options and options.anchored then
    flags = flags + ANCHORED
  end
  local handle = C.mg_regex_new(pattern, #pattern, flags, error_text, ffi.sizeof(error_text))
  if handle == nil then
    return nil, ffi.string(error_text), "invalid"
  end
  return setmetatable({ pattern = pattern, handle = ffi.gc(handle, C.mg_regex_free) }, Regex)
end

local function match(self, text, room)
  local count = C.mg_regex_match(self.handle, text, #text, pairs_found, room)
  if count < 0 then
    return nil, ("pattern %q takes too long, or the text is too long"):format(self.pattern), "limit"
  end
  return count
end

--- Whether the pattern matches somewhere.
---
--- Errors: nil and `limit` when a limit was hit, which is not "no match".
---@param text string
---@return boolean? matches
---@return string? err
---@return "limit"? code
function Regex:test(text)
  local count, err, code = match(self, text, 1)
  if not count then
    return nil, err, code
  end
  return count > 0
end

--- What the groups of the first match hold: [0] is the match, a group that took no part is false.
---
--- Errors: nil without more when there is no match; nil and `limit` as `test`.
---@param text string
---@return table<integer, string|false>? groups
---@return string? err
---@return "limit"? code
function Regex:match(text)
  local count, err, code = match(self, text, PAIRS)
  if not count or count == 0 then
    return nil, err, code
  end
  local groups = {}
  for i = 0, count - 1 do
    local first, last = pairs_found[2 * i], pairs_found[2 * i + 1]
    groups[i] = first ~= UNSET and text:sub(first + 1, last)
  end
  return groups
end

return M
