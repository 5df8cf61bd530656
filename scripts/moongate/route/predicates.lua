-- SPDX-License-Identifier: Apache-2.0
--
-- The conditions of a route beside its path: method, header fields, query parameters.
local ffi = require("ffi")

local C = require("moongate.api.core")
local layout = require("moongate.snapshot.layout")

local M = {}

local BYTES = ffi.typeof("const char *")
local PREDICATE = ffi.typeof("const struct mg_predicate *")
local SPAN = ffi.typeof("const struct mg_span *")

local VALUE_BYTES = 8192

-- Scratch of one call; nothing in it outlives the call, and nothing between its use yields.
local header = ffi.new("struct mg_text")
local value = ffi.new("char[?]", VALUE_BYTES)

local MATCH_EXACT, MATCH_PRESENT = layout.MATCH_EXACT, layout.MATCH_PRESENT
local SUBJECT_HEADER = layout.SUBJECT_HEADER

--- Outcomes. LIMIT: a pattern took more effort than is allowed, so that nobody knows.
M.NO, M.YES, M.LIMIT = 0, 1, 2

local NO, YES, LIMIT = M.NO, M.YES, M.LIMIT

--- Whether the route takes the request's method; without a list it takes all.
---@return boolean
function M.method_fits(route, request)
  local count = route.method_count
  if count == 0 then
    return true
  end
  local base = ffi.cast(BYTES, route)
  local methods = ffi.cast(SPAN, base + route.methods_at)
  local method = request.method
  for i = 0, count - 1 do
    if
      methods[i].length == method.length
      and C.mg_bytes_equal(base + methods[i].at, method.data, method.length) ~= 0
    then
      return true
    end
  end
  return false
end

local function value_fits(route, predicate, data, length)
  if predicate.kind == MATCH_PRESENT then
    return YES
  elseif predicate.kind == MATCH_EXACT then
    local wanted = ffi.cast(BYTES, route) + predicate.value.at
    local equal = predicate.value.length == length and C.mg_bytes_equal(wanted, data, length) ~= 0
    return equal and YES or NO
  end
  local matched = C.mg_regex_match(predicate.regex, data, length, nil, 0)
  if matched < 0 then
    return LIMIT
  end
  return matched > 0 and YES or NO
end

-- A field that occurs several times fits when one of them does.
local function header_fits(route, predicate, request, generation)
  local name, length = ffi.cast(BYTES, route) + predicate.name.at, predicate.name.length
  local nth = 0
  while C.mg_request_header(request, generation, name, length, nth, header) == 1 do
    local fits = value_fits(route, predicate, header.data, header.length)
    if fits ~= NO then
      return fits
    end
    nth = nth + 1
  end
  return NO
end

-- Of a parameter that occurs several times the first counts.
local function query_fits(route, predicate, request)
  local name, query = ffi.cast(BYTES, route) + predicate.name.at, request.query
  local length =
    C.mg_query_value(query.data, query.length, name, predicate.name.length, value, VALUE_BYTES)
  if length == -1 then
    return NO
  elseif length < 0 then
    return LIMIT
  end
  return value_fits(route, predicate, value, length)
end

--- Whether condition `index` (from 0) of the route holds: NO, YES or LIMIT.
---@return integer
function M.holds(route, index, request, generation)
  local predicate = ffi.cast(PREDICATE, ffi.cast(BYTES, route) + route.predicates_at) + index
  if predicate.subject == SUBJECT_HEADER then
    return header_fits(route, predicate, request, generation)
  end
  return query_fits(route, predicate, request)
end

--- Whether all conditions hold: NO, YES or LIMIT.
---@return integer
function M.hold(route, request, generation)
  if not M.method_fits(route, request) then
    return NO
  end
  for i = 0, route.predicate_count - 1 do
    local holds = M.holds(route, i, request, generation)
    if holds ~= YES then
      return holds
    end
  end
  return YES
end

return M
