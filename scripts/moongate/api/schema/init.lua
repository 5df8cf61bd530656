-- SPDX-License-Identifier: Apache-2.0
--
-- mg.schema: what the configuration of a plugin may hold. Reading checks everything at once, fills
-- in defaults and turns texts into what hooks use (seconds, bytes, compiled patterns).
--
--   s.record { limit = s.integer():required():min(1), window = s.duration():default("1m") }
local containers = require("moongate.api.schema.containers")
local export = require("moongate.api.schema.export")
local kinds = require("moongate.api.schema.kinds")
local redaction = require("moongate.api.schema.redaction")
local regex = require("moongate.api.regex")

local M = {}

---@class moongate.Type
local Type = {}
Type.__index = Type

---@class moongate.SchemaFault
---@field path string     as a person writes it: config.windows[0].limit
---@field keys any[]      the same as keys of the value that was read
---@field message string
---@field hint string?
---@field severity "error"|"warning"

-- --- reading -----------------------------------------------------------------

---@class moongate.SchemaReader
local Reader = {}
Reader.__index = Reader

local function path_of(keys)
  local parts = { "config" }
  for _, key in ipairs(keys) do
    parts[#parts + 1] = type(key) == "number" and ("[%d]"):format(key - 1) or "." .. key
  end
  return table.concat(parts)
end

function Reader:fault(message, hint, severity)
  local keys = { unpack(self.keys) }
  self.errors = self.errors + (severity == "warning" and 0 or 1)
  self.faults[#self.faults + 1] = {
    path = path_of(keys),
    keys = keys,
    message = message,
    hint = hint,
    severity = severity or "error",
  }
end

--- Reads a part of the value that is read now.
function Reader:below(key, kind, value)
  table.insert(self.keys, key)
  local result = kind:read_with(self, value)
  table.remove(self.keys)
  return result
end

local function out_of_bounds(self, value)
  local low, high = self.low, self.high
  if low and value < low or high and value > high then
    if low and high then
      return ("must be between %s and %s"):format(self.low_text, self.high_text)
    end
    return low and "must be at least " .. self.low_text or "must be at most " .. self.high_text
  end
end

local function wrong_length(self, value)
  local size = type(value) == "table" and containers.size(value) or #value
  if size < self.shortest or size > self.longest then
    local what = type(value) == "table" and "entries" or "characters"
    return ("must have %s to %s %s"):format(self.shortest,
      self.longest == math.huge and "any number of" or self.longest, what)
  end
end

local function breaks_rule(self, raw, value)
  if type(value) == "number" and (self.low or self.high) then
    return out_of_bounds(self, value)
  elseif self.shortest and (type(raw) == "string" or type(raw) == "table") then
    return wrong_length(self, raw)
  elseif self.must_match and not self.must_match:test(raw) then
    return ("must match %s"):format(self.must_match.pattern)
  end
end

-- What stands for an absent value.
local function absent(self, reader, value)
  if value ~= nil and self.may_be_null then
    return nil
  elseif self.default_value ~= nil then
    return self.default_value
  elseif self.is_required then
    reader:fault("is required")
  end
end

--- For containers: reads as part of a larger value. Nil when something is wrong, or absent.
function Type:read_with(reader, value)
  if value == nil or containers.is_null(value) then
    value = absent(self, reader, value)
    if value == nil then
      return nil
    end
  elseif self.is_deprecated then
    local use = self.is_deprecated.use
    reader:fault("is deprecated", use and ("use %q"):format(use) or nil, "warning")
  end
  local result, err, hint = self.kind.read(self, value, reader)
  if result == nil then
    return err and reader:fault(err, hint) or nil
  end
  local wrong = breaks_rule(self, value, result)
  if wrong then
    return reader:fault(wrong)
  end
  return result
end

--- Reads a whole configuration.
---
--- Faults are told all at once, in the order of their paths. Warnings come with a value.
---@param value any  of JSON or YAML
---@return any? typed  with defaults filled in
---@return moongate.SchemaFault[]? faults
function Type:read(value)
  local reader = setmetatable({ keys = {}, faults = {}, errors = 0 }, Reader)
  local result = self:read_with(reader, value)
  if reader.errors > 0 then
    return nil, reader.faults
  end
  return result, reader.faults[1] and reader.faults or nil
end

-- --- modifiers ---------------------------------------------------------------

function Type:required()
  self.is_required = true
  return self
end

--- The value of an absent one, as a user would write it.
function Type:default(value)
  self.default_value = value
  return self
end

local function bound(self, value)
  local number = self.kind.parse and self.kind.parse(value) or value
  if not self.kind.number or type(number) ~= "number" then
    error("min, max and between are for numbers, durations, sizes and percentages", 3)
  end
  return number
end

function Type:min(value)
  self.low, self.low_text = bound(self, value), tostring(value)
  return self
end

function Type:max(value)
  self.high, self.high_text = bound(self, value), tostring(value)
  return self
end

function Type:between(low, high)
  return self:min(low):max(high)
end

--- Characters of a text, entries of a list or map.
function Type:len(shortest, longest)
  self.shortest, self.longest = shortest, longest or math.huge
  return self
end

--- A text must match this pattern (mg.regex) somewhere.
function Type:pattern(pattern)
  local compiled, err = regex.compile(pattern)
  self.must_match = compiled or error(err, 2)
  return self
end

function Type:description(text)
  self.doc = text
  return self
end

function Type:example(value)
  self.example_value = value
  return self
end

--- Using it is a warning.
---@param what { since: string?, use: string? }?
function Type:deprecated(what)
  self.is_deprecated = what or {}
  return self
end

--- The value is shown nowhere. Of the names of a map: nothing of the map is.
function Type:secret()
  self.is_secret = true
  return self
end

--- null is accepted, and is like absence without the default.
function Type:nullable()
  self.may_be_null = true
  return self
end

--- A copy of a value as people may see it: "…" stands for what is secret, and for what does not fit
--- this type and might be.
---@param value any  of JSON or YAML
---@return any
function Type:redact(value)
  return redaction.of(self, value)
end

--- JSON Schema 2020-12 of this type.
---@return table
function Type:json_schema()
  local schema = export.of(self)
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
  return schema
end

for name, rule in pairs(containers.rules) do
  Type[name] = rule
end

-- --- builders ----------------------------------------------------------------

local function new(kind, fields)
  fields = fields or {}
  fields.kind = kind
  return setmetatable(fields, Type)
end

for name, kind in pairs(kinds) do
  if type(kind) == "table" then
    M[name] = function(options)
      return new(kind, { options = options })
    end
  end
end

---@param ... string  or one list of them
function M.enum(...)
  local words = type((...)) == "table" and (...) or { ... }
  return new(containers.enum, { words = words })
end

---@param item moongate.Type
function M.array(item)
  return new(containers.array, { item = item })
end

--- Any names; `key` checks them when it is given.
---@overload fun(value: moongate.Type)
---@param key moongate.Type
---@param value moongate.Type
function M.map(key, value)
  if not value then
    key, value = nil, key
  end
  return new(containers.map, { key = key, item = value })
end

---@param fields table<string, moongate.Type>
function M.record(fields)
  for name, kind in pairs(fields) do
    if getmetatable(kind) ~= Type then
      error(("mg.schema: field %q is no type; write s.string() and the like"):format(name), 2)
    end
  end
  return new(containers.record, { fields = fields, rules = {} })
end

--- The first of the types that takes the value reads it.
function M.one_of(...)
  return new(containers.one_of, { types = { ... } })
end

---@return boolean
function M.is_type(value)
  return getmetatable(value) == Type
end

return M
