-- SPDX-License-Identifier: Apache-2.0
--
-- Times and sizes as scripts write them: `0.25`, "250ms", "4s", "1h"; 8192, "8k", "10MiB".
local M = {}

local TIMES = { ms = 0.001, [""] = 1, s = 1, m = 60, h = 3600, d = 86400 }
local KIB, MIB, GIB = 1024, 1024 ^ 2, 1024 ^ 3
local SIZES = { [""] = 1, b = 1, k = KIB, kib = KIB, m = MIB, mib = MIB, g = GIB, gib = GIB }

local function parse(value, units, what)
  if type(value) == "number" then
    return value
  end
  local number, unit = tostring(value):match("^(%d+%.?%d*)%s*(%a*)$")
  local factor = units[(unit or "?"):lower()]
  if not number or not factor then
    return nil, ("%q is not a %s"):format(tostring(value), what), "invalid"
  end
  return tonumber(number) * factor
end

--- Errors: `invalid`.
---@param value number|string
---@return number? seconds
---@return string? err
---@return "invalid"? code
function M.parse_seconds(value)
  return parse(value, TIMES, "duration; write 4, 4s or 250ms")
end

--- Errors: `invalid`.
---@param value number|string
---@return number? bytes
---@return string? err
---@return "invalid"? code
function M.parse_bytes(value)
  return parse(value, SIZES, "size; write 8192, 8k or 1m")
end

--- As parse_seconds; raises for what is not a duration.
function M.seconds(value)
  local seconds, err = M.parse_seconds(value)
  return seconds or error(err, 3)
end

return M
