-- SPDX-License-Identifier: Apache-2.0
--
-- What `moongate check` finds beyond the faults of translation: routes that nobody reaches,
-- services without endpoints, patterns that may run away, certificates that end.
local ffi = require("ffi")

local C = require("moongate.api.core")
local annotations = require("moongate.control.translate.annotations")
local expiry = require("moongate.control.expiry")
local ingresses = require("moongate.control.translate.ingresses")
local pattern = require("moongate.check.pattern")
local reach = require("moongate.check.reach")

local M = {}

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function title_of(source, fallback)
  if source and source.kind and source.name then
    local namespace = source.namespace and source.namespace .. "/" or ""
    return ("%s %s%s"):format(source.kind, namespace, source.name)
  end
  return source and source.kind == "Script" and "mg.route" or fallback
end

local function warn(faults, item, code, message)
  local source = item.source or {}
  faults[#faults + 1] = {
    severity = "warning",
    object = title_of(source, item.id or item.name),
    file = source.file,
    line = source.line,
    code = code,
    message = message,
  }
end

-- --- routes ------------------------------------------------------------------

local function judge_pattern(faults, item, text, insensitive, what)
  local why = pattern.judge(text, insensitive)
  if why then
    warn(faults, item, "pattern", ("%s %q may backtrack without bound: %s; requests for which it "
      .. "takes too much effort are answered with 500; make the repetitions exclude each "
      .. "other"):format(what, text, why))
  end
end

local function judge_patterns(faults, item)
  if item.path.type == "regex" then
    judge_pattern(faults, item, item.path.value, item.path.insensitive, "path")
  end
  local lists = { header = item.headers or {}, ["query parameter"] = item.query or {} }
  for what, list in pairs(lists) do
    for _, condition in ipairs(list) do
      if condition.type == "regex" then
        judge_pattern(faults, item, condition.value, false, what .. " " .. condition.name)
      end
    end
  end
end

local function place_of(source)
  if not source or not source.file then
    return ""
  end
  return (" (%s%s)"):format(source.file, source.line and ":" .. source.line or "")
end

local function judge_reach(faults, judged, host, item, by_id)
  local id, path = reach.obstacle(judged.snapshot, host, item)
  local other = id and by_id[id]
  if not other then
    return
  end
  local same = other.path.type == item.path.type and other.path.value == item.path.value
  local why = same and "has the same host and path and comes first" or "comes first for " .. path
  local place = place_of(other.source)
  warn(faults, item, "unreachable", ("route %q is never reached: %q%s %s; remove one of them, or "
    .. "tell them apart by path, method or header"):format(item.id, id, place, why))
end

-- Aliases share one table of routes, which is judged once.
local function judge_routes(faults, judged)
  local seen = {}
  for _, host in ipairs(sorted_keys(judged.model.hosts)) do
    local routes = judged.model.hosts[host].routes
    if not seen[routes] then
      seen[routes] = true
      local by_id = {}
      for _, item in ipairs(routes) do
        by_id[item.id] = item
      end
      for _, item in ipairs(routes) do
        judge_patterns(faults, item)
        if item.service then -- others are what the gateway adds, such as the rest of a host
          judge_reach(faults, judged, host, item, by_id)
        end
      end
    end
  end
end

-- --- services ----------------------------------------------------------------

-- Endpoints are seldom written down: without any EndpointSlice there is nothing to compare with.
local function judge_services(faults, judged)
  if not next(judged.store.slices) then
    return
  end
  local used = {}
  for _, host in pairs(judged.model.hosts) do
    for _, item in ipairs(host.routes) do
      used[item.service or ""] = true
    end
  end
  for _, name in ipairs(sorted_keys(judged.model.services)) do
    local service = judged.model.services[name]
    if used[name] and #service.endpoints == 0 and (service.source or {}).kind == "Service" then
      warn(faults, service, "no_endpoints",
        "no endpoint is ready, so requests are answered with 503; look at selector and pods")
    end
  end
end

-- What translation has found wrong with the entry of a port says it already.
local function has_fault(model, source)
  local title = title_of(source)
  for _, fault in ipairs(model.faults) do
    if fault.severity == "error" and fault.object == title and fault.field == source.field then
      return true
    end
  end
  return false
end

local function judge_ports(faults, judged)
  if not next(judged.store.slices) then
    return
  end
  for _, port in ipairs(judged.model.ports or {}) do
    local service = judged.model.services[port.service]
    if #service.endpoints == 0 and not has_fault(judged.model, port.source) then
      warn(faults, service, "no_endpoints",
        ("no endpoint is ready for port %d of %s; look at selector and pods"):format(port.port,
          port.protocol:upper()))
    end
  end
end

-- --- objects that come to nothing --------------------------------------------

local CLASS_ANNOTATION = "kubernetes.io/ingress.class"

local function class_of(object)
  local metadata = object.value.metadata or {}
  return object.value.spec.ingressClassName or (metadata.annotations or {})[CLASS_ANNOTATION]
end

local function objects_with_routes(model)
  local found = {}
  for _, host in pairs(model.hosts) do
    for _, item in ipairs(host.routes) do
      found[title_of(item.source, item.id)] = true
    end
  end
  return found
end

local function judge_ingresses(faults, judged)
  local known = objects_with_routes(judged.model)
  for _, fault in ipairs(judged.model.faults) do
    known[fault.object or ""] = true
  end
  local objects = judged.store.objects.Ingress
  local prefix = ingresses.prefix(judged.flags)
  for _, key in ipairs(sorted_keys(objects)) do
    local object = objects[key]
    local written = (object.value.metadata or {}).annotations or {}
    if not known[object.title] and not annotations.is_canary(prefix, written) then
      local class = class_of(object)
      local why = class and ("its class %q is not this gateway's"):format(class)
        or "it names no class; set spec.ingressClassName"
      faults[#faults + 1] = {
        severity = "warning",
        object = object.title,
        file = object.file,
        line = object.line,
        column = object.column,
        code = "not_served",
        message = "it makes no route: " .. why,
      }
    end
  end
end

local function judge_log_format(faults, judged, setting, streams)
  local format = judged.model.settings[setting]
  local name = ffi.new("struct mg_text")
  if format and C.mg_access_log_unknown(format, #format, streams, name) == 1 then
    faults[#faults + 1] = {
      severity = "warning",
      object = setting,
      code = "variable",
      message = ("there is no variable %s; it is always empty"):format(
        ffi.string(name.data, name.length)),
    }
  end
end

--- All that is wrong or odd: the model's own faults and what is found here.
---@param judged moongate.Judged
---@return moongate.Fault[]
function M.faults(judged)
  local faults = {}
  for i, fault in ipairs(judged.model.faults) do
    faults[i] = fault
  end
  judge_routes(faults, judged)
  judge_services(faults, judged)
  judge_ports(faults, judged)
  for _, fault in ipairs(expiry.faults(judged.publisher:certificates(), C.mg_time_now())) do
    faults[#faults + 1] = fault
  end
  judge_ingresses(faults, judged)
  judge_log_format(faults, judged, "log-format-upstream", 0)
  judge_log_format(faults, judged, "log-format-stream", 1)
  return faults
end

return M
