-- SPDX-License-Identifier: Apache-2.0
-- Secrets and ConfigMaps that annotations name. One in another namespace is refused unless
-- allow-cross-namespace-resources permits it; whoever cannot have its object denies the location.
local model = require("moongate.control.model")

local M = {}

--- Finds the object that an annotation names.
---@param context table
---@param ingress moongate.Ingress
---@param name string   the annotation, without prefix
---@param kind "Secret"|"ConfigMap"|"Service"
---@return moongate.Object? object
---@return string? err  nil when the annotation is not given; the fault is already noted
function M.of(context, ingress, name, kind)
  local reference = ingress.notes.values[name]
  if not reference then
    return nil
  end
  local namespace = reference.namespace or ingress.object.namespace
  local key = namespace .. "/" .. reference.name
  local err
  local object = context.store.objects[kind][key]
  local cross = context.settings["allow-cross-namespace-resources"]
  if namespace ~= ingress.object.namespace and not cross then
    err = ("%s %s is in another namespace, which allow-cross-namespace-resources forbids"):format(
      kind, key)
  elseif not object then
    err = ("%s %s does not exist"):format(kind, key)
  else
    return object
  end
  M.deny(context, ingress, name, err)
  return nil, err
end

--- Notes that a location is denied for what an annotation says. Once for each annotation.
---@param context table
---@param ingress moongate.Ingress
---@param name string
---@param err string
function M.deny(context, ingress, name, err)
  ingress.reported = ingress.reported or {}
  if ingress.reported[name] then
    return
  end
  ingress.reported[name] = true
  local path = { "metadata", "annotations", context.notes.prefix .. name }
  local message = err .. "; its paths answer 503"
  local fault = model.fault(context.faults, ingress.object, "error", path, message)
  fault.annotation, fault.code = name, "denied"
end

return M
