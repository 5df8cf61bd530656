-- SPDX-License-Identifier: Apache-2.0
--
-- JSON (RFC 8259). Objects and arrays become tables; an array is marked by its metatable, so that
-- an empty one stays one. Numbers are doubles: integers beyond 2^53 lose digits.
local ffi = require("ffi")

local C = require("moongate.api.core")
local utf8 = require("moongate.api.utf8")

local M = {}

--- Stands for JSON's null.
M.null = setmetatable({}, {
  __tostring = function()
    return "null"
  end,
})

local ARRAY = { __name = "json.array" }

--- Marks a table as an array, also when it is empty.
---@generic T: table
---@param list T
---@return T
function M.array(list)
  return setmetatable(list or {}, ARRAY)
end

local DEPTH_MAX = 200
local text = ffi.new("struct mg_text")

local function string_of(node)
  C.mg_json_text(node, text)
  return ffi.string(text.data, text.length)
end

local take

local function take_array(node, depth)
  local list, child = {}, C.mg_json_first(node)
  for i = 1, C.mg_json_count(node) do
    list[i] = take(child, depth + 1)
    child = C.mg_json_next(child)
  end
  return setmetatable(list, ARRAY)
end

local function take_object(node, depth)
  local object, child = {}, C.mg_json_first(node)
  for _ = 1, C.mg_json_count(node) do
    local value = C.mg_json_next(child)
    object[string_of(child)] = take(value, depth + 1)
    child = C.mg_json_next(value)
  end
  return object
end

local takers = {
  [C.MG_JSON_NULL] = function()
    return M.null
  end,
  [C.MG_JSON_FALSE] = function()
    return false
  end,
  [C.MG_JSON_TRUE] = function()
    return true
  end,
  [C.MG_JSON_NUMBER] = function(node)
    return C.mg_json_number(node)
  end,
  [C.MG_JSON_STRING] = string_of,
  [C.MG_JSON_ARRAY] = take_array,
  [C.MG_JSON_OBJECT] = take_object,
}

function take(node, depth)
  if depth > DEPTH_MAX then
    error("nested too deeply", 0)
  end
  return takers[C.mg_json_kind(node)](node, depth)
end

--- Errors: `invalid` with the offset in bytes.
---@param source string
---@param any_bytes boolean?  takes strings that are not UTF-8 as they are, which `encode` writes so
---@return any value
---@return string? err
---@return "invalid"? code
function M.decode(source, any_bytes)
  local json = C.mg_json_read(source, #source, any_bytes and 1 or 0)
  if json == nil then
    return nil, "out of memory", "invalid"
  end
  local root = C.mg_json_root(json)
  if root == nil then
    local what, at = ffi.string(C.mg_json_error(json)), C.mg_json_error_at(json)
    local err = ("%s at byte %d"):format(what, at)
    C.mg_json_free(json)
    return nil, err, "invalid"
  end
  local ok, value = pcall(take, root, 1)
  C.mg_json_free(json)
  if not ok then
    return nil, value, "invalid"
  end
  return value
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(char)
  return ESCAPES[char] or ("\\u%04x"):format(char:byte())
end

local put

local function is_array(value)
  return getmetatable(value) == ARRAY or #value > 0
end

local function put_array(out, value, depth)
  out[#out + 1] = "["
  for i = 1, #value do
    if i > 1 then
      out[#out + 1] = ","
    end
    put(out, value[i], depth + 1)
  end
  out[#out + 1] = "]"
end

local function sorted_keys(value)
  local keys = {}
  for key in pairs(value) do
    if type(key) ~= "string" then
      error("an object's key is a " .. type(key) .. ", not a string", 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function put_object(out, value, depth)
  out[#out + 1] = "{"
  for i, key in ipairs(sorted_keys(value)) do
    if i > 1 then
      out[#out + 1] = ","
    end
    put(out, key, depth)
    out[#out + 1] = ":"
    put(out, value[key], depth + 1)
  end
  out[#out + 1] = "}"
end

local function put_number(out, value)
  if value ~= value or value == math.huge or value == -math.huge then
    error("a number that JSON cannot tell", 0)
  end
  local integer = value == math.floor(value) and math.abs(value) < 2 ^ 53
  out[#out + 1] = (integer and "%d" or "%.17g"):format(value)
end

local function put_table(out, value, depth)
  if value == M.null then
    out[#out + 1] = "null"
  elseif depth > DEPTH_MAX then
    error("nested too deeply, or within itself", 0)
  elseif is_array(value) then
    put_array(out, value, depth)
  else
    put_object(out, value, depth)
  end
end

function put(out, value, depth)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = '"' .. value:gsub('[%c"\\\127]', escape) .. '"'
  elseif kind == "number" then
    put_number(out, value)
  elseif kind == "boolean" then
    out[#out + 1] = tostring(value)
  elseif kind == "table" then
    put_table(out, value, depth)
  else
    error("a " .. kind .. " cannot be told in JSON", 0)
  end
end

--- Keys are sorted, so that equal values give equal text. A table with elements 1..n is an array,
--- any other an object. Misuse (a function, a cycle, NaN) is an error.
---@param value any
---@param clean boolean?  U+FFFD for what is not UTF-8 (RFC 8259 8.1); else bytes stay as they are
---@return string
function M.encode(value, clean)
  local out = {}
  local ok, err = pcall(put, out, value, 1)
  if not ok then
    error("json.encode: " .. err, 2)
  end
  local source = table.concat(out)
  return clean and utf8.clean(source, utf8.REPLACEMENT) or source
end

return M
