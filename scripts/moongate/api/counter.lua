-- SPDX-License-Identifier: Apache-2.0
--
-- mg.counter: turns that are dealt out over all workers. Shared by name, for as long as somebody
-- holds it, so that it goes on over a change of configuration.
local ffi = require("ffi")

local C = require("moongate.api.core")

local M = {}

---@class moongate.Counter
local Counter = {}
Counter.__index = Counter

---@param name string
---@return moongate.Counter
function M.new(name)
  local handle = ffi.gc(C.mg_counter_ref(name, #name), C.mg_counter_unref)
  return setmetatable({ handle = handle }, Counter)
end

--- Takes a turn: true for exactly `part` of any `whole` turns that follow each other, spread as
--- evenly as can be.
---@param part integer
---@param whole integer  above 0
---@return boolean
function Counter:share(part, whole)
  local turn = C.mg_counter_next(self.handle, whole)
  return math.floor((turn + 1) * part / whole) > math.floor(turn * part / whole)
end

--- Where a text lies in [0, 1): always the same, and evenly spread. Who compares it with a share
--- keeps each text on its side when the share grows, but for the difference.
---@param text string
---@return number
function M.point(text)
  return C.mg_hash(text, #text, 0) / 2 ^ 32
end

return M
