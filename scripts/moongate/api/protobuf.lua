-- SPDX-License-Identifier: Apache-2.0
--
-- mg.protobuf: messages of Protocol Buffers by the numbers of their fields. What is written is a
-- string; a message within another one is written first, as a text is.
local bit = require("bit")
local buffer = require("string.buffer")
local ffi = require("ffi")

local C = require("moongate.api.core")
local utf8 = require("moongate.api.utf8")

local M = {}

--- Kinds of values, which stand beside the number of a field.
M.VARINT, M.FIXED64, M.BYTES, M.FIXED32 = 0, 1, 2, 5
local VARINT, FIXED64, BYTES, FIXED32 = M.VARINT, M.FIXED64, M.BYTES, M.FIXED32

local scratch = ffi.new("union { uint64_t number; double real; uint8_t bytes[8]; }")

-- --- writing -----------------------------------------------------------------

local BYTE = {}
for number = 0, 255 do
  BYTE[number] = string.char(number)
end

--- A whole number as it stands before what it counts.
---@param number integer  0 to 2^53
---@return string bytes
function M.varint(number)
  if number < 128 then
    return BYTE[number]
  end
  local bytes = ""
  while number > 127 do
    bytes = bytes .. BYTE[number % 128 + 128]
    number = math.floor(number / 128)
  end
  return bytes .. BYTE[number]
end

local varint = M.varint

--- A buffer (string.buffer of LuaJIT): what is written many times a second goes into one without a
--- string of each field. `put(…)` adds texts, `get()` takes what is there.
function M.buffer()
  return buffer.new()
end

--- Adds what M.varint gives.
---@param into table  a buffer
---@param number integer
function M.put_varint(into, number)
  while number > 127 do
    into:put(BYTE[number % 128 + 128])
    number = math.floor(number / 128)
  end
  into:put(BYTE[number])
end

--- What stands before the value of a field.
---@param field integer
---@param kind integer  the wire type
---@return string bytes
function M.tag(field, kind)
  return varint(field * 8 + kind)
end

local tag = M.tag

--- A field of text, of bytes, or of a message that has been written.
---@param field integer
---@param value string
---@return string bytes
function M.bytes(field, value)
  return tag(field, BYTES) .. varint(#value) .. value
end

--- A field of a whole number from 0 on, an enumeration, or a boolean as 0 and 1.
---@param field integer
---@param value integer
---@return string bytes
function M.number(field, value)
  return tag(field, VARINT) .. varint(value)
end

--- A field of eight bytes.
---@param field integer
---@param value integer|ffi.cdata*  uint64_t where 2^53 is not enough
---@return string bytes
function M.fixed64(field, value)
  scratch.number = value
  return tag(field, FIXED64) .. ffi.string(scratch.bytes, 8)
end

--- Adds what M.fixed64 gives behind the tag of its field.
---@param into table  a buffer
---@param value integer|ffi.cdata*
function M.put_fixed64(into, value)
  scratch.number = value
  into:putcdata(scratch.bytes, 8)
end

---@param field integer
---@param value integer  0 to 2^32 - 1
---@return string bytes
function M.fixed32(field, value)
  scratch.number = value
  return tag(field, FIXED32) .. ffi.string(scratch.bytes, 4)
end

---@param field integer
---@param value number
---@return string bytes
function M.double(field, value)
  scratch.real = value
  return tag(field, FIXED64) .. ffi.string(scratch.bytes, 8)
end


--- A text as a field of type string may hold it: no longer than `most` bytes, and UTF-8; U+FFFD
--- stands for each byte that is not. One field that is not UTF-8 spoils a whole message.
---@param text string
---@param most integer
---@return string
function M.text(text, most)
  if #text <= most and C.mg_utf8_is_valid(text, #text) == 1 then
    return text
  end
  return utf8.clean(text, utf8.REPLACEMENT, most)
end

-- --- reading -----------------------------------------------------------------

local function read_varint(bytes, at)
  local number, scale = 0, 1
  for i = at, math.min(at + 9, #bytes) do
    local byte = bytes:byte(i)
    number = number + bit.band(byte, 127) * scale
    if byte < 128 then
      return number, i + 1
    end
    scale = scale * 128
  end
end

local SIZE = { [FIXED64] = 8, [FIXED32] = 4 }

local function read_value(bytes, at, kind)
  local number, after = nil, at
  if kind == VARINT then
    return read_varint(bytes, at)
  elseif kind == BYTES then
    number, after = read_varint(bytes, at)
  end
  local size = kind == BYTES and number or SIZE[kind]
  if size and after + size - 1 <= #bytes then
    return bytes:sub(after, after + size - 1), after + size
  end
end

--- The fields of a message: by number, the values in order. Those of wire type varint are numbers,
--- exact up to 2^53, all others are bytes.
---
--- Errors: `malformed`.
---@param bytes string
---@return table<integer, (number|string)[]>? fields
---@return string? err
---@return "malformed"? code
function M.read(bytes)
  local fields, at = {}, 1
  while at <= #bytes do
    local key, after = read_varint(bytes, at)
    local value
    if key and key >= 8 then
      value, at = read_value(bytes, after, key % 8)
    end
    if not value then
      return nil, "is no message of Protocol Buffers", "malformed"
    end
    local number = math.floor(key / 8)
    fields[number] = fields[number] or {}
    table.insert(fields[number], value)
  end
  return fields
end

return M
