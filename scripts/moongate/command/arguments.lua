-- SPDX-License-Identifier: Apache-2.0
--
-- Reads the arguments of a command by its declaration: `--name value`, `--name=value`, flags
-- without a value, repeated ones as lists.
local nearest = require("moongate.nearest")

local M = {}

---@class moongate.Option
---@field kind "value"|"list"|"flag"
---@field hint string   what stands for the value in the help
---@field doc string

local function unknown(name, options)
  local known = {}
  for option in pairs(options) do
    known[option] = true
  end
  local near = nearest.of(name, known)
  return ("unknown option --%s%s"):format(name, near and (", did you mean --" .. near .. "?") or "")
end

local function store(values, name, option, value)
  if option.kind == "list" then
    values[name] = values[name] or {}
    table.insert(values[name], value)
  else
    values[name] = value
  end
end

local function is_true(text)
  return text == nil or text == "" or text == "true" or text == "1"
end

--- Errors name the argument. `aliases` maps short options (`-H`) to names.
---@param arguments string[]
---@param options table<string, moongate.Option>
---@param aliases table<string, string>?
---@return { values: table<string, any>, rest: string[] }?
---@return string? err
function M.parse(arguments, options, aliases)
  local values, rest = {}, {}
  local i = 1
  while i <= #arguments do
    local word = arguments[i]
    local name, value = word:match("^%-%-([^=]+)=?(.*)$")
    name = name or (aliases or {})[word]
    local inline = word:find("=", 1, true) and word:sub(1, 2) == "--"
    if not name then
      rest[#rest + 1] = word
    else
      local option = options[name]
      if not option then
        return nil, unknown(name, options)
      elseif option.kind == "flag" then
        values[name] = is_true(inline and value or nil)
      elseif inline then
        store(values, name, option, value)
      elseif arguments[i + 1] == nil then
        return nil, ("--%s takes a value: --%s %s"):format(name, name, option.hint)
      else
        i = i + 1
        store(values, name, option, arguments[i])
      end
    end
    i = i + 1
  end
  return { values = values, rest = rest }
end

return M
