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

-- Calls `on_line` for each line that is whole in `text`; returns the rest.
local function split(text, on_line)
  local at = 1
  local newline = text:find("\n", 1, true)
  while newline do
    on_line(text:sub(at, newline - 1))
    at = newline + 1
    newline = text:find("\n", at, true)
  end
  return text:sub(at)
end

-- A long line comes in many pieces: they are joined when it ends.
local function follow(conn, on_line)
  conn:set_timeout(0)
  return task.spawn(function()
    local pieces = {}
    local data = conn:read()
    while data do
      pieces[#pieces + 1] = data
      if data:find("\n", 1, true) then
        pieces = { split(table.concat(pieces), on_line) }
      end
      data = conn:read()
    end
    local rest = table.concat(pieces)
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

--- Waits for the end, and until all it has written was read.
---@return integer  as of `wait`
function Process:join()
  local result = self:wait()
  for _, reader in ipairs(self.readers) do
    task.join(reader)
  end
  return result
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
  local readers = {
    follow(output, function(line)
      on_line(line, false)
    end),
    follow(errors_end, function(line)
      on_line(line, true)
    end),
  }
  return setmetatable({ handle = process, readers = readers }, Process)
end

return M
