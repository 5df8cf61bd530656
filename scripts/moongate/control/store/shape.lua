-- SPDX-License-Identifier: Apache-2.0
-- Shapes: what a value of an object must look like. A shape is a function
-- `(value, path, complain)`; `complain(path, message, severity)` is called for each thing wrong.
local model = require("moongate.control.model")
local nearest = require("moongate.nearest")

local M = {}

-- Never the value itself, which may be a secret's.
local function name_of(value)
  if type(value) == "table" then
    return value[1] ~= nil and "a list" or "a mapping"
  end
  return "a " .. type(value)
end

local function scalar(wanted, check, hint)
  return function(value, path, complain)
    if type(value) ~= wanted then
      return complain(path, ("must be a %s, not %s%s"):format(wanted, name_of(value), hint or ""))
    end
    local wrong = check and check(value)
    if wrong then
      complain(path, wrong)
    end
  end
end

--- A string that `check` (returns what is wrong) accepts.
function M.string(check)
  return scalar("string", check, "; put it in quotes")
end

function M.number(check)
  return scalar("number", check)
end

M.boolean = scalar("boolean")

--- One of some words.
function M.enum(...)
  local words = { ... }
  local known = {}
  for _, word in ipairs(words) do
    known[word] = true
  end
  return M.string(function(value)
    if not known[value] then
      return "must be one of " .. table.concat(words, ", ")
    end
  end)
end

--- A port by number or by name.
function M.port_or_name(port, name)
  local of = { number = M.number(port), string = M.string(name) }
  return function(value, path, complain)
    local shape = of[type(value)]
    if not shape then
      return complain(path, "must be a port number or the name of a port")
    end
    shape(value, path, complain)
  end
end

function M.list(item)
  return function(value, path, complain)
    if type(value) ~= "table" or (next(value) ~= nil and value[1] == nil) then
      return complain(path, "must be a list, not " .. name_of(value))
    end
    for index, entry in ipairs(value) do
      item(entry, model.below(path, index), complain)
    end
  end
end

--- A mapping whose keys are free.
function M.map(item, key_check)
  return function(value, path, complain)
    if type(value) ~= "table" or value[1] ~= nil then
      return complain(path, "must be a mapping, not " .. name_of(value))
    end
    for _, key in ipairs(model.keys(value)) do
      local wrong = key_check and key_check(key)
      if wrong then
        complain(model.below(path, key), wrong)
      end
      item(value[key], model.below(path, key), complain)
    end
  end
end

local function complain_unknown(fields, path, key, complain)
  local close = nearest.of(key, fields)
  local hint = close and ('; did you mean "%s"?'):format(close) or "; remove it"
  complain(model.below(path, key), "unknown field" .. hint, "warning")
end

--- A mapping with known fields. `options.required` lists names; `options.open` permits others;
--- `options.check(value)` returns a field's name and what is wrong, for rules across fields,
--- each of which may be of any type.
function M.record(fields, options)
  options = options or {}
  return function(value, path, complain)
    if type(value) ~= "table" or value[1] ~= nil then
      return complain(path, "must be a mapping, not " .. name_of(value))
    end
    for _, name in ipairs(options.required or {}) do
      if value[name] == nil then
        complain(model.below(path, name), "is required")
      end
    end
    for _, key in ipairs(model.keys(value)) do
      if fields[key] then
        fields[key](value[key], model.below(path, key), complain)
      elseif not options.open then
        complain_unknown(fields, path, key, complain)
      end
    end
    local field, wrong
    if options.check then
      field, wrong = options.check(value)
    end
    if wrong then
      complain(model.below(path, field), wrong)
    end
  end
end

--- Anything at all; the gateway does not read it.
function M.any() end

return M
