-- SPDX-License-Identifier: Apache-2.0
--
-- Routes that no request reaches. Each is asked for by requests that are made for it, with the real
-- router: when another route gets all of them, it stands in its way.
local C = require("moongate.api.core")
local probe = require("moongate.explain.probe")
local reader = require("moongate.snapshot.reader")
local route = require("moongate.route")
local url = require("moongate.api.url")

local M = {}

local SPECIAL = "[%^%$%.%[%]%(%)%*%+%?%{%}%|\\]"

-- Paths that belong to the route. A pattern's is its literal beginning, if it matches that.
local function paths_of(item)
  local path = item.path
  if path.type == "exact" then
    return { path.value }
  elseif path.type ~= "regex" then
    local base = path.value:gsub("/+$", "")
    return { path.value, base .. "/moongate-check" }
  end
  local literal = path.value:gsub("^%^", ""):gsub("%$$", "")
  literal = literal:match("^(.-)" .. SPECIAL) or literal
  local regex = C.mg_regex_new(path.value, #path.value, 2, nil, 0)
  if regex == nil then
    return {}
  end
  local matches = literal ~= "" and C.mg_regex_match(regex, literal, #literal, nil, 0) > 0
  C.mg_regex_free(regex)
  return matches and { literal } or {}
end

-- Fields and parameters that satisfy the route's conditions; nil when a pattern is among them.
local function conditions_of(list)
  local pairs_of = {}
  for _, condition in ipairs(list or {}) do
    if condition.type == "regex" then
      return nil
    end
    pairs_of[#pairs_of + 1] = { condition.name, tostring(condition.value or "1") }
  end
  return pairs_of
end

local function query_of(conditions)
  local parts = {}
  for i, pair in ipairs(conditions) do
    parts[i] = url.escape(pair[1]) .. "=" .. url.escape(pair[2])
  end
  return #parts > 0 and "?" .. table.concat(parts, "&") or ""
end

local function fields_of(conditions)
  local fields = {}
  for i, pair in ipairs(conditions) do
    fields[i] = pair[1] .. ": " .. pair[2]
  end
  return fields
end

local function host_of(name)
  if name == "*" then
    return "moongate-check.invalid"
  end
  return (name:gsub("^%*", "moongate-check"))
end

-- The id of the route that gets a request; nil when there is none or it cannot be told.
local function winner(snapshot, method, host, target, fields)
  local asked = probe.new(method, { target = target, authority = host, port = 80 }, fields)
  if not asked then
    return nil
  end
  asked.request.snapshot = snapshot
  local found, code = route.match(snapshot, asked.request, asked.generation)
  local id = found ~= nil and not code and reader.route_id(found) or nil
  asked:close()
  return id
end

--- The id of the route that stands in the way, and a path where it does; nil: the route is reached.
---@param snapshot ffi.cdata*
---@param host string   of the model
---@param item table    a route of the model
---@return string? id
---@return string? path
function M.obstacle(snapshot, host, item)
  local headers, query = conditions_of(item.headers), conditions_of(item.query)
  local paths = paths_of(item)
  if not headers or not query or #paths == 0 then
    return nil
  end
  local method = item.methods and item.methods[1] or "GET"
  local id
  for _, path in ipairs(paths) do
    local target = url.escape_path(path) .. query_of(query)
    id = winner(snapshot, method, host_of(host), target, fields_of(headers))
    if not id or id == item.id then
      return nil
    end
  end
  return id, paths[1]
end

return M
