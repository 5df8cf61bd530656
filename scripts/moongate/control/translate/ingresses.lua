-- SPDX-License-Identifier: Apache-2.0
-- The Ingresses that count, oldest first, each with its annotations read and its paths judged.
local annotations = require("moongate.control.translate.annotations")
local class = require("moongate.control.translate.class")
local model = require("moongate.control.model")

local M = {}

---@class moongate.Ingress
---@field object moongate.Object
---@field notes moongate.Notes
---@field rules { host: string, paths: table[]? }[]  host "*": any
---@field conformant boolean?  no redirect to a missing slash

-- Every key of an Ingress's annotations that is ours belongs to this prefix.
local PREFIX = "nginx.ingress.kubernetes.io"

-- Oldest first; of equal age the greater namespace/name first, as ingress-nginx sorts.
local function is_before(left, right)
  local a = left.value.metadata.creationTimestamp or ""
  local b = right.value.metadata.creationTimestamp or ""
  if a ~= b then
    return a < b
  end
  return left.key > right.key
end

local function sorted(store)
  local list = {}
  for _, object in pairs(store.objects.Ingress) do
    list[#list + 1] = object
  end
  table.sort(list, is_before)
  return list
end

-- Exact and Prefix paths may hold only these characters, unless the setting says otherwise.
local function paths_are_strict(context, object)
  local right = true
  for r, rule in ipairs(object.value.spec.rules or {}) do
    for p, path in ipairs(rule.http and rule.http.paths or {}) do
      local text = path.path or "/"
      if path.pathType ~= "ImplementationSpecific" and not text:find("^/[%w._/-]*$") then
        right = false
        local where = { "spec", "rules", r, "http", "paths", p, "path" }
        local message = ("path %s cannot be used with pathType %s; use ImplementationSpecific, "
          .. "or only letters, digits and . _ / -"):format(text, path.pathType)
        model.fault(context.faults, object, "error", where, message).code = "path"
      end
    end
  end
  return right
end

local function rules_of(object)
  local rules = {}
  for r, rule in ipairs(object.value.spec.rules or {}) do
    local made = { host = rule.host ~= "" and rule.host or "*" }
    if rule.http then
      made.paths = {}
      for p, path in ipairs(rule.http.paths) do
        made.paths[p] = {
          path = path.path and path.path ~= "" and path.path or "/",
          exact = path.pathType == "Exact",
          backend = path.backend,
          field = { "spec", "rules", r, "http", "paths", p },
        }
      end
    end
    rules[r] = made
  end
  return rules
end

local function take(context, object, own_class)
  local notes = annotations.read(context.notes, object)
  if notes.dropped then
    return nil
  end
  if context.settings["strict-validate-path-type"] and not paths_are_strict(context, object) then
    return nil
  end
  return {
    object = object,
    notes = notes,
    canary = notes.values.canary,
    rules = rules_of(object),
    conformant = own_class or context.settings["path-mode"] == "conformance",
  }
end

--- Chooses, sorts and reads.
---@param context table  store, flags, settings, faults; `notes` is added to it
---@return moongate.Ingress[]
function M.collect(context)
  context.notes = {
    prefix = (context.flags["annotations-prefix"] or PREFIX) .. "/",
    defaults = annotations.defaults(context.settings),
    settings = context.settings,
    flags = context.flags,
    faults = context.faults,
  }
  local watched = context.flags["watch-namespace"]
  local ingresses = {}
  for _, object in ipairs(sorted(context.store)) do
    if not watched or watched == "" or object.namespace == watched then
      local ours, own_class = class.judge(context, object)
      ingresses[#ingresses + 1] = ours and take(context, object, own_class) or nil
    end
  end
  return ingresses
end

return M
