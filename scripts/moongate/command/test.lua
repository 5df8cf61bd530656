-- SPDX-License-Identifier: Apache-2.0
--
-- `moongate test`: busted inside the binary, as one task of this thread's loop, so that specs
-- written one call after the other may wait for real input and output.
local ffi = require("ffi")

local M = {}

M.summary = "runs specs by busted"
M.usage = "[PATH…] [--filter PATTERN] [-o OUTPUT] [--repeat N] [--shuffle] [busted's options]"

local HINT = [[
cannot load busted: %s
it is in the package lua-busted of Debian and Ubuntu (`apt-get install lua-busted`), and in LuaRocks
(`luarocks --lua-version 5.1 install busted`; set LUA_PATH and LUA_CPATH to where it is)]]

local TRIPLETS = { x64 = "x86_64-linux-gnu", arm64 = "aarch64-linux-gnu" }

-- Where distributions put modules for Lua 5.1, behind what LUA_PATH says.
local function extend_paths()
  package.path = package.path .. ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"
  local triplet = TRIPLETS[ffi.arch]
  if triplet then
    package.cpath = package.cpath .. ";/usr/lib/" .. triplet .. "/lua/5.1/?.so"
  end
end

-- Tells moongate.test of each test's and file's end: the runner makes its own core of busted.
local function observe_core()
  local make = require("busted.core")
  package.loaded["busted.core"] = function(...)
    local core = make(...)
    local state = require("moongate.test.state")
    core.subscribe({ "test", "end" }, function(_, _, status)
      state.test_ended(status)
      return nil, true
    end)
    core.subscribe({ "file", "end" }, function()
      state.close()
      return nil, true
    end)
    return core
  end
end

local EXIT = {}

-- The runner ends by os.exit, which would pass over what this process still has to close.
local function run(runner)
  local exit, code = os.exit, 0
  os.exit = function(status) -- luacheck: ignore 122
    code = status == true and 0 or tonumber(status) or 1
    error(EXIT, 0)
  end
  local ok, err = xpcall(runner, function(err)
    return err == EXIT and err or debug.traceback(tostring(err), 2)
  end, { standalone = false })
  os.exit = exit -- luacheck: ignore 122
  if not ok and err ~= EXIT then
    return 70, err
  end
  return code
end

function M.run(_, ...)
  extend_paths()
  local ok, runner = pcall(require, "busted.runner")
  if not ok then
    return 70, HINT:format((tostring(runner):match("^[^\n]*")))
  end
  observe_core()
  require("moongate.api.tcp").may_listen = true
  require("moongate.api.timer").is_off = false
  require("moongate.api.settings").apply((require("moongate.settings").read({})))
  rawset(_G, "arg", { [0] = "moongate test", ... })
  local code, err = run(runner)
  require("moongate.test.state").exit()
  io.stdout:flush()
  return code, err
end

return M
