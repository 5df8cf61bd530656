-- SPDX-License-Identifier: Apache-2.0
-- From the store to the model: settings → classes → Ingresses, oldest first → hosts → routes,
-- services, certificates. Pure: nothing is read or written but the arguments. The last steps work
-- host by host, so that a change need only redo the hosts it touches.
--
-- What the configuration of a plugin that routes get may hold is in plugins/NAME/README.md.
--
-- Settings of routes: connect_timeout_ms, send_timeout_ms, read_timeout_ms, tries (0: no limit),
-- tries_ms (0: no limit), retry_on (words of proxy-next-upstream), body_limit_bytes (0: no limit),
-- buffer_request, response_head_limit_bytes, http_version, access_log.
--
-- Plugins of `moongate.dev/plugins` come with the configuration that the object gives them.
local access = require("moongate.control.model.access")
local attachments = require("moongate.control.translate.attachments")
local certificates = require("moongate.control.translate.certificates")
local change_of = require("moongate.control.translate.change")
local client_auth = require("moongate.control.translate.client_auth")
local ingresses = require("moongate.control.translate.ingresses")
local memory = require("moongate.control.translate.memory")
local model = require("moongate.control.model")
local passthrough = require("moongate.control.translate.passthrough")
local plugins = require("moongate.control.translate.plugins")
local ports = require("moongate.control.translate.ports")
local references = require("moongate.control.translate.references")
local routes = require("moongate.control.translate.routes")
local same = require("moongate.same")
local servers_of = require("moongate.control.translate.servers")
local suites = require("moongate.control.translate.suites")
local services = require("moongate.control.translate.services")
local settings = require("moongate.settings")
local tracing = require("moongate.control.translate.tracing")

local M = {}

--- The controller's ConfigMap unless --configmap names another.
M.CONFIG_MAP = "ingress-nginx/ingress-nginx-controller"

local SEVERITY = { unknown = "warning", invalid = "error", ignored = "warning", refused = "error" }

local function is_done_anyway(setting, text)
  return text == setting.does
    or settings.parse(setting.name, text) == settings.parse(setting.name, setting.does)
end

-- A setting that nothing follows from is never left out in silence.
local function complain_unsupported(context, raw)
  for _, name in ipairs(model.keys(raw)) do
    local setting = settings.get(name)
    if setting and setting.unsupported and not is_done_anyway(setting, raw[name]) then
      context.complain_setting(name, "has no effect in this gateway; remove it", "warning")
    end
  end
end

local OPEN_TRUST = {
  ["use-forwarded-headers"] = "X-Forwarded-* of every peer are believed, so clients can forge them",
  ["enable-real-ip"] = "every peer may say who the client is, so clients can forge their address",
}

-- The default of ingress-nginx trusts everyone, which matters as soon as headers are believed.
local function complain_open_trust(context, raw)
  local name = context.settings["use-forwarded-headers"] and "use-forwarded-headers"
    or context.settings["enable-real-ip"] and "enable-real-ip"
  if name and not raw["proxy-real-ip-cidr"] then
    context.complain_setting(name, OPEN_TRUST[name]
      .. "; set proxy-real-ip-cidr to your load balancers", "warning")
  end
end

-- Whoever names a ConfigMap means its settings, some of which may keep people out.
local function complain_missing(context)
  references.of_flag(context, "configmap", "ConfigMap", "all settings have their defaults")
end

-- Nobody could be asked; a URL that begins with a variable is known with each request.
local function complain_auth_url(context)
  local url = context.settings["global-auth-url"]
  if url ~= "" and not url:find("^https?://[^/%s]+[^%s]*$") and not url:find("^%$") then
    context.complain_setting("global-auth-url",
      "must be a URL that begins with http:// or https://; nobody can be asked, and nobody passes",
      "error")
  end
end

-- What counted at the start counts until the end.
local function complain_started(context)
  for name, value in pairs(context.started) do
    if not same(value, context.settings[name]) then
      context.complain_setting(name,
        "takes effect at the next start, where the ConfigMap or --set says so", "warning")
    end
  end
end

-- Keys of the controller's ConfigMap, as written.
local function read_config_map(context, object)
  local raw = {}
  for _, name in ipairs(model.keys(object.data)) do
    local _, err, code = settings.parse(name, object.data[name])
    if code then
      local path = { "data", name }
      local fault = model.fault(context.faults, object, SEVERITY[code], path, err)
      fault.code, context.setting_faults[name] = code, fault
      raw[name] = access.rest_of(name, object.data[name])
    else
      raw[name] = object.data[name]
    end
  end
  for name, wrong in pairs(object.wrong_data) do -- the store has told of it
    context.setting_faults[name] = wrong.fault
    raw[name] = access.rest_of(name, wrong.text)
  end
  return raw
end

-- Of a setting that is not the ConfigMap's: `at` has the places of those that scripts say.
local function fault_of(at, name, severity, message, code)
  local place = at and at[name]
  local fault = { severity = severity, object = "--set " .. name, message = message, code = code }
  if place then
    fault.object, fault.field, fault.file, fault.line = "mg.settings", name, place.file, place.line
  end
  return fault
end

-- The controller's ConfigMap, over which the caller's own settings win.
local function read_settings(context, overrides, at)
  local key = context.flags.configmap or M.CONFIG_MAP
  context.model.unsettled = context.store.broken["ConfigMap " .. key] and key or nil
  local object = context.store.objects.ConfigMap[key]
  local raw = object and read_config_map(context, object) or {}
  for name, text in pairs(overrides or {}) do
    local _, err, code = settings.parse(name, text)
    if code then
      table.insert(context.faults, fault_of(at, name, "error", err, code))
    else
      raw[name:gsub("_", "-")] = text
    end
  end
  context.complain_setting = function(name, message, severity)
    if object and not (overrides and overrides[name]) then
      model.fault(context.faults, object, severity, { "data", name }, message).code = "setting"
    else
      table.insert(context.faults, fault_of(at, name, severity, message, "setting"))
    end
  end
  context.settings, context.model.settings = settings.read(raw)
  complain_unsupported(context, raw)
  complain_open_trust(context, raw)
  complain_started(context)
  complain_missing(context)
  complain_auth_url(context)
  tracing.judge(context)
end

local function allowed_headers(context)
  local allowed = {}
  for _, name in ipairs(context.settings["global-allowed-response-headers"]) do
    allowed[name:lower()] = true
  end
  return allowed
end

-- What was worked out for the last store may serve again; what is looked up from here on is noted.
local function remember(context, kept)
  kept:begin(context.store, {
    settings = context.model.settings,
    flags = context.flags,
    global_headers = context.global_headers,
    default_backend = context.default_backend,
  })
  context.memory, context.model.origins = kept, kept.origins
  context.store = memory.watched(context.store, context.reads)
end

-- The same may have been found for several hosts.
local function distinct(faults)
  local seen, list = {}, {}
  for _, fault in ipairs(faults) do
    local key = ("%s\0%s\0%s"):format(fault.object or "", fault.field or "", fault.message)
    if not seen[key] then
      seen[key] = true
      list[#list + 1] = fault
    end
  end
  return list
end

-- With the settings alone.
local function first_context(store, options)
  local context = {
    store = store,
    flags = options.flags or {},
    started = options.started or {},
    faults = {},
    setting_faults = {},
    model = { hosts = {}, services = {}, certificates = {} },
  }
  context.model.faults = context.faults
  read_settings(context, options.settings, options.settings_at)
  return context
end

local function new_context(store, options)
  local context = first_context(store, options)
  context.own_ports = options.own_ports
  context.objects, context.has_duplicates = store.list, store.has_duplicates
  context.reads, context.told = { list = {} }, {}
  context.loads, context.service_wrong = options.loads, {}
  context.allowed_headers = allowed_headers(context)
  context.default_backend = services.default_backend(context)
  context.global_headers = plugins.global_headers(context)
  remember(context, options.memory or memory.new())
  return context
end

-- Further names of a host share its routes; a name that has a rule of its own is not taken.
local function add_aliases(context, servers, server, further)
  local hosts = context.model.hosts
  local entry = hosts[server.host]
  for _, alias in ipairs(server.aliases.names) do
    if not servers[alias] and not hosts[alias] then
      hosts[alias] = { routes = entry.routes }
      further[#further + 1] = alias
    end
  end
  entry.alias_patterns = server.aliases.patterns[1] and server.aliases.patterns or nil
end

local function other_www(host)
  return host:match("^www%.(.+)$") or "www." .. host
end

local function add_www(context, servers, server, further)
  if server.host:find("*", 1, true) then
    return -- www.*.a.test is nobody's name
  end
  local host = other_www(server.host)
  if not servers[host] and not context.model.hosts[host] then
    context.model.hosts[host] = { routes = { routes.www(context, host, server) } }
    further[#further + 1] = host
  end
end

local function location_inputs(location)
  local ingress, canary = location.ingress, location.canary
  return {
    path = location.path,
    exact = location.exact,
    default = location.default,
    catch_all = location.catch_all,
    own_backend = location.own_backend,
    backend = location.backend,
    field = location.field,
    ingress = ingress and ingress.object,
    conformant = ingress and ingress.conformant,
    canary = canary and { canary.ingress.object, canary.backend, canary.field },
  }
end

-- All that the routes of a host are made from, but for what they look up themselves.
local function inputs_of(servers, server)
  local locations = {}
  for i, location in ipairs(server.locations) do
    locations[i] = location_inputs(location)
  end
  return {
    locations = locations,
    client_auth = server.client_auth,
    app_root = server.app_root and server.app_root.object,
    is_secure = certificates.is_secure(servers, server.host),
  }
end

local function host_entry(context, servers, server)
  return {
    routes = routes.of(context, servers, server),
    single_label = server.host:sub(1, 2) == "*." or nil,
  }
end

-- The routes of a host: those of the last translation where nothing has changed.
local function add_host(context, servers, server)
  local inputs = inputs_of(servers, server)
  local record = context.memory:host(server.host, inputs)
  if record then
    for name in pairs(record.services) do
      services.put(context, name, context.memory:service(name))
    end
    memory.repeat_notes(context, record)
  else
    record = memory.note(context, host_entry, context, servers, server)
    record.inputs = inputs
    context.memory:keep_host(server.host, record)
  end
  record.entry = { routes = record.values[1].routes, single_label = record.values[1].single_label }
  return record.entry
end

-- A host that a change does not touch has the very same entry.
local function keep_host(context, host)
  local record = context.memory:keep(host)
  for name in pairs(record.services) do
    services.put(context, name, context.memory:service(name))
  end
  memory.repeat_notes(context, record)
  return record.entry
end

-- Nothing that an operator has closed is open without a word.
local function complain_open_ports(context)
  if context.settings["bind-address"][1] and context.model.ports then
    context.complain_setting("bind-address", "ports of TCP and UDP services are open at all "
      .. "addresses all the same; close them elsewhere where they should not be", "warning")
  end
end

local function add_hosts(context, servers, change)
  local names = model.keys(servers)
  local further = {}
  for _, host in ipairs(names) do
    local kept = change and not change.hosts[host]
    context.model.hosts[host] = kept and keep_host(context, host)
      or add_host(context, servers, servers[host])
    further[host] = {}
  end
  for _, host in ipairs(names) do
    if servers[host].aliases then
      add_aliases(context, servers, servers[host], further[host])
    end
  end
  for _, host in ipairs(names) do
    if servers[host].www then
      add_www(context, servers, servers[host], further[host])
    end
  end
  return further
end

---@class moongate.TranslateOptions
---@field flags table<string, any>?     command-line flags by name: booleans and texts
---@field settings table<string, any>?  settings that win over the ConfigMap
---@field settings_at table<string, { file: string, line: integer }>?  of those that scripts say
---@field memory moongate.Memory?       what the last translation left
---@field own_ports table<integer, string>?  of the gateway, which no TCP service may have
---@field started table<string, any>?  settings, typed, that took effect at the start and then not
---@field loads (fun(pair: moongate.Pair): string?)?  what is wrong with a certificate and its key

--- The settings alone.
---@param store moongate.Store
---@param options moongate.TranslateOptions?
---@return table<string, any> typed
---@return table<string, moongate.Fault> wrong  of the ConfigMap's keys
function M.settings(store, options)
  local context = first_context(store, options or {})
  return context.settings, context.setting_faults
end

--- Translates the objects of a store.
---@param store moongate.Store
---@param options moongate.TranslateOptions?
---@return table model  see DESIGN: hosts, services, certificates, ports, settings, faults
function M.translate(store, options)
  local context = new_context(store, options or {})
  local change = change_of.of(context)
  if change then
    context.memory:keep_ingresses(change.gone)
  end
  local list = ingresses.collect(context, change and change.objects)
  attachments.collect(context, list)
  local grouped = servers_of.group(context, list)
  local servers = change and change_of.merge(context, change, grouped) or grouped
  local further = add_hosts(context, servers, change)
  context.model.certificates = certificates.list(servers, further)
  context.model.default_certificate = certificates.default(context)
  context.model.passthroughs = passthrough.list(context, servers)
  context.model.client_auths = client_auth.list(servers, further)
  context.model.suites = suites.list(context, servers, further)
  context.model.ports = ports.list(context)
  complain_open_ports(context)
  context.model.typed_settings = context.settings
  context.model.faults = distinct(context.faults)
  context.memory:finish(change_of.last(context, change, list, servers))
  return context.model
end

return M
