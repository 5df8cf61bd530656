-- SPDX-License-Identifier: Apache-2.0
--
-- What the workers count (runtime/base/stats.h), added up over them.
local ffi = require("ffi")

local C = require("moongate.api.core")
local vm = require("moongate.api.vm")

local M = {}

local stat = ffi.new("struct mg_stat")

local function sum_of(position)
  local sum = 0
  for i = 0, C.mg_worker_count(vm) - 1 do
    sum = sum + C.mg_worker_stat(vm, i, position)
  end
  return sum
end

local function after(_, position)
  position = position + 1
  if C.mg_stat_at(position, stat) == 1 then
    return position, stat, sum_of(position)
  end
end

--- Goes through all of them: `for _, counted, sum in M.each() do`. The `struct mg_stat` is good for
--- one turn of the loop.
function M.each()
  return after, nil, -1
end

return M
