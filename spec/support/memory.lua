-- SPDX-License-Identifier: Apache-2.0
--
-- Memory of a process, from /proc.
local M = {}

local function sum_of(path, field)
  local sum
  for line in io.lines(path) do
    local kib = line:match("^" .. field .. ":%s+(%d+) kB")
    sum = kib and (sum or 0) + tonumber(kib) * 1024 or sum
  end
  return sum
end

--- Resident bytes.
---@param gateway moongate.test.Gateway
---@return integer
function M.resident(gateway)
  return sum_of(("/proc/%d/status"):format(gateway.process:pid()), "VmRSS")
end

--- Bytes that are its own: pages written to.
---@param gateway moongate.test.Gateway
---@return integer
function M.private(gateway)
  return sum_of(("/proc/%d/smaps_rollup"):format(gateway.process:pid()), "Private_Dirty")
end

--- Sanitizers keep what was freed: their figures say nothing.
---@return boolean
function M.is_measurable()
  local file = io.open("/proc/self/maps")
  local text = file:read("*a")
  file:close()
  return text:find("lib[at]san") == nil
end

return M
