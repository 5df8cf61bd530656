-- SPDX-License-Identifier: Apache-2.0
-- Tracing of an Ingress's requests, as configuration of the plugin opentelemetry.
local model = require("moongate.control.model")
local services = require("moongate.control.translate.services")
local tracing = require("moongate.control.model.tracing")

local M = {}

local NAME = "enable-opentelemetry"
local NOWHERE = "spans go nowhere; set otlp-collector-host to a collector of OTLP"

--- Tells of a gateway that traces everything, for nobody.
---@param context table
function M.judge(context)
  local settings = context.settings
  if settings[NAME] and not tracing.endpoint(settings) then
    context.complain_setting(NAME, NOWHERE, "warning")
  end
end

local function complain(context, ingress)
  local path = { "metadata", "annotations", context.notes.prefix .. NAME }
  local fault = model.fault(context.faults, ingress.object, "warning", path, NOWHERE)
  fault.annotation, fault.code = NAME, "no_effect"
end

--- Nil where nothing is traced.
---@param context table
---@param ingress moongate.Ingress?  nil: a location of the gateway's own
---@return table?
function M.of(context, ingress)
  local values = ingress and ingress.notes.values or context.notes.defaults
  local config = tracing.config(context.settings, values)
  if not config then
    return nil
  elseif config.endpoint then
    config.service = services.use_url(context, config.endpoint, "grpc")
  elseif ingress and ingress.notes.given[NAME] then
    complain(context, ingress)
  end
  return config
end

return M
