-- SPDX-License-Identifier: Apache-2.0
--
-- Values of mg.schema for people to see: as they were written, without what the schema calls
-- secret. A value that does not fit its type is hidden where it might hold a secret: a fault must
-- not show what a sound configuration hides.
local containers = require("moongate.api.schema.containers")
local json = require("moongate.api.json")

local M = {}

--- Stands for what is not shown.
M.HIDDEN = "…"

-- Of two types that take a value, the first one reads it.
local function taking(self, value)
  for _, kind in ipairs(self.types) do
    if kind:read(value) ~= nil then
      return kind
    end
  end
end

local makers = {
  [containers.array] = function(self, value)
    local list = json.array({})
    for i, item in ipairs(value) do
      list[i] = M.of(self.item, item)
    end
    return list
  end,
  [containers.map] = function(self, value)
    if self.key and self.key.is_secret then
      return M.HIDDEN
    end
    local map = {}
    for key, item in pairs(value) do
      map[key] = M.of(self.item, item)
    end
    return map
  end,
  -- A field that is not known may be one that is, in another spelling.
  [containers.record] = function(self, value)
    local record = {}
    for key, item in pairs(value) do
      local kind = self.fields[key]
      record[key] = kind and M.of(kind, item) or M.HIDDEN
    end
    return record
  end,
  [containers.one_of] = function(self, value)
    local kind = taking(self, value)
    return kind and M.of(kind, value) or M.HIDDEN
  end,
}

--- A copy of a value without what is secret; tables without any may be the same.
---@param self moongate.Type
---@param value any  of JSON or YAML
---@return any
function M.of(self, value)
  if value == nil or containers.is_null(value) then
    return value
  elseif self.is_secret then
    return M.HIDDEN
  end
  local make = makers[self.kind]
  if not make then
    return value
  elseif type(value) ~= "table" and self.kind ~= containers.one_of then
    return M.HIDDEN
  end
  return make(self, value)
end

return M
