-- SPDX-License-Identifier: Apache-2.0
--
-- Types of mg.schema as JSON Schema 2020-12, for editors and for objects of Kubernetes.
local containers = require("moongate.api.schema.containers")
local json = require("moongate.api.json")

local M = {}

local makers = {
  [containers.enum] = function(self)
    return { enum = json.array({ unpack(self.words) }) }
  end,
  [containers.array] = function(self)
    return { type = "array", items = M.of(self.item) }
  end,
  [containers.map] = function(self)
    local names = self.key and M.of(self.key) or nil
    return { type = "object", additionalProperties = M.of(self.item), propertyNames = names }
  end,
  [containers.record] = function(self)
    local properties, required = {}, json.array({})
    for name, kind in pairs(self.fields) do
      properties[name] = M.of(kind)
      if kind.is_required then
        required[#required + 1] = name
      end
    end
    table.sort(required)
    return {
      type = "object",
      properties = properties,
      required = required[1] and required or nil,
      additionalProperties = false,
    }
  end,
  [containers.one_of] = function(self)
    local list = json.array({})
    for i, kind in ipairs(self.types) do
      list[i] = M.of(kind)
    end
    return { anyOf = list }
  end,
}

local function copy(map)
  local result = {}
  for key, value in pairs(map) do
    result[key] = type(value) == "table" and json.array({ unpack(value) }) or value
  end
  return result
end

local LENGTHS = {
  array = { "minItems", "maxItems" },
  object = { "minProperties", "maxProperties" },
  string = { "minLength", "maxLength" },
}

local function add_limits(self, schema)
  -- Bounds of "4s" and the like are of what it stands for, which JSON Schema cannot tell.
  if not self.kind.parse then
    schema.minimum, schema.maximum = self.low, self.high
  end
  local names = self.shortest and LENGTHS[schema.type]
  if names then
    schema[names[1]] = self.shortest
    schema[names[2]] = self.longest < math.huge and self.longest or nil
  end
  schema.pattern = self.must_match and self.must_match.pattern
end

---@param self moongate.Type
---@return table
function M.of(self)
  local maker = makers[self.kind]
  local schema = maker and maker(self) or copy(self.kind.json)
  add_limits(self, schema)
  schema.description = self.doc
  schema.default = self.default_value
  schema.deprecated = self.is_deprecated and true or nil
  schema.writeOnly = self.is_secret and true or nil
  if self.example_value ~= nil then
    schema.examples = json.array({ self.example_value })
  end
  if self.may_be_null then
    return { anyOf = json.array({ schema, { type = "null" } }) }
  end
  return schema
end

return M
