-- SPDX-License-Identifier: Apache-2.0
--
-- Reads the arguments of a command by its declaration: `--name value`, `--name=value`, flags that
-- may do without a value, repeated ones as lists.
local nearest = require("moongate.nearest")
local types = require("moongate.settings.values")

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

-- What a flag says, `text` being what stands behind its `=`.
local function flag_value(name, text)
  if not text or text == "" then
    return true
  end
  local value, err = types.bool(text)
  return value, err and ("--%s %s, not %s"):format(name, err, text)
end

-- Name of an option, and the value behind `=` where there is one.
local function read_word(word, aliases)
  local name, value = word:match("^%-%-([^=]+)=?(.*)$")
  if name then
    return name, word:find("=", 1, true) and value
  end
  local short, text = word:match("^(%-%a)=(.*)$")
  return aliases[short or word], text
end

-- Takes the value of an option, which may be the next word; returns what is wrong, or nil and
-- whether it was.
local function take(values, name, option, value, following)
  if option.kind == "flag" then
    local err
    values[name], err = flag_value(name, value)
    return err
  elseif not value and not following then
    return ("--%s takes a value: --%s %s"):format(name, name, option.hint)
  end
  store(values, name, option, value or following)
  return nil, not value
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
    local name, value = read_word(arguments[i], aliases or {})
    if name then
      local option = options[name]
      if not option then
        return nil, unknown(name, options)
      end
      local err, took = take(values, name, option, value, arguments[i + 1])
      if err then
        return nil, err
      end
      i = i + (took and 1 or 0)
    else
      rest[#rest + 1] = arguments[i]
    end
    i = i + 1
  end
  return { values = values, rest = rest }
end

return M
