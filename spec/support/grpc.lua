-- SPDX-License-Identifier: Apache-2.0
--
-- Servers and clients of gRPC's own library (spec/interop/grpc_server.py, grpc_client.py).
local program = require("spec.support.program")

local M = {}

--- Starts a server, that ends with the file.
---@param ... string  its flags
function M.serve(...)
  return program.serve({ program.PYTHON, "spec/interop/grpc_server.py", ... })
end

--- Runs cases one after the other, each on a connection of its own.
---@param port integer
---@param cases string[]  NAME or NAME=ARGUMENT
---@param options { ca: table?, authority: string? }?  ca: speaks TLS, and trusts this authority
---@return table<string, string>  "ok", or what went wrong, by the names of the cases
function M.call(port, cases, options)
  options = options or {}
  local arguments = { program.PYTHON, "spec/interop/grpc_client.py", "127.0.0.1:" .. port,
    "--authority", options.authority or "a.test" }
  if options.ca then
    table.insert(arguments, "--ca=" .. options.ca.certificate_path)
  end
  for _, case in ipairs(cases) do
    table.insert(arguments, case)
  end
  local ran = program.run(arguments, 120)
  local outcome = setmetatable({}, { __index = function(_, name)
    return ("%s has no outcome\n%s%s"):format(name, ran.output, ran.errors)
  end })
  for name in ran.output:gmatch("ok (%S+)") do
    outcome[name] = "ok"
  end
  for name, why in ran.output:gmatch("failed (%S+): ([^\n]*)") do
    outcome[name] = why
  end
  return outcome
end

--- Runs one case; raises when it fails.
---@param case string
---@param options { ca: table?, authority: string? }?
function M.check(port, case, options)
  local outcome = M.call(port, { case }, options)[case:match("^[%w_]+")]
  if outcome ~= "ok" then
    error(outcome, 2)
  end
end

return M
