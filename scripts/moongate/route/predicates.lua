-- SPDX-License-Identifier: Apache-2.0
--
-- The conditions of a route beside its path: method, header fields, query parameters.
--
-- What repeats is a tail call, as in route/init.lua.
local ffi = require("ffi")

local C = require("moongate.api.core")
local layout = require("moongate.snapshot.layout")

local M = {}

local BYTES = ffi.typeof("const char *")
local PREDICATE = ffi.typeof("const struct mg_predicate *")
local HOST = ffi.typeof("const struct mg_host *")

local VALUE_BYTES = 8192

-- Scratch of one call; nothing in it outlives the call, and nothing between its use yields.
local header = ffi.new("struct mg_text")
local value = ffi.new("char[?]", VALUE_BYTES)
local unused = ffi.new("uint32_t[2]")

local MATCH_EXACT, MATCH_PRESENT = layout.MATCH_EXACT, layout.MATCH_PRESENT
local SUBJECT_HEADER, INDEX_METHODS = layout.SUBJECT_HEADER, layout.INDEX_METHODS

--- Outcomes. LIMIT: a pattern took more effort than is allowed, so that nobody knows.
M.NO, M.YES, M.LIMIT = 0, 1, 2

local NO, YES, LIMIT = M.NO, M.YES, M.LIMIT

local function is_listed(route, method)
  local part = ffi.cast(BYTES, route) - route.part_at
  local index = part + ffi.cast(HOST, part).index_at
  local kind = INDEX_METHODS + route.serial
  return C.mg_index_find(index, kind, method.data, method.length, unused) ~= 0
end

--- Whether the route takes the request's method; without a list it takes all.
---@return boolean
function M.method_fits(route, request)
  return route.method_count == 0 or is_listed(route, request.method)
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
local function header_fits(route, predicate, request, generation, nth)
  local name, length = ffi.cast(BYTES, route) + predicate.name.at, predicate.name.length
  if C.mg_request_header(request, generation, name, length, nth, header) ~= 1 then
    return NO
  end
  local fits = value_fits(route, predicate, header.data, header.length)
  if fits ~= NO then
    return fits
  end
  return header_fits(route, predicate, request, generation, nth + 1)
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
    return header_fits(route, predicate, request, generation, 0)
  end
  return query_fits(route, predicate, request)
end

local function hold_from(route, index, request, generation)
  local holds = M.holds(route, index, request, generation)
  if holds ~= YES or index + 1 == route.predicate_count then
    return holds
  end
  return hold_from(route, index + 1, request, generation)
end

--- Whether all conditions hold: NO, YES or LIMIT.
---@return integer
function M.hold(route, request, generation)
  if not M.method_fits(route, request) then
    return NO
  elseif route.predicate_count == 0 then
    return YES
  end
  return hold_from(route, 0, request, generation)
end

return M
