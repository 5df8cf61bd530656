-- SPDX-License-Identifier: Apache-2.0
--
-- A page of metrics as Prometheus reads it.
local M = {}

---@class moongate.spec.Series
---@field name string
---@field labels table<string, string>
---@field value number

-- One line of a series; `family` is the metric that its type was said of.
local function read(line, family)
  local metric, braces, value = line:match("^([%w_:]+)({?.-}?) ([%d.e+-]+)$")
  assert(metric, "no line of a metric: " .. line)
  assert(metric:sub(1, #family) == family, "a line of another metric: " .. line)
  local labels = {}
  for label, text in braces:gmatch('([%w_]+)="([^"]*)"') do
    assert(not labels[label], "a label twice: " .. line)
    labels[label] = text
  end
  return { name = metric, labels = labels, value = tonumber(value) }
end

--- All series, and the type of each metric; raises where a reader would stumble.
---@param text string
---@return moongate.spec.Series[]
---@return table<string, string>
function M.parse(text)
  local series, types, family = {}, {}, nil
  for line in text:gmatch("[^\n]+") do
    local name, kind = line:match("^# TYPE (%S+) (%S+)$")
    if name then
      assert(not types[name], "the lines of " .. name .. " do not stand together")
      types[name], family = kind, name
    elseif not line:find("^#") then
      series[#series + 1] = read(line, family)
    end
  end
  return series, types
end

local function has(labels, wanted)
  for name, value in pairs(wanted) do
    if labels[name] ~= value then
      return false
    end
  end
  return true
end

--- Those of a name with these labels.
---@param text string
---@param name string
---@param wanted table<string, string>?
---@return moongate.spec.Series[]
function M.find(text, name, wanted)
  local found = {}
  for _, one in ipairs((M.parse(text))) do
    if one.name == name and has(one.labels, wanted or {}) then
      found[#found + 1] = one
    end
  end
  return found
end

return M
