-- SPDX-License-Identifier: Apache-2.0
-- Error pages of a location: default-backend, custom-http-errors and their kin.
local model = require("moongate.control.model")
local references = require("moongate.control.translate.references")
local services = require("moongate.control.translate.services")

local M = {}

local function complain(context, ingress, name, code, message)
  local path = { "metadata", "annotations", context.notes.prefix .. name }
  local fault = model.fault(context.faults, ingress.object, "warning", path, message)
  fault.annotation, fault.code = name, code
end

-- The Service that the annotation names, which is one of the Ingress's namespace; or nil.
local function own_service(context, ingress)
  local reference = ingress.notes.values["default-backend"]
  local key = reference and ingress.object.namespace .. "/" .. reference.name
  local object = key and context.store.objects.Service[key]
  if key and not object then
    local why, code = references.absence(context, "Service", key)
    complain(context, ingress, "default-backend", code or "backend",
      ("Service %s %s, so that the gateway's own is asked%s"):format(key, why,
        code and "; create it" or ""))
  end
  if not object then
    return nil
  end
  local port = (object.value.spec.ports or {})[1]
  return services.use_named(context, {
    namespace = object.namespace,
    name = object.name,
    port = port and port.port or 80,
    protocol = "http",
  })
end

local function service_of(context, own)
  local default = not own and context.default_backend
  return own or default and services.use_default(context, default) or nil
end

-- What the pages are told of the location.
local function headers_of(ingress, backend)
  local port = backend.port or {}
  return {
    ["X-Namespace"] = ingress.object.namespace,
    ["X-Ingress-Name"] = ingress.object.name,
    ["X-Service-Name"] = backend.name,
    ["X-Service-Port"] = port.number and tostring(port.number) or port.name,
  }
end

-- Nil for an empty list.
local function statuses_of(values)
  local statuses = values["custom-http-errors"]
  return statuses and statuses[1] and statuses or nil
end

--- Configuration of the plugin error-pages.
---@param context table
---@param location table
---@param main string?  service of the location
---@return table?
function M.of(context, location, main)
  local ingress = location.ingress
  local values = ingress.notes.values
  local own, statuses = own_service(context, ingress), statuses_of(values)
  if not statuses and not (own and main) then
    return nil
  end
  local service = service_of(context, own)
  if not service then
    if ingress.notes.given["custom-http-errors"] then
      complain(context, ingress, "custom-http-errors", "backend",
        "has no effect without default-backend or --default-backend-service; name a Service")
    end
    return nil
  end
  return {
    service = service,
    statuses = statuses,
    only_own = values["disable-proxy-intercept-errors"] or nil,
    stands_in_for = own and main or nil,
    headers = headers_of(ingress, location.backend and location.backend.service or {}),
  }
end

return M
