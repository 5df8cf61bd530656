-- SPDX-License-Identifier: Apache-2.0
--
-- Label selectors as text, in the grammar of `kubectl -l`: `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
local M = {}

local KEY = "[%w./_-]+"
local WAYS = "a=b, a!=b, a in (b,c), a notin (b), a or !a"

local function set_of(text)
  local set = {}
  for value in text:gmatch("[^,]+") do
    set[value:match("^%s*(.-)%s*$")] = true
  end
  return set
end

-- Each: a pattern of one requirement, and what it makes of what was captured: whether a label of
-- that key is as it should be.
local FORMS = {
  { "^(" .. KEY .. ")%s+in%s+%(([^()]*)%)$", function(list)
    local set = set_of(list)
    return function(value)
      return value ~= nil and set[value] == true
    end
  end },
  { "^(" .. KEY .. ")%s+notin%s+%(([^()]*)%)$", function(list)
    local set = set_of(list)
    return function(value)
      return value == nil or not set[value]
    end
  end },
  { "^(" .. KEY .. ")%s*!=%s*([%w._-]*)$", function(wanted)
    return function(value)
      return value ~= wanted
    end
  end },
  { "^(" .. KEY .. ")%s*==?%s*([%w._-]*)$", function(wanted)
    return function(value)
      return value == wanted
    end
  end },
  { "^!%s*(" .. KEY .. ")$", function()
    return function(value)
      return value == nil
    end
  end },
  { "^(" .. KEY .. ")$", function()
    return function(value)
      return value ~= nil
    end
  end },
}

local function read_one(text)
  for _, form in ipairs(FORMS) do
    local key, rest = text:match(form[1])
    if key then
      return { key = key, holds = form[2](rest) }
    end
  end
end

-- Commas between requirements; those in brackets are between values.
local function split(text)
  local hidden = text:gsub("%b()", function(list)
    return (list:gsub(",", "\0"))
  end)
  local parts = {}
  for part in (hidden .. ","):gmatch("([^,]*),") do
    parts[#parts + 1] = part:gsub("%z", ","):match("^%s*(.-)%s*$")
  end
  return parts
end

--- Reads a selector; the empty one selects everything.
---@param text string
---@return (fun(labels: table<string, string>): boolean)? selects
---@return string? err
function M.read(text)
  local requirements = {}
  for _, part in ipairs(text:find("%S") and split(text) or {}) do
    local one = read_one(part)
    if not one then
      return nil, ("%q is no requirement on labels; write %s"):format(part, WAYS)
    end
    requirements[#requirements + 1] = one
  end
  return function(labels)
    for _, one in ipairs(requirements) do
      if not one.holds(labels[one.key]) then
        return false
      end
    end
    return true
  end
end

return M
