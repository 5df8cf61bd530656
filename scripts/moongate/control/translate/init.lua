-- SPDX-License-Identifier: Apache-2.0
-- From the store to the model: settings → classes → Ingresses, oldest first → hosts → routes,
-- services, certificates. Pure: nothing is read or written but the arguments. The last steps work
-- host by host, so that a change need only redo the hosts it touches.
--
-- Plugins that routes get, and their configuration. A header is { name, value } or
-- { name, template }; a template is a list of { text = } and { var = } (moongate.api.template).
--
-- redirect        url, code          answer at once with this Location; the path is not appended
--                 app_root           template; 302 to scheme://Host + it (path is exactly "/")
--                 slash              { code, relative? }: Location is the path with '/' at its end,
--                                    and the query
--                 host               { name, code }: Location scheme://name:port + target without
--                                    one '/' at its end
--                 https              { code, keep_slash, port? }: unless the request is secure,
--                                    Location https://HOST[:port] + target, one '/' at the end cut
--                                    unless keep_slash. HOST is without port. Comes after url.
-- rewrite         pattern            searched (not anchored, any case) in the decoded path
--                 replacement        the whole new path with $1..$9; the query is kept
--                 redirect?          true: replacement is a URL, answer 302 with it
--                 forwarded_prefix?  X-Forwarded-Prefix for the backend
--                 No match in the path: it stays, and so does the prefix header.
-- canary          main, alternative  names of services
--                 header?, header_value?, header_pattern?, cookie?, weight, weight_total
--                 sticky?            name of the affinity cookie: a session stays on its variant
-- headers         request?           { set = headers, host?, connection? }: host is the Host for
--                                    the backend (X-Forwarded-Host stays)
--                 response?          { set = headers, hide = names }; also on the gateway's own
--                                    answers
--                 hsts?              Strict-Transport-Security of responses on https
-- ip-restriction  allow?, deny?      networks; deny is judged first
--                 user_agents?       values of User-Agent that get 403; '~' begins a pattern, '~*'
--                 referers?          one of any case. The same for Referer
-- basic-auth      realm, users       lines in htpasswd form
--
-- Settings of routes: connect_timeout_ms, send_timeout_ms, read_timeout_ms, tries (0: no limit),
-- tries_ms (0: no limit), retry_on (words of proxy-next-upstream), body_limit_bytes (0: no limit),
-- buffer_request, buffer_response, response_head_limit_bytes, http_version, access_log.
--
-- Plugins of `moongate.dev/plugins` come with the configuration that the object gives them.
local attachments = require("moongate.control.translate.attachments")
local certificates = require("moongate.control.translate.certificates")
local ingresses = require("moongate.control.translate.ingresses")
local model = require("moongate.control.model")
local plugins = require("moongate.control.translate.plugins")
local routes = require("moongate.control.translate.routes")
local servers_of = require("moongate.control.translate.servers")
local services = require("moongate.control.translate.services")
local settings = require("moongate.settings")

local M = {}

local CONFIG_MAP = "ingress-nginx/ingress-nginx-controller"

local SEVERITY = { unknown = "warning", invalid = "error", ignored = "warning", refused = "error" }

local WITHOUT_EFFECT = {
  later = "has no effect yet; remove it",
  none = "has no effect in this gateway; remove it",
}

local function is_done_anyway(setting, text)
  return text == setting.does
    or settings.parse(setting.name, text) == settings.parse(setting.name, setting.does)
end

-- A setting that is not honoured yet is never left out in silence; one that guards closes paths.
local function complain_unsupported(context, raw)
  for _, name in ipairs(model.keys(raw)) do
    local setting = settings.get(name)
    local kind = setting and setting.unsupported
    if kind == "guard" then
      context.denied = name .. " is not supported yet"
      context.complain_setting(name, "is not supported yet, and leaving it out would open every "
        .. "path: they answer 503; remove it, or use a plugin", "error")
    elseif kind and not is_done_anyway(setting, raw[name]) then
      context.complain_setting(name, WITHOUT_EFFECT[kind], "warning")
    end
  end
end

-- The default of ingress-nginx trusts everyone, which matters as soon as headers are believed.
local function complain_open_trust(context, raw)
  if context.settings["use-forwarded-headers"] and not raw["proxy-real-ip-cidr"] then
    context.complain_setting("use-forwarded-headers", "X-Forwarded-* of every peer are believed, "
      .. "so clients can forge them; set proxy-real-ip-cidr to your load balancers", "warning")
  end
end

-- The controller's ConfigMap, over which the caller's own settings win.
local function read_settings(context, overrides)
  local key = context.flags.configmap or CONFIG_MAP
  local object = context.store.objects.ConfigMap[key]
  local raw = {}
  for _, name in ipairs(object and model.keys(object.data) or {}) do
    local _, err, code = settings.parse(name, object.data[name])
    if code then
      local path = { "data", name }
      model.fault(context.faults, object, SEVERITY[code], path, err).code = code
    else
      raw[name] = object.data[name]
    end
  end
  for name, text in pairs(overrides or {}) do
    local _, err, code = settings.parse(name, text)
    if code then
      context.faults[#context.faults + 1] =
        { severity = "error", object = "--set " .. name, message = err, code = code }
    else
      raw[name:gsub("_", "-")] = text
    end
  end
  context.complain_setting = function(name, message, severity)
    if object and object.data[name] then
      model.fault(context.faults, object, severity, { "data", name }, message).code = "setting"
    else
      context.faults[#context.faults + 1] =
        { severity = severity, object = "--set " .. name, message = message, code = "setting" }
    end
  end
  context.settings, context.model.settings = settings.read(raw)
  complain_unsupported(context, raw)
  complain_open_trust(context, raw)
end

local function allowed_headers(context)
  local allowed = {}
  for _, name in ipairs(context.settings["global-allowed-response-headers"]) do
    allowed[name:lower()] = true
  end
  return allowed
end

local function new_context(store, options)
  local context = {
    store = store,
    flags = options.flags or {},
    faults = {},
    model = { hosts = {}, services = {}, certificates = {}, origins = {} },
    certificate_names = {},
    service_wrong = {},
  }
  context.model.faults = context.faults
  read_settings(context, options.settings)
  context.allowed_headers = allowed_headers(context)
  context.default_backend = services.default_backend(context)
  context.global_headers = plugins.global_headers(context)
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
  local host = other_www(server.host)
  if not servers[host] and not context.model.hosts[host] then
    context.model.hosts[host] = { routes = { routes.www(context, host, server) } }
    further[#further + 1] = host
  end
end

local function add_hosts(context, servers)
  local names = model.keys(servers)
  local further = {}
  for _, host in ipairs(names) do
    context.model.hosts[host] = {
      routes = routes.of(context, servers, servers[host]),
      single_label = host:sub(1, 2) == "*." or nil,
    }
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

--- Translates the objects of a store.
---@param store moongate.Store
---@param options moongate.TranslateOptions?
---@return table model  see DESIGN: hosts, services, certificates, settings, faults
function M.translate(store, options)
  local context = new_context(store, options or {})
  local list = ingresses.collect(context)
  attachments.collect(context, list)
  local servers = servers_of.group(context, list)
  local further = add_hosts(context, servers)
  context.model.certificates = certificates.list(context, servers, further)
  context.model.default_certificate = certificates.default(context)
  context.model.typed_settings = context.settings
  return context.model
end

return M
