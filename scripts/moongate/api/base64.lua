-- SPDX-License-Identifier: Apache-2.0
--
-- mg.base64 (RFC 4648).
local bit = require("bit")

local M = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local VALUE = {}
for index = 1, 64 do
  VALUE[ALPHABET:byte(index)] = index - 1
end

local function encode_group(a, b, c)
  local word = bit.bor(bit.lshift(a, 16), bit.lshift(b or 0, 8), c or 0)
  local letters = {}
  for i = 0, 3 do
    local index = bit.band(bit.rshift(word, 18 - 6 * i), 63) + 1
    letters[i + 1] = ALPHABET:sub(index, index)
  end
  if not c then
    letters[4] = "="
  end
  if not b then
    letters[3] = "="
  end
  return table.concat(letters)
end

--- Encodes bytes, with padding.
---@param bytes string
---@return string
function M.encode(bytes)
  local out = {}
  for at = 1, #bytes, 3 do
    out[#out + 1] = encode_group(bytes:byte(at, at + 2))
  end
  return table.concat(out)
end

--- Decodes base64; white space counts for nothing.
---
--- Errors: `malformed` when a letter, the length or the padding is not base64.
---@param text string
---@return string? bytes
---@return string? err
---@return "malformed"? code
function M.decode(text)
  text = text:gsub("%s+", "")
  local body = text:gsub("=+$", "")
  if #text % 4 ~= 0 or #text - #body > 2 or #body % 4 == 1 then
    return nil, "the length or the padding is not that of base64", "malformed"
  end
  local out = {}
  local word, bits = 0, 0
  for index = 1, #body do
    local value = VALUE[body:byte(index)]
    if not value then
      return nil, ("%q is no letter of base64"):format(body:sub(index, index)), "malformed"
    end
    word = bit.bor(bit.lshift(bit.band(word, 0xffff), 6), value)
    bits = bits + 6
    if bits >= 8 then
      bits = bits - 8
      out[#out + 1] = string.char(bit.band(bit.rshift(word, bits), 0xff))
    end
  end
  return table.concat(out)
end

return M
