-- SPDX-License-Identifier: Apache-2.0
--
-- Log lines: a fixed event or message and fields, in key order.
local C = require("moongate.api.core")
local vm = require("moongate.api.vm")

local M = {}

local function write(level, event, fields)
  if C.mg_log_begin(vm, level, event, #event) == 0 then
    return
  end
  local keys = {}
  for key in pairs(fields or {}) do
    keys[#keys + 1] = tostring(key)
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local value = tostring(fields[key])
    C.mg_log_pair(vm, key, #key, value, #value)
  end
  C.mg_log_end(vm)
end

for level, name in pairs({ [0] = "debug", "info", "warn", "error" }) do
  M[name] = function(event, fields)
    write(level, event, fields)
  end
end

return M
