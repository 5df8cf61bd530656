-- SPDX-License-Identifier: Apache-2.0
--
-- Plain values to JSON text with sorted keys: equal values give equal text.
local M = {}

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape(char)
  return ESCAPES[char] or string.format("\\u%04x", char:byte())
end

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

local encode

local function encode_array(list)
  local out = {}
  for i = 1, #list do
    out[i] = encode(list[i])
  end
  return "[" .. table.concat(out, ",") .. "]"
end

local function encode_object(object)
  local keys = {}
  for key in pairs(object) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    keys[i] = quote(key) .. ":" .. encode(object[key])
  end
  return "{" .. table.concat(keys, ",") .. "}"
end

--- An empty table is an object.
---@param value string|number|boolean|table
---@return string
function encode(value)
  local kind = type(value)
  if kind == "table" then
    return #value > 0 and encode_array(value) or encode_object(value)
  elseif kind == "string" then
    return quote(value)
  elseif kind == "number" then
    return string.format("%.17g", value)
  end
  return tostring(value)
end

M.encode = encode

return M
