-- SPDX-License-Identifier: Apache-2.0
--
-- Hands spans to a collector by OTLP over gRPC, from a queue in this worker that all configurations
-- of one collector share.
local mg = require("moongate")
local span = require("plugins.opentelemetry.span")

local M = {}

local METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
local ANSWER_BYTES = "64k"

local spans = mg.metrics.counter("moongate_opentelemetry_spans_total", {
  help = "Spans: exported, rejected by the collector, dropped as the queue is full, or given up.",
  labels = { "result" },
})
local EXPORTED, REJECTED, DROPPED, FAILED = { result = "exported" }, { result = "rejected" },
  { result = "dropped" }, { result = "failed" }

-- After which failures OTLP has a batch sent again; the last ones are of the connection, as are
-- those of a name that does not resolve. What has no room any more is sent again only where the
-- collector says when.
local AGAIN = {}
for _, code in ipairs({ "cancelled", "deadline_exceeded", "aborted", "out_of_range", "unavailable",
  "data_loss", "timeout", "connect", "upstream_closed", "no_endpoint" }) do
  AGAIN[code] = true
end
local WHERE_TOLD = "resource_exhausted"

local function may_repeat(code, wait)
  if AGAIN[code] or code:find("^eai_") then
    return wait or true
  end
  return code == WHERE_TOLD and wait
end

-- --- what collectors answer ------------------------------------------------------

local RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
local WAIT_SECONDS_MAX = 60

-- A field that holds a message.
local function message_at(fields, number)
  local value = fields and fields[number] and fields[number][1]
  return type(value) == "string" and mg.protobuf.read(value) or nil
end

-- google.protobuf.Duration: seconds 1, nanos 2.
local function seconds_of(duration)
  local seconds, nanos = duration[1] and duration[1][1] or 0, duration[2] and duration[2][1] or 0
  local is_number = type(seconds) == "number" and type(nanos) == "number"
  return is_number and math.min(seconds + nanos / 1e9, WAIT_SECONDS_MAX) or nil
end

-- google.rpc.Status: details 3, a list of Any: type_url 1, value 2; RetryInfo: retry_delay 1.
local function wait_of(details)
  local status = details and mg.protobuf.read(details)
  for _, any in ipairs(status and status[3] or {}) do
    local fields = type(any) == "string" and mg.protobuf.read(any)
    if fields and fields[1] and fields[1][1] == RETRY_INFO then
      local duration = message_at(message_at(fields, 2), 1)
      return duration and seconds_of(duration)
    end
  end
end

-- ExportTraceServiceResponse: partial_success 1, of rejected_spans 1 and error_message 2.
local function rejected_of(answer)
  local partial = message_at(mg.protobuf.read(answer), 1)
  local count, why = partial and partial[1] and partial[1][1], partial and partial[2]
  return type(count) == "number" and count or 0, why and tostring(why[1]) or ""
end

-- --- sending ---------------------------------------------------------------------

local MESSAGE_MAX = 200 -- bytes of a collector's words that go into the log

local function lost(exporter, count, result, why)
  spans:add(count, result)
  mg.log.warn("opentelemetry_spans_lost", {
    collector = exporter.server,
    count = count,
    result = result.result,
    error = mg.protobuf.text(why, MESSAGE_MAX),
  })
end

local function send(exporter, batch, seconds)
  local answer, err, code, details = mg.grpc.call(exporter.server, METHOD,
    span.request(exporter.resource, batch), {
      service = exporter.service,
      timeout = math.min(exporter.timeout, seconds or math.huge),
      max_body = ANSWER_BYTES,
    })
  if not answer then
    return nil, ("%s: %s"):format(code, err), may_repeat(code, wait_of(details))
  end
  local rejected, why = rejected_of(answer)
  rejected = math.min(rejected, #batch)
  if rejected > 0 then
    lost(exporter, rejected, REJECTED, why)
  end
  spans:add(#batch - rejected, EXPORTED)
  return true
end

-- --- exporters -------------------------------------------------------------------

local exporters = setmetatable({}, { __mode = "v" }) -- as long as a configuration or a task has one

local function server_of(endpoint)
  return (endpoint:gsub("^http", "grpc"):gsub("/$", ""))
end

local function resource_of(conf)
  local attributes = { ["service.name"] = conf.service_name }
  for name, value in pairs(conf.resource or {}) do
    attributes[name] = value
  end
  return span.resource(attributes)
end

local function new(conf, server, resource)
  local exporter = { server = server, resource = resource, service = conf.service,
    timeout = conf.timeout }
  exporter.queue = mg.queue.new({
    max_entries = conf.queue,
    batch_max = conf.batch,
    linger = conf.delay,
    send = function(batch, seconds)
      return send(exporter, batch, seconds)
    end,
    on_drop = function(count, why)
      lost(exporter, count, FAILED, why)
    end,
  })
  return exporter
end

--- The one that a configuration asks for.
---@param conf table  of the plugin
---@return table exporter
function M.of(conf)
  local server, resource = server_of(conf.endpoint), resource_of(conf)
  local key = table.concat({ server, conf.service or "", conf.queue, conf.batch, conf.delay,
    conf.timeout, resource }, "\0")
  local exporter = exporters[key] or new(conf, server, resource)
  exporters[key] = exporter
  return exporter
end

--- Takes a span; false when there is no room for it.
---@param exporter table
---@param bytes string  of span.encode
---@return boolean
function M.push(exporter, bytes)
  if exporter.queue:push(bytes) then
    return true
  end
  spans:add(1, DROPPED)
  return false
end

--- Hands on what is there, at the end of a worker.
---@param seconds number  for all of them
function M.flush(seconds)
  local tasks = {}
  for _, exporter in pairs(exporters) do
    tasks[#tasks + 1] = mg.task.spawn(exporter.queue.flush, exporter.queue, seconds)
  end
  mg.task.join(tasks, seconds + 1)
end

return M
