-- SPDX-License-Identifier: Apache-2.0
--
-- The route of a request: host, then path (exact, regex, longest prefix), then other conditions.
-- Comes after the rewrite hooks and before access; reads the snapshot in place, makes no garbage.
local ffi = require("ffi")

local C = require("moongate.api.core")
local layout = require("moongate.snapshot.layout")
local predicates = require("moongate.route.predicates")
local paths = require("moongate.route.table")

local M = {}

local HOST = ffi.typeof("const struct mg_host *")
local DOT = string.byte(".")

local NO, LIMIT = predicates.NO, predicates.LIMIT
local EXACT, PREFIX, PREFIX_TEXT = paths.EXACT, paths.PREFIX, paths.PREFIX_TEXT

-- The path and each of its first elements; see mg_hash_path. Scratch of a call, which never yields.
local MARKS = layout.DEPTH_MAX + 2
local marks = ffi.new("uint32_t[?]", 2 * MARKS)

--- The second result when a pattern went over its limit of effort: the answer is 500.
M.PATTERN_LIMIT = "pattern_limit"

local function first_fit(host, first, count, request, generation)
  for index = first, first + count - 1 do
    local route = paths.route_at(host, index)
    local holds = predicates.hold(route, request, generation)
    if holds ~= NO then
      return route, holds == LIMIT and M.PATTERN_LIMIT or nil
    end
  end
end

local function match_regexes(host, request, generation)
  for index = host.regex_first, host.regex_first + host.regex_count - 1 do
    local route = paths.route_at(host, index)
    local matched = C.mg_regex_match(route.regex, request.path.data, request.path.length, nil, 0)
    if matched < 0 then
      return route, M.PATTERN_LIMIT
    elseif matched > 0 then
      local holds = predicates.hold(route, request, generation)
      if holds ~= NO then
        return route, holds == LIMIT and M.PATTERN_LIMIT or nil
      end
    end
  end
end

local function match_element(host, depth, request, generation)
  if not paths.has_depth(host, depth) then
    return nil
  end
  local length, hash = marks[2 * depth + 2], marks[2 * depth + 3]
  local first, count = paths.find(host, request.path, length, hash, PREFIX)
  if count > 0 then
    return first_fit(host, first, count, request, generation)
  end
end

local function match_text(host, length, request, generation)
  local hash = C.mg_hash_text(request.path.data, length)
  local first, count = paths.find(host, request.path, length, hash, PREFIX_TEXT)
  if count > 0 then
    return first_fit(host, first, count, request, generation)
  end
end

local function match_elements(host, deepest, request, generation)
  for depth = deepest, 0, -1 do
    local route, err = match_element(host, depth, request, generation)
    if route ~= nil then
      return route, err
    end
  end
end

-- Both kinds of prefix, longest first; of equal length the one that ends at an element's end.
local function match_prefixes(host, deepest, request, generation)
  local depth = deepest
  for index = 0, host.text_length_count - 1 do
    local length = paths.text_length(host, index)
    while depth >= 0 and marks[2 * depth + 2] >= length do
      local route, err = match_element(host, depth, request, generation)
      if route ~= nil then
        return route, err
      end
      depth = depth - 1
    end
    if length <= request.path.length then
      local route, err = match_text(host, length, request, generation)
      if route ~= nil then
        return route, err
      end
    end
  end
  return match_elements(host, depth, request, generation)
end

local function match_host(host, mark_count, request, generation)
  local first, count = paths.find(host, request.path, marks[0], marks[1], EXACT)
  local route, err
  if count > 0 then
    route, err = first_fit(host, first, count, request, generation)
  end
  if route == nil and host.regex_count > 0 then
    route, err = match_regexes(host, request, generation)
  end
  if route ~= nil then
    return route, err
  elseif host.text_length_count == 0 then
    return match_elements(host, mark_count - 2, request, generation)
  end
  return match_prefixes(host, mark_count - 2, request, generation)
end

-- From the parent domains' wildcards up to any host.
local function match_wildcards(snapshot, mark_count, request, generation)
  local length = request.host.length
  local labels = 1
  local dot = C.mg_bytes_find(request.host.data, length, 0, DOT)
  while dot < length do
    local bytes = C.mg_snapshot_host(snapshot, request.host.data + dot, length - dot)
    if bytes ~= nil then
      local host = ffi.cast(HOST, bytes)
      if labels == 1 or host.single_label == 0 then
        local route, err = match_host(host, mark_count, request, generation)
        if route ~= nil or host.fall_through == 0 then
          return route, err
        end
      end
    end
    labels = labels + 1
    dot = C.mg_bytes_find(request.host.data, length, dot + 1, DOT)
  end
  local bytes = C.mg_snapshot_host(snapshot, "*", 1)
  if bytes ~= nil then
    return match_host(ffi.cast(HOST, bytes), mark_count, request, generation)
  end
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
  local mark_count = C.mg_hash_path(request.path.data, request.path.length, marks, MARKS)
  local bytes = C.mg_snapshot_host(snapshot, request.host.data, request.host.length)
  if bytes ~= nil then
    local host = ffi.cast(HOST, bytes)
    local route, err = match_host(host, mark_count, request, generation)
    if route ~= nil or host.fall_through == 0 then
      return route, err
    end
  end
  return match_wildcards(snapshot, mark_count, request, generation)
end

return M
