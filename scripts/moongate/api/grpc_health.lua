-- SPDX-License-Identifier: Apache-2.0
--
-- The health checking protocol of gRPC: one call, `grpc.health.v1.Health/Check`. Of Protocol
-- Buffers it needs a text as field 1 of the question and a number as field 1 of the answer.
local M = {}

local PATH = "/grpc.health.v1.Health/Check"
local SERVING = 1

local function message(service)
  local body = ""
  if service ~= "" then
    body = "\10" .. string.char(#service) .. service
  end
  return "\0\0\0\0" .. string.char(#body) .. body
end

--- What a check sends. Names of services have at most 127 bytes.
---@param service string?  whose health is asked for; the whole server's by default
---@return table request  of mg.http
---@return string path
function M.request(service)
  return {
    method = "POST",
    headers = { ["content-type"] = "application/grpc", te = "trailers" },
    body = message(service or ""),
  }, PATH
end

--- Whether an answer says SERVING.
---@param response moongate.HttpResponse
---@return boolean ok
---@return string? err
function M.is_good(response)
  if response.status ~= 200 then
    return false, "status " .. response.status
  end
  local code = response:header("grpc-status")
  if code and code ~= "0" then
    return false, "grpc-status " .. code
  end
  local status = response.body:match("^%z%z%z%z\2\8(.)")
  if status and status:byte() == SERVING then
    return true
  end
  return false, "the service does not say SERVING"
end

return M
