-- SPDX-License-Identifier: Apache-2.0
-- Ingresses grouped by host. A server is one host with its locations; the oldest definition of a
-- path stays, the younger ones are reported. What is said once for a host (alias, app-root,
-- certificate) is decided here too. Locations know nothing of the model's routes yet.
local certificates = require("moongate.control.translate.certificates")
local client_auth = require("moongate.control.translate.client_auth")
local memory = require("moongate.control.translate.memory")
local model = require("moongate.control.model")
local passthrough = require("moongate.control.translate.passthrough")
local references = require("moongate.control.translate.references")
local services = require("moongate.control.translate.services")
local suites = require("moongate.control.translate.suites")

local M = {}

---@class moongate.Location
---@field path string
---@field exact boolean
---@field default boolean?   no rule speaks of it: the unmatched paths of the host
---@field ingress moongate.Ingress?
---@field backend table?     backend of the Ingress; nil: 404
---@field field (string|integer)[]?  where it stands in the Ingress
---@field canary { ingress: moongate.Ingress, backend: table, field: table }?

---@class moongate.Server
---@field host string
---@field locations moongate.Location[]  in the order of the Ingresses
---@field aliases { names: string[], patterns: string[] }?
---@field certificate boolean?   https is configured, if only by the default certificate
---@field pair moongate.Pair?  the certificate
---@field client_auth moongate.ClientAuth?
---@field passthrough moongate.Ingress?
---@field suites moongate.Suites?
---@field app_root moongate.Ingress?
---@field www moongate.Ingress?

local function location_key(path, exact)
  return (exact and "=" or "^") .. path
end

local function add_location(server, location)
  server.locations[#server.locations + 1] = location
  server.by_path[location_key(location.path, location.exact)] = location
end

local function new_server(host, root)
  local server = { host = host, locations = {}, by_path = {} }
  add_location(server, root)
  return server
end

local function service_backend(spec)
  local backend = spec.defaultBackend
  return backend and backend.service and backend or nil
end

-- An Ingress with a defaultBackend and no rule answers for every host that has none.
local function take_catch_all(servers, ingress)
  local root = servers["*"].locations[1]
  local backend = service_backend(ingress.object.value.spec)
  if not backend or not root.default or ingress.rules[1] then
    return
  end
  root.default, root.backend, root.ingress = nil, backend, ingress
  root.catch_all, root.field = true, { "spec", "defaultBackend" }
end

-- TLS asks for certificates by name; what has none cannot be guarded by them.
local function deny_without_host(context, ingress)
  local notes, hostless = ingress.notes, not ingress.rules[1]
  for _, rule in ipairs(ingress.rules) do
    hostless = hostless or rule.host == "*"
  end
  if notes.values["auth-tls-secret"] and hostless then
    local err = "guards names, and a rule of this Ingress has no host; write one for each"
    references.deny(context, ingress, "auth-tls-secret", err)
    notes.denied = notes.denied or "auth-tls-secret " .. err
  end
end

-- Unmatched paths of a host belong to its oldest Ingress: its annotations, its defaultBackend.
local function open_servers(context, ingresses)
  local any = { path = "/", exact = false, default = true, backend = context.default_backend }
  local servers = { ["*"] = new_server("*", any) }
  for _, ingress in ipairs(ingresses) do
    if not ingress.canary then
      local from = #context.faults
      deny_without_host(context, ingress)
      memory.told(context, "*", from)
      take_catch_all(servers, ingress)
      local backend = service_backend(ingress.object.value.spec)
      for _, rule in ipairs(ingress.rules) do
        if not servers[rule.host] then
          servers[rule.host] = new_server(rule.host, {
            path = "/", exact = false, default = true, ingress = ingress,
            backend = backend or context.default_backend, own_backend = backend ~= nil,
            field = { "spec", "defaultBackend" },
          })
        end
      end
    end
  end
  return servers
end

-- What counts once for a host: the first Ingress that says it decides.
local function decide_host(context, server, ingress)
  local values = ingress.notes.values
  if values["server-alias"] then
    server.aliases = server.aliases or values["server-alias"]
  end
  if values["app-root"] and not server.app_root then
    server.app_root = ingress
  end
  if values["auth-tls-secret"] and not server.client_auth and server.host ~= "*" then
    server.client_auth = client_auth.decide(context, ingress)
  end
  if not ingress.object.denied then -- else nothing would answer 503
    passthrough.decide(context, server, ingress)
  end
  suites.decide(server, ingress)
  if not server.certificate and server.host ~= "*" then
    certificates.decide(context, server, ingress)
  end
end

-- Manifests mostly hold no time: their order is that of the names then, and no matter of age.
local function why_first(owner, object)
  local first = owner.value.metadata.creationTimestamp or ""
  if first ~= (object.value.metadata.creationTimestamp or "") then
    return first ~= "" and "which is older" or "which counts as older without a creationTimestamp"
  end
  return "which comes first by name: "
    .. (first ~= "" and "both are of one age" or "neither has a creationTimestamp")
end

local function complain_taken(context, ingress, rule, path, first)
  local owner = first.ingress.object
  local message = ("host %s and path %s belong to %s; remove one"):format(rule.host, path.path,
    owner == ingress.object and "this Ingress already"
      or owner.title .. ", " .. why_first(owner, ingress.object))
  local where = model.below(path.field, "path")
  model.fault(context.faults, ingress.object, "warning", where, message).code = "overlap"
end

local function add_path(context, server, ingress, rule, path)
  if not path.backend.service and not ingress.object.denied then
    local message = "a resource cannot be served, the path is left out; name a service"
    local where = model.below(path.field, "backend", "resource")
    model.fault(context.faults, ingress.object, "warning", where, message).code = "resource"
    return
  end
  local backend = path.backend.service and path.backend or nil
  local first = server.by_path[location_key(path.path, path.exact)]
  if first and not first.default then
    return complain_taken(context, ingress, rule, path, first)
  end
  if ingress.notes.values["from-to-www-redirect"] then
    server.www = server.www or ingress
  end
  if first then
    first.default, first.ingress, first.backend = nil, ingress, backend
    first.field = path.field
    return
  end
  add_location(server, { path = path.path, exact = path.exact, ingress = ingress,
    backend = backend, field = path.field })
end

local function complain_canary(context, ingress, path, message)
  local where = path.field and model.below(path.field, "path") or {}
  model.fault(context.faults, ingress.object, "warning", where, message).code = "canary"
end

-- Returns why the canary does nothing at a location, if so.
local function why_idle(context, location, ingress, path)
  if not location or location.default then
    return "there is no main Ingress with this host, path and pathType; the canary serves nothing"
  elseif location.canary then
    return ("%s is already the canary of this path; only the oldest counts"):format(
      location.canary.ingress.object.title)
  end
  local main = services.name(location.ingress.object, location.backend)
  local name = services.name(ingress.object, path.backend)
  if main == name then
    return "the canary has the same service and port as the main Ingress; it changes nothing"
  end
  local owner = context.ordinary[name]
  if owner and owner < ingress.age then
    return "its service is an ordinary backend of an older Ingress, so it gets no share"
  end
end

-- ingress-nginx takes a total below 100 for 100, and says nothing.
local function check_total(context, ingress)
  local name = "canary-weight-total"
  if ingress.notes.values[name] < 100 then
    local where = { "metadata", "annotations", context.notes.prefix .. name }
    local message = "is below 100, so 100 is used; give the weight in hundredths"
    model.fault(context.faults, ingress.object, "warning", where, message).code = "canary"
  end
end

local function merge_canary(context, servers, ingress)
  for _, rule in ipairs(ingress.rules) do
    local server = servers[rule.host]
    for _, path in ipairs(rule.paths or {}) do
      local location = server and server.by_path[location_key(path.path, path.exact)]
      if path.backend.service then
        local idle = why_idle(context, location, ingress, path)
        if idle then
          complain_canary(context, ingress, path, idle)
        else
          location.canary = { ingress = ingress, backend = path.backend, field = path.field }
        end
      end
    end
  end
end

-- A canary without rules is that of the catch-all.
local function merge_catch_all_canary(context, servers, ingress)
  local backend = service_backend(ingress.object.value.spec)
  if not backend or ingress.rules[1] then
    return
  end
  local location = servers["*"].by_path[location_key("/", false)]
  local path = { backend = backend, field = { "spec", "defaultBackend" } }
  local idle = why_idle(context, location, ingress, path)
  if idle then
    return complain_canary(context, ingress, path, idle)
  end
  location.canary = { ingress = ingress, backend = backend, field = path.field }
end

-- Services that are ordinary backends, with the age of the oldest Ingress that says so.
local function note_ordinary(context, ingress)
  local function note(backend)
    local name = services.name(ingress.object, backend)
    context.ordinary[name] = context.ordinary[name] or ingress.age
  end
  for _, rule in ipairs(ingress.rules) do
    for _, path in ipairs(rule.paths or {}) do
      if path.backend.service then
        note(path.backend)
      end
    end
  end
  local backend = service_backend(ingress.object.value.spec)
  if backend then
    note(backend)
  end
end

local function fill(context, servers, ingress)
  for _, rule in ipairs(ingress.rules) do
    local server, from = servers[rule.host], #context.faults
    decide_host(context, server, ingress)
    for _, path in ipairs(rule.paths or {}) do
      add_path(context, server, ingress, rule, path)
    end
    memory.told(context, rule.host, from)
  end
end

--- Groups Ingresses by host.
---@param context table
---@param ingresses moongate.Ingress[]  oldest first
---@return table<string, moongate.Server>
function M.group(context, ingresses)
  context.ordinary = {}
  local servers, has_canary = open_servers(context, ingresses), false
  for age, ingress in ipairs(ingresses) do
    ingress.age = age
    has_canary = has_canary or ingress.canary
    if not ingress.canary then
      fill(context, servers, ingress)
    end
  end
  context.has_canary = has_canary
  for _, ingress in ipairs(has_canary and ingresses or {}) do
    if not ingress.canary then
      note_ordinary(context, ingress)
    end
  end
  for _, ingress in ipairs(ingresses) do
    if ingress.canary then
      check_total(context, ingress)
      merge_canary(context, servers, ingress)
      merge_catch_all_canary(context, servers, ingress)
    end
  end
  return servers
end

return M
