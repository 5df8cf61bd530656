-- SPDX-License-Identifier: Apache-2.0
--
-- The route of a request: host, then path (exact, regex, longest prefix), then other conditions.
-- Comes after the rewrite hooks and before access; reads the snapshot in place, makes no garbage.
--
-- What repeats is a tail call here and not a loop: LuaJIT gives up on loops of one or two rounds,
-- and on the functions around them. Loops of many rounds are C's.
local ffi = require("ffi")

local C = require("moongate.api.core")
local explain = require("moongate.route.explain")
local layout = require("moongate.snapshot.layout")
local predicates = require("moongate.route.predicates")

local M = {}

local BYTES = ffi.typeof("const char *")
local HOST = ffi.typeof("const struct mg_host *")
local NUMBERS = ffi.typeof("const uint32_t *")
local REGEXES = ffi.typeof("const struct mg_regex *const *")
local ROUTE = ffi.typeof("const struct mg_route *")

local NO, LIMIT = predicates.NO, predicates.LIMIT
-- Kinds of the index.
local EXACT, PREFIX = layout.PATH_EXACT + 1, layout.PATH_PREFIX + 1
local PREFIX_TEXT = layout.PATH_PREFIX_TEXT + 1

-- Scratch of one call, which never yields. Pointers in variables become objects wherever a trace
-- ends; those in memory do not.
local MARKS = layout.DEPTH_MAX + 2
local marks = ffi.new("uint32_t[?]", 2 * MARKS) -- of mg_hash_path
local elements = ffi.new("uint32_t[2]") -- first route and number of routes of a prefix
local texts = ffi.new("uint32_t[2]") -- the same of a textual prefix
local cursor = ffi.new("uint32_t[2]") -- of mg_snapshot_wildcard
local limited = ffi.new("uint32_t[1]")
local at = ffi.new("struct { const struct mg_host *host; }")

--- The second result when a pattern went over its limit of effort: the answer is 500.
M.PATTERN_LIMIT = "pattern_limit"

-- The parentheses make it no tail call: LuaJIT gives up on traces that end in one of a built-in.
local function route_at(index)
  local base = ffi.cast(BYTES, at.host)
  return (ffi.cast(ROUTE, base + ffi.cast(NUMBERS, base + at.host.routes_at)[index]))
end

-- The first of `count` routes from `index` on that fits.
local function first_fit(index, count, request, generation)
  local route = route_at(index)
  local holds = predicates.hold(route, request, generation)
  if holds ~= NO then
    return route, holds == LIMIT and M.PATTERN_LIMIT or nil
  elseif count > 1 then
    return first_fit(index + 1, count - 1, request, generation)
  end
end

local function match_regexes(from, request, generation)
  local host, path = at.host, request.path
  local list = ffi.cast(REGEXES, ffi.cast(BYTES, host) + host.regexes_at)
  local count = host.regex_count
  local index = C.mg_regex_first(list, count, from, path.data, path.length, limited)
  if index == count then
    return nil
  end
  local route = route_at(at.host.regex_first + index)
  if limited[0] ~= 0 then
    return route, M.PATTERN_LIMIT
  end
  local holds = predicates.hold(route, request, generation)
  if holds ~= NO then
    return route, holds == LIMIT and M.PATTERN_LIMIT or nil
  end
  return match_regexes(index + 1, request, generation)
end

-- The greatest mark up to `mark` that a prefix ends at; 0 for none.
local function longest_elements(mark, path)
  local index = ffi.cast(BYTES, at.host) + at.host.index_at
  return (C.mg_index_find_longest(index, PREFIX, path.data, marks, mark, elements))
end

-- The position of the longest textual prefix from `first` on, and its length; -1 for none.
local function longest_text(first, path)
  local count = at.host.text_length_count
  local base = ffi.cast(BYTES, at.host)
  local lengths = ffi.cast(NUMBERS, base + at.host.text_lengths_at)
  local position = C.mg_index_find_length(
    base + at.host.index_at,
    PREFIX_TEXT,
    path.data,
    path.length,
    lengths,
    count,
    first,
    texts
  )
  if position == count then
    return position, -1
  end
  return position, lengths[position]
end

-- Both kinds of prefix, longest first; of equal length the one that ends at an element's end.
local function match_prefixes(mark, text, request, generation)
  mark = longest_elements(mark, request.path)
  local length = -1
  if text < at.host.text_length_count then
    text, length = longest_text(text, request.path)
  end
  local route, err
  if mark > 0 and marks[2 * mark] >= length then
    route, err = first_fit(elements[0], elements[1], request, generation)
    mark = mark - 1
  elseif length >= 0 then
    route, err = first_fit(texts[0], texts[1], request, generation)
    text = text + 1
  else
    return nil
  end
  if route ~= nil then
    return route, err
  end
  return match_prefixes(mark, text, request, generation)
end

local function find_exact(path)
  local index = ffi.cast(BYTES, at.host) + at.host.index_at
  return C.mg_index_find_mark(index, EXACT, path.data, marks, 0, elements) ~= 0
end

local function match_host(mark_count, request, generation)
  local route, err
  if find_exact(request.path) then
    route, err = first_fit(elements[0], elements[1], request, generation)
  end
  if route == nil and at.host.regex_count > 0 then
    route, err = match_regexes(0, request, generation)
  end
  if route ~= nil then
    return route, err
  end
  return match_prefixes(mark_count - 1, 0, request, generation)
end

-- Makes a host the one at hand, if there is one.
local function enter(bytes)
  if bytes == nil then
    return false
  end
  at.host = ffi.cast(HOST, bytes)
  return true
end

-- From the parent domains' wildcards up to any host.
local function match_wildcards(snapshot, mark_count, request, generation)
  local name = request.host
  if not enter(C.mg_snapshot_wildcard(snapshot, name.data, name.length, cursor)) then
    if
      enter(C.mg_snapshot_alias(snapshot, name.data, name.length))
      or enter(C.mg_snapshot_host(snapshot, "*", 1))
    then
      return match_host(mark_count, request, generation)
    end
    return nil
  end
  if cursor[1] == 1 or at.host.single_label == 0 then
    local route, err = match_host(mark_count, request, generation)
    if route ~= nil or at.host.fall_through == 0 then
      return route, err
    end
  end
  return match_wildcards(snapshot, mark_count, request, generation)
end

--- The route of a request.
---
--- A route with FLAG_FAULT answers 503. It is a `struct mg_route *` that lives as long as the
--- snapshot; snapshot/layout.lua says what it holds.
---
--- Errors: `pattern_limit` beside the route whose pattern went over its limit of effort.
--- Hooks: route.
---@param snapshot ffi.cdata*  struct mg_snapshot *
---@param request ffi.cdata*  struct mg_request *
---@param generation integer  of the request
---@return ffi.cdata*? route
---@return "pattern_limit"? code
function M.match(snapshot, request, generation)
  local path, name = request.path, request.host
  local mark_count = C.mg_hash_path(path.data, path.length, marks, MARKS)
  if enter(C.mg_snapshot_host(snapshot, name.data, name.length)) then
    request.host_known = 1
    local route, err = match_host(mark_count, request, generation)
    if route ~= nil or at.host.fall_through == 0 then
      return route, err
    end
  end
  cursor[0], cursor[1] = 0, 0
  return match_wildcards(snapshot, mark_count, request, generation)
end

--- Why a request gets its route; see route/explain.lua.
M.explain = explain.explain

return M
