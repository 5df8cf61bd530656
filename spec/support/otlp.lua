-- SPDX-License-Identifier: Apache-2.0
--
-- A collector of OTLP over gRPC that a spec scripts, on `spec.support.h2_upstream`. What it takes
-- apart is what it was sent; that others read the same is for spec/interop.
local h2_upstream = require("spec.support.h2_upstream")
local mg = require("moongate")
local t = require("moongate.test")

local M = {}

M.PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

local Collector = {}
Collector.__index = Collector

local function read(bytes)
  return assert(mg.protobuf.read(bytes))
end

local function attributes_of(list)
  local map = {}
  for _, bytes in ipairs(list or {}) do
    local pair = read(bytes)
    local value = read(pair[2][1])
    map[pair[1][1]] = value[1] and value[1][1] or value[3][1]
  end
  return map
end

local function nanoseconds(bytes)
  local number = 0
  for i = #bytes, 1, -1 do
    number = number * 256 + bytes:byte(i)
  end
  return number
end

local function first(fields, number)
  return fields[number] and fields[number][1]
end

local function span_of(bytes)
  local fields = read(bytes)
  local status = first(fields, 15)
  return {
    trace = mg.crypto.hex(first(fields, 1)),
    span = mg.crypto.hex(first(fields, 2)),
    state = first(fields, 3),
    parent = fields[4] and mg.crypto.hex(first(fields, 4)),
    name = first(fields, 5),
    kind = first(fields, 6),
    began = nanoseconds(first(fields, 7)) / 1e9,
    ended = nanoseconds(first(fields, 8)) / 1e9,
    attributes = attributes_of(fields[9]),
    status = status and read(status)[3][1] or 0,
    flags = nanoseconds(first(fields, 16)),
  }
end

--- The spans of a message, each with the attributes of its `resource`.
---@param body string  of a request of gRPC
---@return table[]
function M.spans_of(body)
  local spans = {}
  for _, resource_spans in ipairs(read(body:sub(6))[1] or {}) do
    local fields = read(resource_spans)
    local resource = attributes_of(read(first(fields, 1))[1])
    for _, scope_spans in ipairs(fields[2]) do
      for _, bytes in ipairs(read(scope_spans)[2]) do
        local span = span_of(bytes)
        span.resource = resource
        spans[#spans + 1] = span
      end
    end
  end
  return spans
end

--- An answer without a message.
---@param code integer   of gRPC
---@param text string?
---@param details string?  bytes of a google.rpc.Status
function M.failure(code, text, details)
  return { headers = {
    ["content-type"] = "application/grpc",
    ["grpc-status"] = tostring(code),
    ["grpc-message"] = text,
    ["grpc-status-details-bin"] = details and mg.base64.encode(details):gsub("=+$", ""),
  } }
end

--- An answer with a message.
---@param message string?  bytes
function M.success(message)
  message = message or ""
  return {
    headers = { ["content-type"] = "application/grpc" },
    body = "\0\0\0\0" .. string.char(#message) .. message,
    trailers = { ["grpc-status"] = "0" },
  }
end

--- A google.rpc.Status that says after how many seconds to come back.
function M.retry_info(seconds)
  local pb = mg.protobuf
  local info = pb.bytes(1, pb.number(1, math.floor(seconds))
    .. pb.number(2, math.floor(seconds % 1 * 1e9)))
  return pb.number(1, 8) .. pb.bytes(3, pb.bytes(1, "type.googleapis.com/google.rpc.RetryInfo")
    .. pb.bytes(2, info))
end

--- The spans of all messages so far, those that were refused too.
---@return table[]
function Collector:spans()
  local all = {}
  for _, request in ipairs(self.upstream.requests) do
    for _, span in ipairs(M.spans_of(request.body)) do
      all[#all + 1] = span
    end
  end
  return all
end

--- Waits for as many spans.
---@param count integer
---@return table[]
function Collector:wait(count)
  t.wait_until(function()
    return #self:spans() >= count
  end, count .. " spans at the collector")
  return self:spans()
end

--- How many messages came.
function Collector:calls()
  return #self.upstream.requests
end

--- How calls are answered from now on.
---@param answer table|fun(call: integer): table
function Collector:answer(answer)
  self.upstream:answer(function()
    return type(answer) == "function" and answer(#self.upstream.requests) or answer
  end)
end

function Collector:close()
  self.upstream:close()
end

function M.new()
  local upstream = h2_upstream.new()
  local self = setmetatable({ upstream = upstream, port = upstream.port }, Collector)
  self.url = "http://127.0.0.1:" .. upstream.port
  self:answer(M.success())
  return self
end

return M
