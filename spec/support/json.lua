-- SPDX-License-Identifier: Apache-2.0
--
-- JSON with sorted keys, for files that people review: what fits on a line stands on one.
local M = {}

local LINE = 92
local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(char)
    return ESCAPES[char] or ("\\u%04x"):format(char:byte())
  end) .. '"'
end

local encode

local function parts_of(value, indent)
  local parts = {}
  if value[1] ~= nil then
    for index, item in ipairs(value) do
      parts[index] = encode(item, indent)
    end
    return parts, "[", "]"
  end
  local keys = {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for index, key in ipairs(keys) do
    parts[index] = quote(key) .. ": " .. encode(value[key], indent)
  end
  return parts, "{", "}"
end

encode = function(value, indent)
  if type(value) == "string" then
    return quote(value)
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif next(value) == nil then
    return "[]"
  end
  local deeper = indent .. "  "
  local parts, open, close = parts_of(value, deeper)
  local line = open .. " " .. table.concat(parts, ", ") .. " " .. close
  if #line + #indent <= LINE and not line:find("\n") then
    return line
  end
  return open .. "\n" .. deeper .. table.concat(parts, ",\n" .. deeper) .. "\n" .. indent .. close
end

--- Encodes a value. An empty table is `[]`.
function M.encode(value)
  return encode(value, "") .. "\n"
end

return M
