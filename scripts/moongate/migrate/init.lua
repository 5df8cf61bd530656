-- SPDX-License-Identifier: Apache-2.0
--
-- What becomes of a cluster's objects for ingress-nginx, object by object: Ingresses, the
-- controller's ConfigMap and its arguments. All judgement is translation's and that of `check`;
-- here it is sorted by what somebody has to do.
local annotations = require("moongate.control.translate.annotations")
local ingresses = require("moongate.control.translate.ingresses")
local model = require("moongate.control.model")
local verdict = require("moongate.migrate.verdict")

local M = {}

---@class moongate.MigrationEntry
---@field verdict string   see verdict.lua
---@field name string?     annotation, key or argument; nil: the object as a whole
---@field message string?
---@field line integer?

---@class moongate.MigrationGroup
---@field object string
---@field file string?
---@field line integer?
---@field entries moongate.MigrationEntry[]

---@class moongate.Migration
---@field groups moongate.MigrationGroup[]
---@field others string[]  Ingresses of other classes, which stay where they are
---@field served integer   Ingresses that are ours
---@field counts table<string, integer>  entries by verdict

local Report = {}
Report.__index = Report

-- --- groups --------------------------------------------------------------------

function Report:group(title, object)
  local group = self.by_title[title]
  if not group then
    object = object or {}
    group = { object = title, file = object.file, line = object.line, entries = {} }
    self.by_title[title] = group
    table.insert(self.groups, group)
  end
  return group
end

function Report:add(group, name, kind, message, line)
  table.insert(group.entries, { name = name, verdict = kind, message = message, line = line })
  self.counts[kind] = self.counts[kind] + 1
end

-- Faults by object and field; each is told once.
local function index_faults(faults)
  local index = {}
  for _, fault in ipairs(faults) do
    local title = fault.object or fault.file or ""
    index[title] = index[title] or {}
    table.insert(index[title], fault)
  end
  return index
end

-- The fault of one field, which is not told again.
local function take_fault(faults, field)
  for position, fault in ipairs(faults or {}) do
    if fault.field == field then
      return table.remove(faults, position)
    end
  end
end

function Report:add_rest(title, group)
  for _, fault in ipairs(self.faults[title] or {}) do
    self:add(group, fault.field, verdict.of_fault(fault), fault.message, fault.line)
  end
  self.faults[title] = nil
end

-- --- objects -------------------------------------------------------------------

function Report:add_ingress(object, prefix)
  local group = self:group(object.title, object)
  local faults = self.faults[object.title]
  local written = object.value.metadata.annotations or {}
  for _, key in ipairs(model.keys(written)) do
    local name = key:sub(1, #prefix) == prefix and key:sub(#prefix + 1)
    if name then
      local path = { "metadata", "annotations", key }
      local fault = take_fault(faults, model.field(path))
      local line = model.position(object, path)
      local entry = annotations.known[name]
      if fault then
        self:add(group, name, verdict.of_fault(fault), fault.message, line)
      elseif entry then
        local kind, message = verdict.of_annotation(entry, written[key], annotations.known)
        self:add(group, name, kind, message, line)
      end
    end
  end
  self:add_rest(object.title, group)
end

-- Whether there is more to say of an Ingress than that it is of another class.
function Report:has_fault(title)
  for _, fault in ipairs(self.faults[title] or {}) do
    if fault.code ~= "not_served" then
      return true
    end
  end
  return false
end

local function by_title(left, right)
  return left.title < right.title
end

function Report:add_ingresses(judged, flags)
  local context = { store = judged.store, flags = flags, faults = {} }
  local list = {}
  for _, object in pairs(judged.store.objects.Ingress) do
    list[#list + 1] = object
  end
  table.sort(list, by_title)
  for _, object in ipairs(list) do
    if ingresses.judge(context, object) then
      self.served = self.served + 1
      self:add_ingress(object, ingresses.prefix(flags))
    elseif not self:has_fault(object.title) then
      table.insert(self.others, object.title)
      self.faults[object.title] = nil
    end
  end
end

function Report:add_settings(object)
  local group = self:group(object.title, object)
  local faults = self.faults[object.title]
  for _, name in ipairs(model.keys(object.data)) do
    local path = { "data", name }
    local fault = take_fault(faults, model.field(path))
    local kind, message = verdict.of_setting(name, fault)
    self:add(group, name, kind, message, (model.position(object, path)))
  end
  self:add_rest(object.title, group)
end

-- Entries of TCP or UDP services, each by its port.
function Report:add_ports(object)
  local group = self:group(object.title, object)
  local faults = self.faults[object.title]
  for _, key in ipairs(model.keys(object.data)) do
    local path = { "data", key }
    local fault = take_fault(faults, model.field(path))
    local kind = fault and verdict.of_fault(fault) or "same"
    self:add(group, key, kind, fault and fault.message, (model.position(object, path)))
  end
  self:add_rest(object.title, group)
end

function Report:add_arguments(workload, parsed, is_first)
  local group = self:group(workload.title, workload.object)
  if not is_first then
    self:add(group, nil, "look", "another controller; migrate what it serves on its own, with its "
      .. "arguments on the command line")
  end
  for _, argument in ipairs(parsed) do
    self:add(group, "--" .. argument.name, argument.verdict, argument.message)
  end
end

-- What is wrong with anything else: files that cannot be read, Services, Secrets.
function Report:add_others()
  for _, title in ipairs(model.keys(self.faults)) do
    local first = self.faults[title][1]
    self:add_rest(title, self:group(title, { file = first.file, line = first.line }))
  end
end

--- Sorts what translation and `check` say.
---@param judged moongate.Judged
---@param faults moongate.Fault[]  of moongate.check
---@param options { flags: table, workloads: { workload: moongate.Workload, arguments: table[] }[],
---  settings: moongate.Object?, ports: moongate.Object[] }  ports: ConfigMaps of TCP and UDP
---  services
---@return moongate.Migration
function M.report(judged, faults, options)
  local self = setmetatable({
    groups = {},
    by_title = {},
    others = {},
    served = 0,
    counts = {},
    faults = index_faults(faults),
  }, Report)
  for _, kind in ipairs(verdict.ORDER) do
    self.counts[kind] = 0
  end
  for i, one in ipairs(options.workloads) do
    self:add_arguments(one.workload, one.arguments, i == 1)
  end
  if options.settings then
    self:add_settings(options.settings)
  end
  for _, object in ipairs(options.ports) do
    self:add_ports(object)
  end
  self:add_ingresses(judged, options.flags)
  self:add_others()
  return self
end

return M
