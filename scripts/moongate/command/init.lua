-- SPDX-License-Identifier: Apache-2.0
--
-- The command line (DESIGN §8). Exit codes: 0 done, 1 judged and found wanting, 2 usage, 70
-- internal.
local C = require("moongate.api.core")
local process = require("moongate.control.process")

local M = {}

M.COMMANDS = { "run", "proxy", "check", "explain", "migrate", "test", "version", "help" }

local DONE, USAGE, INTERNAL = 0, 2, 70

local function write(text)
  C.mg_write(0, text, #text)
end

local function complain(text)
  text = "moongate: " .. text .. "\n"
  C.mg_write(1, text, #text)
end

local function find(name)
  for _, known in ipairs(M.COMMANDS) do
    if known == name then
      return require("moongate.command." .. name)
    end
  end
end

local function nearest(name)
  local known = {}
  for _, command in ipairs(M.COMMANDS) do
    known[command] = true
  end
  return require("moongate.nearest").of(name, known)
end

local HELP = { ["--help"] = true, ["-h"] = true }

-- Runs one command. A command returns its exit code, or nil while it goes on serving.
local function run(name, ...)
  if HELP[(...) or ""] and name ~= "help" then
    return run("help", name)
  end
  local command = find(name)
  if not command then
    local near = nearest(name)
    local hint = near and (", did you mean `" .. near .. "`?") or ""
    complain(("no command %q%s; `moongate help` lists them"):format(name, hint))
    return USAGE
  end
  local code, err = command.run({ write = write, complain = complain }, ...)
  if err then
    complain(name .. ": " .. err)
  end
  return code
end

--- Called by C as a task, with the arguments.
function M.main(...)
  local name = ...
  local aliases = { ["--help"] = "help", ["-h"] = "help", ["--version"] = "version" }
  name = aliases[name or "help"] or name or "help"
  local ok, code = xpcall(run, debug.traceback, name, select(2, ...))
  if not ok then
    complain(tostring(code))
    code = INTERNAL
  end
  if code then
    process.exit(code)
  end
  return DONE
end

return M
