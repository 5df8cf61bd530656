-- SPDX-License-Identifier: Apache-2.0
--
-- Why a request gets its route: every route that its path leads to, in the order in which they are
-- asked, and what became of each. Not for the request path: makes tables.
local ffi = require("ffi")

local C = require("moongate.api.core")
local layout = require("moongate.snapshot.layout")
local predicates = require("moongate.route.predicates")
local reader = require("moongate.snapshot.reader")

local M = {}

local BYTES = ffi.typeof("const char *")
local HOST = ffi.typeof("const struct mg_host *")
local NUMBERS = ffi.typeof("const uint32_t *")
local PREDICATE = ffi.typeof("const struct mg_predicate *")
local ROUTE = ffi.typeof("const struct mg_route *")
local SPAN = ffi.typeof("const struct mg_span *")

local TYPES = { [0] = "exact", "prefix", "prefix_text", "regex" }
local RANKS = {
  [layout.PATH_EXACT] = 1,
  [layout.PATH_REGEX] = 2,
  [layout.PATH_PREFIX] = 3,
  [layout.PATH_PREFIX_TEXT] = 3,
}

local function text_of(text)
  return text.length > 0 and ffi.string(text.data, text.length) or ""
end

local function methods_of(route)
  local spans = ffi.cast(SPAN, ffi.cast(BYTES, route) + route.methods_at)
  local list = {}
  for i = 0, route.method_count - 1 do
    list[i + 1] = reader.text(route, spans[i])
  end
  return table.concat(list, ", ")
end

local function describe_predicate(route, index)
  local predicate = ffi.cast(PREDICATE, ffi.cast(BYTES, route) + route.predicates_at)[index]
  local subject = predicate.subject == layout.SUBJECT_HEADER and "header" or "query parameter"
  local name = reader.text(route, predicate.name)
  if predicate.kind == layout.MATCH_PRESENT then
    return ("%s %s is absent"):format(subject, name)
  elseif predicate.kind == layout.MATCH_EXACT then
    return ("%s %s is not %q"):format(subject, name, reader.text(route, predicate.value))
  end
  return ("%s %s does not match %q"):format(subject, name, reader.text(route, predicate.value))
end

-- Nil when all conditions hold; else the reason, and whether it is a limit and so the end.
local function objection(route, request, generation)
  if not predicates.method_fits(route, request) then
    local method = text_of(request.method)
    return ("the method is %s, wanted is %s"):format(method, methods_of(route))
  end
  for i = 0, route.predicate_count - 1 do
    local holds = predicates.holds(route, i, request, generation)
    if holds == predicates.NO then
      return describe_predicate(route, i)
    elseif holds == predicates.LIMIT then
      return "a pattern went over its limit of effort", true
    end
  end
end

-- Whether a path leads to the route; for a regex also whether it hit its limit.
local function path_leads(route, path)
  local wanted = reader.text(route, route.path)
  if route.path_type == layout.PATH_REGEX then
    local matched = C.mg_regex_match(route.regex, path, #path, nil, 0)
    return matched ~= 0, matched < 0
  elseif route.path_type == layout.PATH_EXACT then
    return path == wanted
  elseif path:sub(1, #wanted) ~= wanted then
    return false
  elseif route.path_type == layout.PATH_PREFIX_TEXT then
    return true
  end
  local following = path:sub(#wanted + 1, #wanted + 1)
  return following == "" or following == "/" or wanted == ""
end

local function asked_first(a, b)
  local rank_a, rank_b = RANKS[a.type], RANKS[b.type]
  if rank_a ~= rank_b then
    return rank_a < rank_b
  elseif rank_a == 3 and a.length ~= b.length then
    return a.length > b.length
  elseif a.type ~= b.type then
    return a.type == layout.PATH_PREFIX
  end
  return a.index < b.index
end

local function candidates_of(host, path)
  local base = ffi.cast(BYTES, host)
  local offsets = ffi.cast(NUMBERS, base + host.routes_at)
  local list = {}
  for index = 0, host.route_count - 1 do
    local route = ffi.cast(ROUTE, base + offsets[index])
    local leads, limit = path_leads(route, path)
    if leads then
      list[#list + 1] = {
        route = route,
        type = route.path_type,
        length = route.path.length,
        index = index,
        limit = limit,
      }
    end
  end
  table.sort(list, asked_first)
  return list
end

local function judge(candidate, winner, request, generation)
  local route = candidate.route
  local entry = {
    id = reader.route_id(route),
    path_type = TYPES[candidate.type],
    path = candidate.type == layout.PATH_PREFIX and candidate.length == 0 and "/"
      or reader.text(route, route.path),
    priority = route.priority,
    source = reader.route_source(route),
    fault = reader.route_fault(route),
  }
  local why, limit = objection(route, request, generation)
  if winner then
    entry.lost = why or ("%q comes first"):format(winner.id)
  elseif candidate.limit or limit then
    entry.limit = true
  else
    entry.lost = why
  end
  return entry
end

local function judge_host(host, request, generation, out)
  for _, candidate in ipairs(candidates_of(host, text_of(request.path))) do
    local entry = judge(candidate, out.route, request, generation)
    out.candidates[#out.candidates + 1] = entry
    if not out.route and not entry.lost then
      out.route = entry
    end
  end
  return out.route ~= nil or host.fall_through == 0
end

-- Names under which a host is looked up, as in match: the whole, wildcards, any.
local function host_names(name)
  local list = { { stored = name, shown = name } }
  local labels = 0
  for at in name:gmatch("()%.") do
    labels = labels + 1
    list[#list + 1] = { stored = name:sub(at), shown = "*" .. name:sub(at), labels = labels }
  end
  list[#list + 1] = { stored = "*", shown = "*" }
  return list
end

local function why_not(name, bytes)
  if bytes == nil then
    return "there is no such host"
  elseif name.labels and name.labels > 1 and ffi.cast(HOST, bytes).single_label ~= 0 then
    return "it stands for one label only"
  end
end

--- Tells how a request finds its route.
---
--- `hosts` are the names that were looked up, each with `lost` (why it is not that one) or `taken`.
--- `candidates` are the routes that the path leads to, in the order of asking: `id`, `path_type`,
--- `path`, `priority`, `source` (JSON text), `fault`, and `lost`: why it is not that one.
--- `limit` marks the one whose pattern took too much effort. `route` is the winner's entry.
---@param snapshot ffi.cdata*
---@param request ffi.cdata*
---@param generation integer
---@return { hosts: table[], candidates: table[], route: table? }
function M.explain(snapshot, request, generation)
  local out = { hosts = {}, candidates = {} }
  for _, name in ipairs(host_names(text_of(request.host))) do
    local bytes = C.mg_snapshot_host(snapshot, name.stored, #name.stored)
    local lost = why_not(name, bytes)
    out.hosts[#out.hosts + 1] = { name = name.shown, lost = lost, taken = not lost }
    if not lost and judge_host(ffi.cast(HOST, bytes), request, generation, out) then
      break
    end
  end
  return out
end

return M
