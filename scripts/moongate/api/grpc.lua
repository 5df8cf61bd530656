-- SPDX-License-Identifier: Apache-2.0
--
-- mg.grpc: calls of gRPC with one message each way, over mg.http. Messages are bytes; mg.protobuf
-- writes and reads them.
local base64 = require("moongate.api.base64")
local http = require("moongate.api.http")
local url = require("moongate.api.url")

local M = {}

--- Codes of grpc-status by number, in the words that errors have here.
M.CODES = { [0] = "ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded",
  "not_found", "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
  "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss",
  "unauthenticated" }

-- What a status of HTTP means where nobody of gRPC has answered.
local BY_STATUS = { [400] = "internal", [401] = "unauthenticated", [403] = "permission_denied",
  [404] = "unimplemented", [429] = "unavailable", [502] = "unavailable", [503] = "unavailable",
  [504] = "unavailable" }

local function framed(message)
  local n = #message
  return string.char(0, math.floor(n / 2 ^ 24), math.floor(n / 2 ^ 16) % 256,
    math.floor(n / 2 ^ 8) % 256, n % 256) .. message
end

local function unframed(body)
  if #body < 5 or body:byte(1) ~= 0 then
    return nil
  end
  local a, b, c, d = body:byte(2, 5)
  local length = ((a * 256 + b) * 256 + c) * 256 + d
  return #body == length + 5 and body:sub(6) or nil
end

-- google.rpc.Status as bytes; its base64 may come without padding.
local function details_of(field)
  local text = field and field:gsub("=+$", "")
  return text and base64.decode(text .. ("="):rep(-#text % 4)) or nil
end

-- A field of the trailers, which an answer without a message has in its head.
local function field_of(response, name)
  return response.trailers[name] or response.headers[name]
end

local function outcome(response)
  local status = field_of(response, "grpc-status")
  if response.status ~= 200 and not status then
    return nil, "status " .. response.status, BY_STATUS[response.status] or "unknown"
  end
  local code = M.CODES[tonumber(status)] or "unknown"
  if code ~= "ok" then
    local message = url.unescape(field_of(response, "grpc-message") or "")
    local text = ("grpc-status %s: %s"):format(status or "is missing", message)
    return nil, text, code, details_of(field_of(response, "grpc-status-details-bin"))
  end
  local message = unframed(response.body)
  if not message then
    return nil, "the answer is not one message without compression", "internal"
  end
  return message
end

--- Calls a method and waits for its answer.
---
--- Errors: the codes of gRPC in lower case, such as `unavailable`, and those of mg.http.request;
--- with one of gRPC perhaps the bytes of a google.rpc.Status.
---@param server string   a URL without path: grpc://host:port, or grpcs:// over TLS
---@param method string   /package.Service/Method
---@param message string  bytes
---@param options moongate.HttpRequest?  `timeout`, `max_body`, `service`, `tls`, `headers`
---@return string? message
---@return string? err
---@return string? code
---@return string? details
function M.call(server, method, message, options)
  local request = {}
  for key, value in pairs(options or {}) do
    request[key] = value
  end
  request.url, request.method, request.body = server .. method, "POST", framed(message)
  request.headers = { ["content-type"] = "application/grpc", te = "trailers" }
  for name, value in pairs(options and options.headers or {}) do
    request.headers[name] = value
  end
  local response, err, code = http.request(request)
  if not response then
    return nil, err, code
  end
  return outcome(response)
end

return M
