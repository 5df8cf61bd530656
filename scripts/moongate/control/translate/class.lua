-- SPDX-License-Identifier: Apache-2.0
-- Which Ingresses are ours: by ingressClassName, else by the older annotation, as ingress-nginx
-- judges it.
local model = require("moongate.control.model")
local references = require("moongate.control.translate.references")

local M = {}

local ANNOTATION = "kubernetes.io/ingress.class"

--- Controller of classes whose Ingresses follow the Ingress specification to the letter.
M.OWN_CONTROLLER = "moongate.dev/ingress"

--- Flags that choose the class, with their defaults.
M.DEFAULTS = {
  ["ingress-class"] = "nginx",
  ["controller-class"] = "k8s.io/ingress-nginx",
  ["watch-ingress-without-class"] = false,
  ["ingress-class-by-name"] = false,
}

local function flag(flags, name)
  if flags[name] == nil then
    return M.DEFAULTS[name]
  end
  return flags[name]
end

local function complain_missing(context, object, wanted)
  local why, code = references.absence(context, "IngressClass", wanted)
  local message = ("IngressClass %s %s; until it is, the Ingress is not served"):format(wanted, why)
  if code then
    message = ("there is no IngressClass %s, so the Ingress is not served; add one with "
      .. "controller %s"):format(wanted, flag(context.flags, "controller-class"))
  end
  local path = { "spec", "ingressClassName" }
  model.fault(context.faults, object, "warning", path, message).code = code or "class"
end

local function by_class_name(context, object, wanted)
  local class = context.store.objects.IngressClass[wanted]
  if not class then
    complain_missing(context, object, wanted)
    return false
  end
  local controller = (class.value.spec or {}).controller
  if controller == M.OWN_CONTROLLER then
    return true, true
  end
  local by_name = flag(context.flags, "ingress-class-by-name")
    and wanted == flag(context.flags, "ingress-class")
  return by_name or controller == flag(context.flags, "controller-class")
end

--- Tells whether an Ingress is ours.
---@param context table  store, flags, faults
---@param object moongate.Object
---@return boolean ours
---@return boolean? own_class  its class is the gateway's own, not that of ingress-nginx
function M.judge(context, object)
  local wanted = object.value.spec.ingressClassName
  if wanted then
    return by_class_name(context, object, wanted)
  end
  local annotations = object.value.metadata.annotations or {}
  local written = annotations[ANNOTATION]
  if written then
    return written == "" or written == flag(context.flags, "ingress-class")
  end
  return flag(context.flags, "watch-ingress-without-class") == true
end

return M
