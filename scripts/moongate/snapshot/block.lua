-- SPDX-License-Identifier: Apache-2.0
--
-- A growing run of bytes in which the writer lays out one part. All blocks are one buffer, used
-- again for each part; addresses in it hold until the next `take` or `put`.
local ffi = require("ffi")

local M = {}

local Block = {}
Block.__index = Block

local FIRST_BYTES = 65536

---@return moongate.Block
function M.new()
  local data = ffi.new("char[?]", FIRST_BYTES)
  return setmetatable({ data = data, size = FIRST_BYTES, used = 0 }, Block)
end

function Block:clear()
  self.used = 0
end

local function grow(self, need)
  local size = self.size
  while size < need do
    size = size * 2
  end
  local data = ffi.new("char[?]", size)
  ffi.copy(data, self.data, self.used)
  self.data, self.size = data, size
end

--- Makes room for `bytes` zeroed bytes at a multiple of 8.
---@return integer at
function Block:take(bytes)
  local at = math.ceil(self.used / 8) * 8
  local used = at + bytes
  if used > self.size then
    grow(self, used)
  end
  ffi.fill(self.data + self.used, used - self.used)
  self.used = used
  return at
end

---@return integer at
function Block:put(text)
  local at = self.used
  if at + #text > self.size then
    grow(self, at + #text)
  end
  ffi.copy(self.data + at, text, #text)
  self.used = at + #text
  return at
end

return M
