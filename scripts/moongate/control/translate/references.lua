-- SPDX-License-Identifier: Apache-2.0
-- Secrets and ConfigMaps that annotations name. One in another namespace is refused unless
-- allow-cross-namespace-resources permits it; whoever cannot have its object denies the location.
local model = require("moongate.control.model")

local M = {}

--- Why there is no such object: it does not exist, or it is wrong and has told so itself.
---@param context table
---@param kind string
---@param key string  "namespace/name", or the name where the kind has no namespace
---@return string why
---@return "missing"? code
function M.absence(context, kind, key)
  if context.store.broken[kind .. " " .. key] then
    return "is not right; see its own fault"
  end
  return "does not exist", "missing"
end

local function complain_flag(context, flag, message, code)
  context.faults[#context.faults + 1] =
    { severity = "error", object = "--" .. flag, code = code or "flag", message = message }
end

--- What a flag names as `namespace/name`; nil: nothing, or a text that is none, which is a fault.
---@param context table
---@param flag string
---@param kind string
---@param consequence string  of that
---@return string?
function M.key_of_flag(context, flag, kind, consequence)
  local key = context.flags[flag]
  if type(key) ~= "string" or key == "" then
    return nil
  elseif not key:find("^[^/]+/[^/]+$") then
    return complain_flag(context, flag, ("%q is no namespace/name of a %s; %s"):format(key, kind,
      consequence), "missing")
  end
  return key
end

--- The object that a flag names; nil: none is named, or it is not there, which is a fault.
---@param context table
---@param flag string
---@param kind string
---@param consequence string  of its absence
---@return moongate.Object?
function M.of_flag(context, flag, kind, consequence)
  local key = M.key_of_flag(context, flag, kind, consequence)
  local object = key and context.store.objects[kind][key]
  if not key then
    return nil
  end
  if not object then
    local why, code = M.absence(context, kind, key)
    complain_flag(context, flag, ("%s %s %s; %s"):format(kind, key, why, consequence), code)
  end
  return object
end

-- Where each key counts, one that is wrong is not left out in silence.
local function wrong_key_of(object)
  local key = object.kind == "ConfigMap" and model.keys(object.wrong_data)[1]
  return key and ("key %s of %s is not right; see its own fault"):format(key, object.title) or nil
end

--- Finds the object that an annotation names, and notes nothing.
---@param context table
---@param ingress moongate.Ingress
---@param name string   the annotation, without prefix
---@param kind "Secret"|"ConfigMap"|"Service"
---@return moongate.Object? object  a ConfigMap has all of its keys
---@return string? err  nil when the annotation is not given
---@return "missing"? code  there is no such object
function M.find(context, ingress, name, kind)
  local reference = ingress.notes.values[name]
  if not reference then
    return nil
  end
  local namespace = reference.namespace or ingress.object.namespace
  local key = namespace .. "/" .. reference.name
  local object = context.store.objects[kind][key]
  local cross = context.settings["allow-cross-namespace-resources"]
  if namespace ~= ingress.object.namespace and not cross then
    return nil, ("%s %s is in another namespace, which allow-cross-namespace-resources "
      .. "forbids"):format(kind, key)
  elseif not object then
    local why, code = M.absence(context, kind, key)
    return nil, ("%s %s %s"):format(kind, key, why), code
  end
  local wrong = wrong_key_of(object)
  if wrong then
    return nil, wrong
  end
  return object
end

--- As `find`; that there is an error is noted as the reason why the location is denied.
---@return moongate.Object? object
---@return string? err  nil when the annotation is not given; the fault is already noted
function M.of(context, ingress, name, kind)
  local object, err, code = M.find(context, ingress, name, kind)
  if err then
    M.deny(context, ingress, name, err, code)
  end
  return object, err
end

--- Notes that a location is denied for what an annotation says.
---@param context table
---@param ingress moongate.Ingress
---@param name string
---@param err string
---@param code string?  "denied" unless given
function M.deny(context, ingress, name, err, code)
  local path = { "metadata", "annotations", context.notes.prefix .. name }
  local message = err .. "; its paths answer 503"
  local fault = model.fault(context.faults, ingress.object, "error", path, message)
  fault.annotation, fault.code = name, code or "denied"
end

return M
