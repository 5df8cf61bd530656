-- SPDX-License-Identifier: Apache-2.0
--
-- The clock that scripts go by. Its functions are fields: a test's clock may take their place.
local C = require("moongate.api.core")

local M = {}

--- Seconds since 1970.
---@return number
function M.now()
  return C.mg_time_now()
end

--- Seconds since some point, the same for all threads, that never jump.
---@return number
function M.monotonic()
  return C.mg_time_monotonic()
end

--- Waits; set by moongate.api.task. Result 0: the time is over; else that of an unpark before.
---@type fun(seconds: number): integer
M.wait = nil

return M
