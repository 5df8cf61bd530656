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

local function match(self, text, room, from)
  local count = C.mg_regex_match_from(self.handle, text, #text, from or 0, pairs_found, room)
  if count < 0 then
    return nil, ("pattern %q takes too long, or the text is too long"):format(self.pattern), "limit"
  end
  return count
end

local function groups_of(text, count)
  local groups = {}
  for i = 0, count - 1 do
    local first, last = pairs_found[2 * i], pairs_found[2 * i + 1]
    groups[i] = first ~= UNSET and text:sub(first + 1, last)
  end
  return groups
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
  return groups_of(text, count)
end

--- Where the first match is, as string.find tells it, and its groups as `match` tells them.
---
--- Errors: nil without more when there is no match; nil and `limit` as `test`.
---@param text string
---@param init integer?  position to begin at; what stands before still counts for `^` and the like
---@return integer? first
---@return integer|string|nil last
---@return table|string|nil groups
function Regex:find(text, init)
  local count, err, code = match(self, text, PAIRS, math.max(init or 1, 1) - 1)
  if not count or count == 0 then
    return nil, err, code
  end
  local first, last = pairs_found[0] + 1, pairs_found[1]
  return first, last, groups_of(text, count)
end

local function replacement_of(with, groups)
  if type(with) == "string" then
    return (with:gsub("%$([%$%d]?%d*)", function(mark)
      if mark:sub(1, 1) == "$" then
        return mark
      end
      return mark ~= "" and (groups[tonumber(mark)] or "") or nil
    end))
  end
  local text = with(groups)
  return text == nil and groups[0] or tostring(text)
end

--- Replaces the matches: by a text, in which `$1` is what a group holds, `$0` the match and `$$` a
--- dollar, or by what a function makes of the groups (nil: as it was).
---
--- Errors: nil and `limit` as `test`.
---@param text string
---@param with string|fun(groups: table<integer, string|false>): string?
---@param most integer?  so many at most
---@return string? text
---@return integer|string count
---@return "limit"? code
function Regex:gsub(text, with, most)
  local parts, at, done = {}, 1, 0
  while done < (most or math.huge) and at <= #text + 1 do
    local first, last, groups = self:find(text, at)
    if not first then
      if groups then
        return nil, last, groups
      end
      break
    end
    done = done + 1
    parts[#parts + 1] = text:sub(at, first - 1)
    parts[#parts + 1] = replacement_of(with, groups)
    at = last + 1
    if last < first then -- an empty match: the next byte stays, or it would match for ever
      parts[#parts + 1] = text:sub(at, at)
      at = at + 1
    end
  end
  parts[#parts + 1] = text:sub(at)
  return table.concat(parts), done
end

return M
