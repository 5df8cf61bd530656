-- SPDX-License-Identifier: Apache-2.0
-- Tracing, as the settings say, for the plugin opentelemetry.
local M = {}

local SAMPLERS = {
  AlwaysOn = "always_on",
  AlwaysOff = "always_off",
  TraceIdRatioBased = "trace_id_ratio",
}

--- Where the collector is; nil where none is named.
---@param settings table<string, any>  typed
---@return string? url
function M.endpoint(settings)
  local host = settings["otlp-collector-host"]
  if host == "" then
    return nil
  end
  local form = host:find(":", 1, true) and "http://[%s]:%s" or "http://%s:%s"
  return form:format(host, settings["otlp-collector-port"])
end

--- Nil where nothing is traced. What `values` holds is of a route, the rest of the gateway.
---@param settings table<string, any>  typed
---@param values table<string, any>    annotations, or the settings again
---@return table?
function M.config(settings, values)
  if not values["enable-opentelemetry"] then
    return nil
  end
  local name, service_name = values["opentelemetry-operation-name"], settings["otel-service-name"]
  return {
    endpoint = M.endpoint(settings),
    service_name = service_name ~= "" and service_name or nil,
    operation_name = name[1] and name or nil,
    trust_incoming = values["opentelemetry-trust-incoming-span"],
    sampler = SAMPLERS[settings["otel-sampler"]],
    ratio = settings["otel-sampler-ratio"],
    parent_based = settings["otel-sampler-parent-based"],
    queue = settings["otel-max-queuesize"],
    batch = settings["otel-max-export-batch-size"],
    delay = settings["otel-schedule-delay-millis"] / 1000,
  }
end

return M
