-- SPDX-License-Identifier: Apache-2.0
-- The Ingresses that count, oldest first, each with its annotations read and its paths judged.
local annotations = require("moongate.control.translate.annotations")
local class = require("moongate.control.translate.class")
local memory = require("moongate.control.translate.memory")
local model = require("moongate.control.model")
local selector = require("moongate.control.model.selector")

local M = {}

---@class moongate.Ingress
---@field object moongate.Object
---@field notes moongate.Notes
---@field rules { host: string, paths: table[]? }[]  host "*": any
---@field conformant boolean?  no redirect to a missing slash

-- Every key of an Ingress's annotations that is ours belongs to this prefix.
local PREFIX = "nginx.ingress.kubernetes.io"

--- Oldest first; of equal age the greater namespace/name first, as ingress-nginx sorts.
function M.is_before(left, right)
  local a = left.value.metadata.creationTimestamp or ""
  local b = right.value.metadata.creationTimestamp or ""
  if a ~= b then
    return a < b
  end
  return left.key > right.key
end

-- The order of last time, with what is new behind it, and how much that is.
local function nearly_sorted(all, keys)
  local list, seen, new = {}, {}, 0
  for _, key in ipairs(keys) do
    list[#list + 1] = all[key]
    seen[key] = true
  end
  for key, object in pairs(all) do
    if not seen[key] then
      list[#list + 1] = object
      new = new + 1
    end
  end
  return list, new
end

-- Few have moved since: each goes back to its place. Many new ones are sorted with the rest.
local FEW = 64

local function sorted(context)
  local list, new = nearly_sorted(context.store.all.Ingress, context.memory.order or {})
  if new > FEW then
    table.sort(list, M.is_before)
  end
  local order = {}
  for i, object in ipairs(list) do
    local at = i
    while at > 1 and M.is_before(object, list[at - 1]) do
      list[at] = list[at - 1]
      at = at - 1
    end
    list[at] = object
  end
  for i, object in ipairs(list) do
    order[i] = object.key
  end
  context.memory.order = order
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
        local message = ("path %s cannot be used with pathType %s, so the Ingress is not loaded; "
          .. "use ImplementationSpecific, or strict-validate-path-type: \"false\" in the ConfigMap")
          :format(text, path.pathType)
        model.fault(context.faults, object, "error", where, message).code = "path"
      end
    end
  end
  return right
end

--- The host of a rule; "*" is any.
---@param rule table  of an Ingress
---@return string
function M.host_of(rule)
  return rule.host ~= "" and rule.host or "*"
end

local function rules_of(object)
  local rules = {}
  for r, rule in ipairs(object.value.spec.rules or {}) do
    local made = { host = M.host_of(rule) }
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

--- The prefix of annotations, with its slash.
---@param flags table<string, any>
function M.prefix(flags)
  return (flags["annotations-prefix"] or PREFIX) .. "/"
end

-- By namespace: whether the flags want what is in it.
local function watches(context)
  local one, text = context.flags["watch-namespace"], context.flags["watch-namespace-selector"]
  local selects, err = selector.read(text or "")
  if err then
    context.faults[#context.faults + 1] = { severity = "error", code = "flag", object = "flags",
      field = "--watch-namespace-selector",
      message = model.shorten(err .. "; no Ingress is served until it is right") }
  end
  local namespaces, known = context.store.objects.Namespace, {}
  return function(name)
    if one and one ~= "" then
      return name == one
    elseif known[name] == nil then
      local object = namespaces[name]
      known[name] = selects ~= nil and selects(object and object.value.metadata.labels or {})
    end
    return known[name]
  end
end

local function is_catch_all(object)
  local spec = object.value.spec
  return spec.defaultBackend ~= nil and not (spec.rules and spec.rules[1])
end

--- Tells whether an Ingress is the alternative of another.
---@param context table  flags
---@param object moongate.Object
---@return boolean
function M.is_canary(context, object)
  local written = object.value.metadata.annotations
  return written ~= nil and annotations.is_canary(M.prefix(context.flags), written)
end

--- Tells whether an Ingress is ours.
---@param context table  store, flags, faults
---@param object moongate.Object
---@return boolean ours
---@return boolean? own_class  its class is the gateway's own, not that of ingress-nginx
function M.judge(context, object)
  context.watches = context.watches or watches(context)
  if not context.watches(object.namespace)
    or context.flags["disable-catch-all"] and is_catch_all(object) then
    return false
  end
  return class.judge(context, object)
end

-- Of an Ingress of wrong shape nothing counts but its hosts and paths, which answer 503, whatever
-- else may be wrong. As the alternative of another it serves nothing.
local function read_denied(notes, object)
  notes.denied = object.denied
  if not notes.canary then
    return notes, rules_of(object)
  end
end

-- Its annotations and rules; nothing when it must not be loaded.
local function read(context, object)
  local notes = annotations.read(context.notes, object)
  if object.denied then
    return read_denied(notes, object)
  end
  local strict = context.settings["strict-validate-path-type"]
  if not notes.dropped and (not strict or paths_are_strict(context, object)) then
    return notes, rules_of(object)
  end
end

local function take(context, object, own_class)
  local record = context.memory:ingress(object)
  if record then
    memory.repeat_notes(context, record)
  else
    record = memory.note(context, read, context, object)
    context.memory:keep_ingress(object, record)
  end
  local notes, rules = record.values[1], record.values[2]
  return notes and {
    object = object,
    notes = notes,
    canary = notes.values.canary,
    rules = rules,
    conformant = own_class or context.settings["path-mode"] == "conformance",
  } or nil
end

--- Chooses, sorts and reads.
---@param context table  store, flags, settings, faults; `notes` is added to it
---@param objects moongate.Object[]?  sorted; all unless given
---@return moongate.Ingress[]
function M.collect(context, objects)
  context.notes = {
    prefix = M.prefix(context.flags),
    defaults = annotations.defaults(context.settings),
    settings = context.settings,
    flags = context.flags,
    faults = context.faults,
  }
  local ingresses = {}
  for _, object in ipairs(objects or sorted(context)) do
    local from = #context.faults
    local ours, own_class = M.judge(context, object)
    ingresses[#ingresses + 1] = ours and take(context, object, own_class) or nil
    memory.told(context, object, from)
  end
  return ingresses
end

return M
