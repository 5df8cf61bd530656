-- SPDX-License-Identifier: Apache-2.0
-- Faults for people: one line each for `check` and the log, and a summary for /snapshot. Comes
-- after source, store and translate.
local json = require("moongate.api.json")

local M = {}

local function is_before(left, right)
  for _, key in ipairs({ "file", "line", "column", "object", "field", "message" }) do
    local a, b = left[key], right[key]
    if a ~= b then
      if a == nil or b == nil then
        return a == nil
      end
      return a < b
    end
  end
  return false
end

--- Sorts faults by place.
---@param faults moongate.Fault[]  kept as it is
---@return moongate.Fault[]
function M.sorted(faults)
  local list = {}
  for index, fault in ipairs(faults) do
    list[index] = fault
  end
  table.sort(list, is_before)
  return list
end

--- One line: `FILE:LINE:COL: object: field: message; way out`. A warning says so.
---@param fault moongate.Fault
---@return string
function M.line(fault)
  local parts = {}
  if fault.file then
    local place = fault.file
    if fault.line then
      place = place .. ":" .. fault.line .. ":" .. (fault.column or 1)
    end
    parts[1] = place
  end
  parts[#parts + 1] = fault.severity == "warning" and "warning" or nil
  parts[#parts + 1] = fault.object
  parts[#parts + 1] = fault.field
  parts[#parts + 1] = fault.message
  return (table.concat(parts, ": "):gsub("[%c]+", " "))
end

--- Every fault as a line, in the order of the places.
---@param faults moongate.Fault[]
---@return string[]
function M.lines(faults)
  local lines = {}
  for index, fault in ipairs(M.sorted(faults)) do
    lines[index] = M.line(fault)
  end
  return lines
end

local function count(map)
  local number = 0
  for _ in pairs(map) do
    number = number + 1
  end
  return number
end

--- What /snapshot says of a model.
---@param model table
---@param ignored table<string, integer>?  kinds of objects that were not read
---@return table summary
function M.summary(model, ignored)
  local errors, warnings, routes = 0, 0, 0
  local annotations = {}
  for _, fault in ipairs(model.faults) do
    if fault.severity == "error" then
      errors = errors + 1
    else
      warnings = warnings + 1
    end
    if fault.annotation then
      annotations[fault.annotation] = (annotations[fault.annotation] or 0) + 1
    end
  end
  local seen = {}
  for _, host in pairs(model.hosts) do
    if not seen[host.routes] then
      seen[host.routes] = true
      routes = routes + #host.routes
    end
  end
  return {
    hosts = count(model.hosts),
    routes = routes,
    services = count(model.services),
    certificates = #model.certificates,
    errors = errors,
    warnings = warnings,
    unsupported_annotations = annotations,
    ignored_objects = ignored or {},
    faults = json.array(M.sorted(model.faults)),
  }
end

return M
