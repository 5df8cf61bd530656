-- SPDX-License-Identifier: Apache-2.0
--
-- What `moongate check` finds beyond the faults of translation: routes that nobody reaches,
-- services without endpoints, patterns that may run away, certificates that end soon.
local ffi = require("ffi")

local C = require("moongate.api.core")
local pattern = require("moongate.check.pattern")
local reach = require("moongate.check.reach")

local M = {}

local SOON_SECONDS = 14 * 86400

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

-- --- certificates ------------------------------------------------------------

local error_text = ffi.new("char[256]")

local function judge_certificate(faults, entry)
  local pem, key = entry.certificate, entry.key
  local certificate = C.mg_certificate_new(pem, #pem, key, #key, error_text, 256)
  if certificate == nil then
    return -- the snapshot's writer has said so
  end
  local left = tonumber(C.mg_certificate_not_after(certificate)) - C.mg_time_now()
  C.mg_certificate_unref(certificate)
  local date = os.date("!%Y-%m-%d", C.mg_time_now() + left)
  if left < SOON_SECONDS then
    faults[#faults + 1] = {
      severity = "warning",
      object = entry.source,
      code = "certificate",
      message = ("the certificate %s on %s; renew it"):format(
        left < 0 and "has ended" or "ends", date),
    }
  end
end

local function judge_certificates(faults, judged)
  for _, entry in ipairs(judged.model.certificates) do
    judge_certificate(faults, entry)
  end
  if judged.model.default_certificate then
    judge_certificate(faults, judged.model.default_certificate)
  end
end

-- --- objects that come to nothing --------------------------------------------

local CLASS_ANNOTATION = "kubernetes.io/ingress.class"

local function class_of(object)
  local metadata = object.value.metadata or {}
  return object.value.spec.ingressClassName or (metadata.annotations or {})[CLASS_ANNOTATION]
end

local function is_canary(object)
  local annotations = (object.value.metadata or {}).annotations or {}
  return annotations["nginx.ingress.kubernetes.io/canary"] == "true"
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
  for _, key in ipairs(sorted_keys(objects)) do
    local object = objects[key]
    if not known[object.title] and not is_canary(object) then
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

local function judge_log_format(faults, judged)
  local format = judged.model.settings["log-format-upstream"]
  local name = ffi.new("struct mg_text")
  if format and C.mg_access_log_unknown(format, #format, name) == 1 then
    faults[#faults + 1] = {
      severity = "warning",
      object = "log-format-upstream",
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
  judge_certificates(faults, judged)
  judge_ingresses(faults, judged)
  judge_log_format(faults, judged)
  return faults
end

return M
