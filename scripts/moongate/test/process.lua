-- SPDX-License-Identifier: Apache-2.0
--
-- Child processes: their lines as they come, their end.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local task = require("moongate.api.task")
local tcp = require("moongate.api.tcp")
local vm = require("moongate.api.vm")

local M = {}

local HANDLE = ffi.typeof("struct mg_handle")

--- Path of the program that runs now.
---@return string
function M.executable()
  local path = ffi.new("char[4096]")
  local length = C.mg_executable(path, 4096)
  return length >= 0 and ffi.string(path, length) or error(errors.text(length), 2)
end

local Process = {}
Process.__index = Process

local function follow(conn, on_line)
  conn:set_timeout(0)
  task.spawn(function()
    local rest = ""
    local data = conn:read()
    while data do
      rest = rest .. data
      for line in rest:gmatch("([^\n]*)\n") do
        on_line(line)
      end
      rest = rest:match("[^\n]*$")
      data = conn:read()
    end
    if rest ~= "" then
      on_line(rest)
    end
    conn:close()
  end)
end

---@param signal integer
function Process:kill(signal)
  return C.mg_process_kill(vm, self.handle, signal) >= 0
end

---@return integer
function Process:pid()
  return C.mg_process_pid(vm, self.handle)
end

--- Waits for the end: the exit code, or 128 and the signal's number; nil after `seconds`.
---@param seconds number?  0: no limit
---@return integer?
function Process:wait(seconds)
  if not self.result then
    local result = task.wait(C.mg_process_wait(vm, self.handle, seconds or 0))
    self.result = result >= 0 and result or nil
  end
  return self.result
end

--- Starts a program.
---@param arguments string[]  the program first
---@param on_line fun(line: string, is_error: boolean)
---@return moongate.test.Process
function M.start(arguments, on_line)
  local text = table.concat(arguments, "\0") .. "\0"
  local process = HANDLE()
  local output, errors_end
  local result
  output = assert(tcp.adopt(function(out)
    errors_end = assert(tcp.adopt(function(err)
      result = C.mg_process_start(vm, text, #text, process, out, err)
      return result
    end))
    return result
  end))
  follow(output, function(line)
    on_line(line, false)
  end)
  follow(errors_end, function(line)
    on_line(line, true)
  end)
  return setmetatable({ handle = process }, Process)
end

return M
