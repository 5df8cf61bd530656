-- SPDX-License-Identifier: Apache-2.0
--
-- Plugins of routes before they reach a worker: whether each is known, its configuration right, and
-- their order free of cycles. What is wrong is a fault of the object that asked for it, and its
-- routes answer 503; all others are as before. Comes after translate and the routes of scripts.
local json = require("moongate.api.json")
local model = require("moongate.control.model")
local order = require("moongate.hooks.order")
local registry = require("moongate.hooks.registry")

local M = {}

---@class moongate.Judge
local Judge = {}
Judge.__index = Judge

local NONE = {}

--- A judge keeps its verdicts from one model to the next.
---@param plugins moongate.Plugin[]  that scripts define
---@return moongate.Judge
function M.new(plugins)
  return setmetatable({
    registry = registry.new(plugins),
    by_config = setmetatable({}, { __mode = "k" }), -- config -> plugin name -> faults
    by_text = {}, -- plugin name and JSON of config -> faults; those of the last two models
    older = {},
    by_order = {}, -- names of plugins -> error of their order, or false
  }, Judge)
end

-- --- verdicts ----------------------------------------------------------------

local function read_text(self, wanted)
  local key = wanted.name .. "\0" .. json.encode(wanted.config or NONE)
  local faults = self.by_text[key] or self.older[key]
  if not faults then
    local _, found = self.registry:read(wanted)
    faults = found or NONE
  end
  self.by_text[key] = faults
  return faults
end

-- Faults of one plugin with its configuration. The same table need not be looked at twice.
local function read(self, wanted)
  local config = wanted.config or NONE
  local known = self.by_config[config]
  if not known then
    known = {}
    self.by_config[config] = known
  end
  local faults = known[wanted.name]
  if not faults then
    faults = read_text(self, wanted)
    known[wanted.name] = faults
  end
  return faults
end

local function judge_order(self, plugins)
  local names = {}
  for i, plugin in ipairs(plugins) do
    names[i] = plugin.name .. "\1" .. (plugin.id or "")
  end
  local key = table.concat(names, "\0")
  local err = self.by_order[key]
  if err == nil then
    local instances = self.registry:global_instances()
    for _, plugin in ipairs(plugins) do
      instances[#instances + 1] = { plugin = self.registry:find(plugin.name), id = plugin.id }
    end
    local sorted, wrong = order.sort(instances)
    err = not sorted and wrong
    self.by_order[key] = err
  end
  return err or nil
end

-- --- faults of objects -------------------------------------------------------

-- Position of a part of the configuration: a text of several lines begins below its key.
local function position(origin, keys)
  local line, column = model.position(origin.object, origin.path)
  local document = origin.document
  if not document or not line then
    return line, column
  end
  local inner, inner_column = model.position(
    { value = document.value, marks = document.marks, line = 1, column = 1 }, keys)
  if origin.text:find("\n", 1, true) then
    return line + inner, inner_column
  end
  return line, column + inner_column - 1
end

local function place_of(origin, route, keys)
  if origin then
    local line, column = position(origin, keys)
    return {
      object = origin.object.title,
      field = model.field(origin.path),
      file = origin.object.file,
      line = line,
      column = column,
    }
  end
  local source = route.source or NONE
  local object = "mg.route"
  if source.kind ~= "Script" then
    object = source.name and ("%s %s/%s"):format(source.kind, source.namespace, source.name)
      or source.kind
  end
  return { object = object, file = source.file, line = source.line, column = source.line and 1 }
end

local function message_of(name, fault)
  local path = fault.path and fault.path .. ": " or ""
  local hint = fault.hint and "; " .. fault.hint or ""
  local consequence = fault.severity == "warning" and "" or "; its routes answer 503"
  return ("plugin %s: %s%s%s%s"):format(name, path, fault.message, hint, consequence)
end

-- An object's fault is told once, however many routes it has.
local function add_fault(state, origin, route, name, fault)
  local place = place_of(origin, route, fault.keys or NONE)
  place.severity, place.code = fault.severity, "plugin"
  place.message = message_of(name, fault)
  local key = ("%s\0%s\0%s"):format(place.object, place.field or "", place.message)
  if not state.told[key] then
    state.told[key] = true
    table.insert(state.faults, place)
  end
  return place.message
end

-- --- models ------------------------------------------------------------------

-- What is wrong with a route's plugins: the first fatal fault, as text.
local function judge_route(self, state, route)
  local fatal
  for _, wanted in ipairs(route.plugins) do
    for _, fault in ipairs(read(self, wanted)) do
      local origin = state.origins[wanted.config]
      local message = add_fault(state, origin, route, wanted.name, fault)
      fatal = fatal or fault.severity ~= "warning" and message
    end
  end
  if not fatal then
    local err = judge_order(self, route.plugins)
    if err then
      fatal = add_fault(state, nil, route, "order", { message = err, severity = "error" })
    end
  end
  return fatal
end

-- What changes is a copy, so that tables which translation uses again stay as they are.
local function with(map, key, value)
  local copy = {}
  for name, old in pairs(map) do
    copy[name] = old
  end
  copy[key] = value
  return copy
end

-- The routes with faults put in.
local function judge_routes(self, state, routes)
  local judged
  for i, route in ipairs(routes) do
    local fault = route.plugins and judge_route(self, state, route)
    if fault and not route.fault then
      judged = judged or { unpack(routes) }
      judged[i] = with(route, "fault", fault)
    end
  end
  return judged or routes
end

--- Judges all plugins of a model: adds to its faults and to those of its routes.
---@param checked table  the model
function Judge:model(checked)
  local state = { told = {}, faults = checked.faults, origins = checked.origins or NONE }
  self.older, self.by_text = self.by_text, {}
  local seen = {}
  for _, host in ipairs(model.keys(checked.hosts)) do
    local entry = checked.hosts[host]
    local routes = entry.routes
    seen[routes] = seen[routes] or judge_routes(self, state, routes)
    if seen[routes] ~= routes then
      checked.hosts[host] = with(entry, "routes", seen[routes])
    end
  end
end

return M
