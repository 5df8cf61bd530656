-- SPDX-License-Identifier: Apache-2.0
--
-- Tells whether a hot function is compiled and makes no garbage.
local ffi = require("ffi")

local M = {}

package.path = package.path .. ";build/vendor/share/luajit/?.lua"

-- What LuaJIT does on the way to a good trace: it aborts one that began in an unlucky place.
local PASSING = {
  ["leaving loop in root trace"] = true,
  ["inner loop in root trace"] = true,
  ["loop unroll limit reached"] = true,
  ["down-recursion, restarting"] = true,
  ["retry recording"] = true,
  ["call unroll limit reached"] = true,
  ["symbol not in cache"] = true, -- of a C function: it is there the next time
  ["error thrown or hook called during recording"] = true,
  -- A trace that began below pcall, before the one that begins above it was there.
  ["NYI: return to lower frame"] = true,
}

--- Whether an abort for this reason is no loss.
---@param reason string  as of jit.vmdef.traceerr
---@return boolean
function M.is_passing(reason)
  return PASSING[reason] or false
end

local function name_of(code)
  local names = require("jit.vmdef").traceerr
  return names[code] or tostring(code)
end

--- Runs `body(i)` until it is hot, and then `rounds` times.
---
--- `aborts` are texts of what LuaJIT cannot compile in it; `bytes` is what garbage a round left:
--- in compiled code nothing, or three pointers of 24 bytes where two traces meet; hundreds in code
--- that is interpreted.
---@param body fun(i: integer)
---@param rounds integer
---@return { aborts: string[], traces: integer, bytes: number }
function M.run(body, rounds)
  local out = { aborts = {}, traces = 0 }
  local function on_trace(what, _, _, _, code)
    if what == "stop" then
      out.traces = out.traces + 1
    elseif what == "abort" then
      local text = name_of(code)
      if not PASSING[text] then
        out.aborts[#out.aborts + 1] = text
      end
    end
  end
  -- A pointer that is an object wherever this loop is interpreted, for bodies without any.
  local base, sum = ffi.new("uint32_t[8]"), 0
  local function loop(count)
    for i = 1, count do
      local probe = base + i % 8
      sum = sum + probe[0]
      body(i)
    end
  end
  jit.flush()
  jit.attach(on_trace, "trace")
  loop(20000)
  jit.attach(on_trace)
  collectgarbage()
  collectgarbage("stop")
  local before = collectgarbage("count")
  loop(rounds)
  out.bytes = (collectgarbage("count") - before) * 1024 / rounds
  collectgarbage("restart")
  return out
end

return M
