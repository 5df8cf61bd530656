-- SPDX-License-Identifier: Apache-2.0
-- The one vocabulary of settings: `--set KEY=VALUE`, `mg.settings{}` in scripts (`_` for `-`) and
-- the controller's ConfigMap. The list itself is in settings/list.lua.
local list = require("moongate.settings.list")
local nearest = require("moongate.nearest")
local values = require("moongate.settings.values")
local without_effect = require("moongate.settings.without_effect")

local M = {}

---@class moongate.Setting
---@field name string
---@field type string     its name in the documentation
---@field default string  as a user would write it
---@field scope "process"|"listener"|"route"|"control"|"log"
---@field doc string
---@field unsupported "none"|nil  known, but nothing follows from it
---@field does string     the value that says what happens then, as a user would write it

local function auto_or(parse)
  return function(text)
    if text == "auto" then
      return text
    end
    local value, err = parse(text)
    if value == nil then
      return nil, (err:gsub("^must be ", "must be auto, or "))
    end
    return value
  end
end

-- Returns the type's name for the documentation, and its parser.
local type_of
function type_of(kind)
  if type(kind) == "string" then
    return kind, values[kind]
  elseif kind.one_of then
    return table.concat(kind.one_of, "|"), values.one_of(kind.one_of, kind.fold)
  elseif kind.between then
    return kind.between[1] .. ".." .. kind.between[2], values.between(unpack(kind.between))
  end
  local name, parse = type_of(kind[2])
  return kind[1] .. "|" .. name, auto_or(parse)
end

--- Every setting in the order of the documentation.
---@type moongate.Setting[]
M.list = {}

local by_name, parsers, defaults, names = {}, {}, {}, {}
for _, entry in ipairs(list) do
  local name, kind, default, scope, doc, unsupported, does = unpack(entry)
  local type_name, parse = type_of(kind)
  local setting = { name = name, type = type_name, default = default, scope = scope, doc = doc,
    unsupported = unsupported, does = does or default }
  M.list[#M.list + 1] = setting
  by_name[name], parsers[name], names[name] = setting, parse, true
  defaults[name] = parse(default)
end

--- A setting by its name, or nil.
---@param name string
---@return moongate.Setting?
function M.get(name)
  return by_name[name]
end

--- Reads one value.
---
--- Errors: `unknown` (the message names the nearest), `invalid`, `ignored` (known from
--- ingress-nginx, has no effect here), `refused` (the message names the replacement).
---@param name string   `_` may stand for `-`
---@param text string|number|boolean
---@return any value
---@return string? err
---@return "unknown"|"invalid"|"ignored"|"refused"|nil code
function M.parse(name, text)
  name = name:gsub("_", "-")
  local parse = parsers[name]
  if parse then
    local value, err = parse(tostring(text))
    if value == nil then
      return nil, err, "invalid"
    end
    return value
  elseif without_effect.refused[name] then
    return nil, "snippets are never run; use " .. without_effect.refused[name], "refused"
  elseif without_effect.guards[name] and values.bool(tostring(text)) then
    return nil, without_effect.guards[name], "refused"
  elseif without_effect.guards[name] or without_effect.ignored[name] or name:find("^geoip")
    or name:find("^jaeger%-") then
    return nil, "has no effect in this gateway; remove it", "ignored"
  end
  local close = nearest.of(name, names)
  local hint = close and ('; did you mean "%s"?'):format(close) or "; see the list of settings"
  return nil, "unknown setting" .. hint, "unknown"
end

--- Reads a whole table of settings over the defaults. What is wrong keeps its default.
---@param raw table<string, any>  name -> value as written
---@param on_wrong fun(name: string, message: string, code: string)?  called for each that is wrong
---@return table<string, any> typed  every setting; times in ms, sizes in bytes
---@return table<string, string> accepted  those of `raw` that count, names with `-`
function M.read(raw, on_wrong)
  local typed, accepted = {}, {}
  for name, value in pairs(defaults) do
    typed[name] = value
  end
  for written, text in pairs(raw) do
    local value, err, code = M.parse(written, text)
    if code then
      if on_wrong then
        on_wrong(written, err, code)
      end
    else
      local name = written:gsub("_", "-")
      typed[name], accepted[name] = value, tostring(text)
    end
  end
  return typed, accepted
end

return M
