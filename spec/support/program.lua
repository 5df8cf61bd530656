-- SPDX-License-Identifier: Apache-2.0
--
-- Other programs, for specs inside the binary: run to their end, or kept as servers for a file.
local process = require("moongate.test.process")
local state = require("moongate.test.state")
local t = require("moongate.test")

local M = {}

local SIGKILL = 9
-- The system's, that has the libraries of the system's packages.
M.PYTHON = "/usr/bin/python3"

local Program = {}
Program.__index = Program

local function start(arguments)
  local self = setmetatable({ arguments = arguments, lines = {}, errors = {} }, Program)
  self.process = process.start(arguments, function(line, is_error)
    table.insert(is_error and self.errors or self.lines, line)
  end)
  return self
end

--- What it has written so far, both streams.
---@return string
function Program:dump()
  return ("--- %s ---\n%s\n%s\n---\n"):format(self.arguments[1], table.concat(self.lines, "\n"),
    table.concat(self.errors, "\n"))
end

function Program:close()
  state.forget(self)
  self.process:kill(SIGKILL)
  self.process:wait()
end

--- Waits for a line of standard output that matches, and returns what the pattern captures.
---@param pattern string
function Program:wait_line(pattern)
  local function find()
    for _, line in ipairs(self.lines) do
      if line:find(pattern) then
        return line
      end
    end
  end
  local ok = pcall(t.wait_until, find, pattern)
  return (ok and find() or error(("no line %s\n%s"):format(pattern, self:dump()), 2)):match(pattern)
end

--- Runs a program to its end, within `seconds`.
---@param arguments string[]  the program first
---@param seconds number?  twice what a test waits unless given
---@return { code: integer, output: string, errors: string }
function M.run(arguments, seconds)
  local limit = math.ceil(seconds or 2 * state.patience())
  local self = start({ "timeout", "-k", "1", tostring(limit), unpack(arguments) })
  local code = self.process:join()
  return { code = code, output = table.concat(self.lines, "\n"),
    errors = table.concat(self.errors, "\n") }
end

--- Runs a command line of the shell, whose words `$1`, `$2` … are given.
---@param command string
---@param ... string|integer
function M.shell(command, ...)
  local words = { "sh", "-c", command, "sh" }
  for i, word in ipairs({ ... }) do
    words[4 + i] = tostring(word)
  end
  return M.run(words)
end

--- Asks a gateway by curl over TLS.
---@param gateway { https_port: integer }
---@param place string  the host, and a path where that is not "/"
---@param ... string  further words of curl
---@return { code: integer, output: string, errors: string }
function M.curl(gateway, place, ...)
  local host, path = place:match("^([^/]+)(.*)$")
  local port = gateway.https_port
  local arguments = { "curl", "-q", "-sk", "--resolve", ("%s:%d:127.0.0.1"):format(host, port),
    ("https://%s:%d%s"):format(host, port, path ~= "" and path or "/") }
  for _, word in ipairs({ ... }) do
    table.insert(arguments, word)
  end
  return M.run(arguments)
end

--- Starts a server, which prints `port N` when it listens; ends with the file.
---@param arguments string[]
---@return table program  its `port` is a number
function M.serve(arguments)
  local self = start(arguments)
  state.keep(self)
  state.dump_on_failure(self)
  self.port = tonumber((self:wait_line("^port (%d+)$")))
  return self
end

return M
