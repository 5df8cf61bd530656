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
    by_routes = setmetatable({}, { __mode = "k" }), -- list of routes -> verdict; see judge_routes
    by_config = setmetatable({}, { __mode = "k" }), -- config -> plugin name -> faults
    by_text = {}, -- plugin name and JSON of config -> faults; those of the last two models
    older = {},
    by_order = {}, -- names of plugins -> error of their order, or false
  }, Judge)
end

-- --- verdicts ----------------------------------------------------------------

-- A script can put into a configuration what no worker could be told of: functions, cycles.
local function untellable(err)
  local why = tostring(err):match("json%.encode: (.+)$") or tostring(err)
  return { { message = "config: " .. why, severity = "error", untellable = true } }
end

local function read_text(self, wanted)
  local ok, text = pcall(json.encode, wanted.config or NONE)
  if not ok then
    return untellable(text)
  end
  local key = wanted.name .. "\0" .. text
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
  return model.shorten(
    ("plugin %s: %s%s%s%s"):format(name, path, fault.message, hint, consequence)
  )
end

local function add_fault(found, origin, route, name, fault)
  local place = place_of(origin, route, fault.keys or NONE)
  place.severity, place.code = fault.severity, "plugin"
  place.message = message_of(name, fault)
  found[#found + 1] = place
  return place.message
end

-- --- models ------------------------------------------------------------------

-- What is wrong with a route's plugins: the first fatal fault, as text, and whether the plugins
-- cannot go into a snapshot at all.
local function judge_route(self, origins, route, found)
  local fatal, drop
  for _, wanted in ipairs(route.plugins) do
    for _, fault in ipairs(read(self, wanted)) do
      local message = add_fault(found, origins[wanted.config], route, wanted.name, fault)
      fatal = fatal or fault.severity ~= "warning" and message
      drop = drop or fault.untellable
    end
  end
  if not fatal then
    local err = judge_order(self, route.plugins)
    if err then
      fatal = add_fault(found, nil, route, "order", { message = err, severity = "error" })
    end
  end
  return fatal, drop
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

-- The verdict on a list of routes: {faults, routes}, the latter with faults put in, or nil when
-- they are as they were.
local function judge_routes(self, origins, routes)
  local verdict = { faults = {} }
  for i, route in ipairs(routes) do
    local fault, drop
    if route.plugins then
      fault, drop = judge_route(self, origins, route, verdict.faults)
    end
    if fault then
      verdict.routes = verdict.routes or { unpack(routes) }
      verdict.routes[i] = with(route, "fault", route.fault or fault)
      verdict.routes[i].plugins = not drop and route.plugins or nil
    end
  end
  return verdict
end

-- An object's fault is told once, however many routes it has.
local function tell(faults, told, found)
  for _, fault in ipairs(found) do
    local key = ("%s\0%s\0%s"):format(fault.object, fault.field or "", fault.message)
    if not told[key] then
      told[key] = true
      faults[#faults + 1] = fault
    end
  end
end

--- Judges all plugins of a model: adds to its faults, and gives hosts routes with faults. Lists of
--- routes that were judged before are not looked at again.
---@param checked table  the model
function Judge:model(checked)
  local told, changed = {}, {}
  self.older, self.by_text = self.by_text, {}
  for _, host in ipairs(model.keys(checked.hosts)) do
    local routes = checked.hosts[host].routes
    local verdict = self.by_routes[routes]
    if not verdict then
      verdict = judge_routes(self, checked.origins or NONE, routes)
      self.by_routes[routes] = verdict
    end
    tell(checked.faults, told, verdict.faults)
    changed[host] = verdict.routes
  end
  for host, routes in pairs(changed) do
    checked.hosts[host] = with(checked.hosts[host], "routes", routes)
  end
end

return M
