-- SPDX-License-Identifier: Apache-2.0
--
-- HPACK (RFC 7541) for specs: a decoder of all of it, and an encoder that writes what it is told,
-- nonsense too.
local M = {}

-- --- tables of the RFC ---------------------------------------------------------

-- Appendix A, `name` or `name: value`.
local STATIC = {}
for line in ([[
:authority
:method: GET
:method: POST
:path: /
:path: /index.html
:scheme: http
:scheme: https
:status: 200
:status: 204
:status: 206
:status: 304
:status: 400
:status: 404
:status: 500
accept-charset
accept-encoding: gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
]]):gmatch("[^\n]+") do
  local name, value = line:match("^(:?[^:]+):? ?(.*)$")
  STATIC[#STATIC + 1] = { name, value }
end

-- Appendix B as lengths in bits, of 0 to 255 and of the end (256): the code is canonical, so that
-- its words follow.
local LENGTHS = [[
13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
30]]

local LONGEST = 30
local EOS = 256
local by_length = {} -- length -> { first word, symbols in the order of their words }
do
  local symbol = 0
  for length in LENGTHS:gmatch("%d+") do
    length = tonumber(length)
    by_length[length] = by_length[length] or { symbols = {} }
    table.insert(by_length[length].symbols, symbol)
    symbol = symbol + 1
  end
  local word = 0
  for length = 1, LONGEST do
    word = word * 2
    if by_length[length] then
      by_length[length].first = word
      word = word + #by_length[length].symbols
    end
  end
end

-- --- writing -------------------------------------------------------------------

--- An integer with a prefix of `bits` bits, beside the bits of `first` (5.1).
---@param value integer
---@param bits integer
---@param first integer
---@return string
function M.integer(value, bits, first)
  local most = 2 ^ bits - 1
  if value < most then
    return string.char(first + value)
  end
  local out = { string.char(first + most) }
  value = value - most
  while value >= 128 do
    out[#out + 1] = string.char(value % 128 + 128)
    value = math.floor(value / 128)
  end
  return table.concat(out) .. string.char(value)
end

local function text(value)
  value = tostring(value)
  return M.integer(#value, 7, 0) .. value
end

local FIRST = { indexed = { 0x40, 6 }, plain = { 0x00, 4 }, never = { 0x10, 4 } }

--- A field as a literal (6.2), its name written out or by index.
---@param name string|integer
---@param value string
---@param kind "plain"|"indexed"|"never"|nil  plain unless given
---@return string
function M.literal(name, value, kind)
  local first, bits = unpack(FIRST[kind or "plain"])
  if type(name) == "number" then
    return M.integer(name, bits, first) .. text(value)
  end
  return string.char(first) .. text(name) .. text(value)
end

--- A field by its index (6.1).
---@param index integer
---@return string
function M.indexed(index)
  return M.integer(index, 7, 0x80)
end

--- A change of the table's size (6.3).
---@param bytes integer
---@return string
function M.resize(bytes)
  return M.integer(bytes, 5, 0x20)
end

--- A list of { name, value } as literals that go into no table; a string is taken as it is.
---@param fields table
---@return string
function M.encode(fields)
  local out = {}
  for i, field in ipairs(fields) do
    out[i] = type(field) == "string" and field or M.literal(field[1], field[2])
  end
  return table.concat(out)
end

-- --- reading -------------------------------------------------------------------

local function read_integer(block, at, bits)
  local most = 2 ^ bits - 1
  local value = block:byte(at) % (most + 1)
  at = at + 1
  if value < most then
    return value, at
  end
  local scale, byte = 1, 128
  while byte >= 128 do
    byte = block:byte(at) or error("an integer has no end", 0)
    at = at + 1
    value = value + byte % 128 * scale
    scale = scale * 128
  end
  return value, at
end

--- Undoes the Huffman code (5.2).
---@param data string
---@return string
function M.unhuffman(data)
  local out, word, length = {}, 0, 0
  for i = 1, #data do
    local byte = data:byte(i)
    for shift = 7, 0, -1 do
      word = word * 2 + math.floor(byte / 2 ^ shift) % 2
      length = length + 1
      local known = by_length[length]
      local symbol = known and known.symbols[word - known.first + 1]
      if symbol == EOS or length > LONGEST then
        error("the end's code is in a text", 0)
      elseif symbol then
        out[#out + 1] = string.char(symbol)
        word, length = 0, 0
      end
    end
  end
  if length > 7 or word ~= 2 ^ length - 1 then
    error("a text's padding is wrong", 0)
  end
  return table.concat(out)
end

local function read_text(block, at)
  local first = block:byte(at) or error("a text is missing", 0)
  local length
  length, at = read_integer(block, at, 7)
  local data = block:sub(at, at + length - 1)
  if #data < length then
    error("a text has no end", 0)
  end
  return first >= 128 and M.unhuffman(data) or data, at + length
end

local Decoder = {}
Decoder.__index = Decoder

local function size_of(entry)
  return #entry[1] + #entry[2] + 32
end

local function evict(self)
  while self.size > self.limit do
    self.size = self.size - size_of(table.remove(self.entries))
  end
end

local function add(self, entry)
  table.insert(self.entries, 1, entry)
  self.size = self.size + size_of(entry)
  evict(self)
end

local function lookup(self, index)
  local entry = STATIC[index] or self.entries[index - #STATIC]
  return entry or error(("no entry %d in the tables"):format(index), 0)
end

local function read_indexed(self, block, at)
  local index
  index, at = read_integer(block, at, 7)
  return lookup(self, index), at
end

local function read_literal(self, block, at, bits)
  local index, name, value
  index, at = read_integer(block, at, bits)
  if index > 0 then
    name = lookup(self, index)[1]
  else
    name, at = read_text(block, at)
  end
  value, at = read_text(block, at)
  return { name, value }, at
end

--- The fields of a whole block. Raises for what RFC 7541 forbids.
---@param block string
---@return table fields  { name, value } in their order
function Decoder:decode(block)
  local fields, at = {}, 1
  while at <= #block do
    local first = block:byte(at)
    if first >= 128 then
      fields[#fields + 1], at = read_indexed(self, block, at)
    elseif first >= 64 then
      fields[#fields + 1], at = read_literal(self, block, at, 6)
      add(self, fields[#fields])
    elseif first >= 32 then
      self.limit, at = read_integer(block, at, 5)
      if self.limit > self.most or #fields > 0 then
        error("a change of the table's size is out of place", 0)
      end
      evict(self)
    else
      fields[#fields + 1], at = read_literal(self, block, at, 4)
    end
  end
  return fields
end

--- `most` is what our SETTINGS allow for the table, in bytes.
---@param most integer?
function M.decoder(most)
  most = most or 4096
  return setmetatable({ entries = {}, size = 0, limit = most, most = most }, Decoder)
end

return M
