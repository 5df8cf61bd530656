-- SPDX-License-Identifier: Apache-2.0
--
-- A page in the text format of Prometheus, line by line.
local utf8 = require("moongate.api.utf8")

local M = {}

local HELP_ESCAPES = { ["\\"] = "\\\\", ["\n"] = "\\n" }
local LABEL_ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local Page = {}
Page.__index = Page

---@return moongate.Page
function M.new()
  return setmetatable({}, Page)
end

--- The value of a label as it stands between quotes.
---@param text string
---@return string
function M.label(text)
  if text:find("[\128-\255]") then
    -- Certificates and requests may hold any bytes, and one that is not UTF-8 spoils a whole page.
    text = utf8.clean(text, "?")
  end
  return (text:gsub('[\\"\n]', LABEL_ESCAPES))
end

--- Labels in the order of their names.
---@param names string[]
---@param values table<string, string>
---@return string
function M.labels(names, values)
  local parts = {}
  for i, name in ipairs(names) do
    parts[i] = ('%s="%s"'):format(name, M.label(values[name] or ""))
  end
  return table.concat(parts, ",")
end

local function number(value)
  return value == math.floor(value) and ("%.0f"):format(value) or ("%.14g"):format(value)
end

--- What precedes the lines of a metric; once, however often it is said.
function Page:head(name, kind, help)
  if self.name ~= name then
    self.name = name
    if help and help ~= "" then
      self:line(("# HELP %s %s"):format(name, help:gsub("[\\\n]", HELP_ESCAPES)))
    end
    self:line(("# TYPE %s %s"):format(name, kind))
  end
end

---@param text string  lines without the last end of line
function Page:line(text)
  self[#self + 1] = text
end

---@param labels string  as of `labels`, or empty
function Page:value(name, labels, value)
  self:line(("%s%s %s"):format(name, labels ~= "" and "{" .. labels .. "}" or "", number(value)))
end

--- One metric without labels.
function Page:single(name, kind, help, value)
  self:head(name, kind, help)
  self:value(name, "", value)
end

---@return string
function Page:text()
  return table.concat(self, "\n") .. "\n"
end

return M
