-- SPDX-License-Identifier: Apache-2.0
-- Locations of one host as routes of the model. A host is a tree of paths, or, when one of its
-- locations uses patterns, a list of case-insensitive patterns: that is decided for the whole host.
local attachments = require("moongate.control.translate.attachments")
local certificates = require("moongate.control.translate.certificates")
local compression = require("moongate.control.model.compression")
local error_pages = require("moongate.control.translate.error_pages")
local external_auth = require("moongate.control.translate.external_auth")
local limits = require("moongate.control.translate.limits")
local memory = require("moongate.control.translate.memory")
local mirror = require("moongate.control.translate.mirror")
local model = require("moongate.control.model")
local plugins = require("moongate.control.translate.plugins")
local retries = require("moongate.control.model.retries")
local services = require("moongate.control.translate.services")
local tracing = require("moongate.control.translate.tracing")

local M = {}

local function is_regex(location, path)
  local ingress = location.ingress
  -- The catch-all of an Ingress without rules neither rewrites nor redirects.
  if not ingress or location.catch_all then
    return false
  end
  local values = ingress.notes.values
  return values["use-regex"] or plugins.needs_rewrite(values, path)
end

-- The forms that nginx gives a location: a Prefix is the path itself and all below it, so an
-- Exact of the same path elsewhere can take over the first half.
local function forms_of(server)
  local forms, by_regex = {}, false
  for _, location in ipairs(server.locations) do
    local path = location.path
    local own_regex = is_regex(location, path)
    by_regex = by_regex or own_regex
    if path == "/" or location.exact or own_regex then
      forms[#forms + 1] = { location = location, path = path, exact = location.exact }
    else
      local below = path:find("/$") and path or path .. "/"
      forms[#forms + 1] = { location = location, path = below, exact = false }
      by_regex = by_regex or is_regex(location, below)
      if not server.by_path["=" .. path] then
        forms[#forms + 1] = { location = location, path = path, exact = true, half = true }
      end
    end
  end
  return forms, by_regex
end

-- Longest first, then the greater text: the order in which nginx tries patterns.
local function is_before(left, right)
  local a, b = left.path, right.path
  if #a ~= #b then
    return #a > #b
  elseif a ~= b then
    return a > b
  end
  return left.exact and not right.exact
end

local MARKS = { exact = "=", regex = "~", prefix = "" }

-- The line is that of the path, so that whoever reports on the route points at it.
local function source_of(ingress, field)
  if not ingress then
    return { kind = "Gateway" }
  end
  local object = ingress.object
  return { kind = object.kind, namespace = object.namespace, name = object.name,
    file = object.file, line = model.position(object, field or {}) }
end

local function new_route(host, ingress, path, what, field)
  local title = ingress and ingress.object.title or "default"
  return {
    id = title .. " " .. host .. MARKS[path.type] .. path.value .. (what and " " .. what or ""),
    path = path,
    priority = 0,
    source = source_of(ingress, field),
  }
end

--- Settings of a route, from the annotations or their defaults.
local function settings_of(values, settings)
  local on, tries = retries.of(values["proxy-next-upstream"], values["proxy-next-upstream-tries"],
    settings["retry-non-idempotent"])
  return {
    connect_timeout_ms = values["proxy-connect-timeout"],
    send_timeout_ms = values["proxy-send-timeout"],
    read_timeout_ms = values["proxy-read-timeout"],
    retry_on = on,
    tries = tries,
    tries_ms = values["proxy-next-upstream-timeout"],
    body_limit_bytes = values["proxy-body-size"],
    buffer_request = values["proxy-request-buffering"],
    response_head_limit_bytes = values["proxy-buffer-size"],
    http_version = values["proxy-http-version"],
    access_log = values["enable-access-log"],
  }
end

-- Annotations and settings of an Ingress are the same for each of its routes: one table serves.
local function shared_settings(context, ingress)
  if not ingress then
    context.default_settings = context.default_settings
      or settings_of(context.notes.defaults, context.settings)
    return context.default_settings
  end
  ingress.settings = ingress.settings or settings_of(ingress.notes.values, context.settings)
  return ingress.settings
end

local function attach(route, name, config, id)
  if config then
    route.plugins = route.plugins or {}
    route.plugins[#route.plugins + 1] = { name = name, config = config, id = id }
  end
end

local function has(route, name)
  for _, plugin in ipairs(route.plugins or {}) do
    if plugin.name == name then
      return true
    end
  end
  return false
end

local function use_service(context, location)
  local backend = location.backend
  if not backend then
    return nil
  elseif location.default and not location.own_backend then
    return services.use_default(context, backend)
  end
  return services.use(context, location.ingress, backend, location.field,
    { path = location.path })
end

local function use_canary(context, location, main)
  local canary = location.canary
  if not canary or not main then
    return nil
  end
  local values = canary.ingress.notes.values
  local affinity = context.model.services[main].affinity
  local sticky = affinity and values["affinity-canary-behavior"] ~= "legacy"
  local alternative, err = services.use(context, canary.ingress, canary.backend, canary.field,
    { path = location.path, affinity = sticky and affinity or nil })
  if not alternative then
    return nil, err
  end
  return plugins.canary(values, main, alternative, sticky and affinity.cookie or nil)
end

-- The first thing that denies a location is the reason that its routes give.
local function deny(route, err)
  route.fault = route.fault or err
end

-- What is the same for each route of an Ingress is made once.
local function make_shared(context, ingress)
  local values = ingress and ingress.notes.values or context.notes.defaults
  local shared = { ip_restriction = plugins.ip_restriction(context, values) }
  shared.headers, shared.err = plugins.headers(context, ingress)
  shared.cors = plugins.cors(values)
  shared.compression = compression.config(context.settings)
  shared.tracing = tracing.of(context, ingress)
  shared.limits = ingress and limits.of(context, ingress) or {}
  return shared
end

local function shared_plugins(context, ingress)
  return (memory.once(context, ingress or context, "shared_plugins", make_shared, context, ingress))
end

-- Checks of which one is enough with `satisfy: any`, in the order in which they are made.
local function add_checks(context, route, location)
  local ingress = location.ingress
  local values = ingress.notes.values
  local basic, basic_err = plugins.basic_auth(context, ingress, location.path)
  local external, external_err = external_auth.of(context, ingress, location.path, route.id)
  deny(route, basic_err or external_err)
  local checks = {}
  for _, check in ipairs({
    { "ip-restriction", plugins.allowed(values), "alternative" },
    { "basic-auth", basic },
    { "forward-auth", external },
  }) do
    checks[#checks + 1] = check[2] and check
  end
  for position, check in ipairs(checks) do
    if values.satisfy == "any" and checks[2] then
      check[2].alternative = position < #checks and "more" or "last"
    end
    attach(route, check[1], check[2], check[3])
  end
end

local function add_plugins(context, route, server, form, secure)
  local location = form.location
  local ingress = location.ingress
  local shared = shared_plugins(context, ingress)
  attach(route, "mtls-auth", server.client_auth and server.client_auth.plugin)
  attach(route, "headers", shared.headers)
  deny(route, shared.err)
  for _, limit in ipairs(shared.limits) do
    attach(route, limit.name, limit.config, limit.id)
  end
  attach(route, "ip-restriction", shared.ip_restriction)
  attach(route, "cors", shared.cors)
  attach(route, "compress", shared.compression)
  if not ingress then
    return attach(route, "opentelemetry", shared.tracing)
  end
  local values = ingress.notes.values
  if not location.catch_all then
    local redirect = plugins.redirect(context, values, form.path, secure)
    attach(route, "redirect", redirect)
    if not (redirect and redirect.url) then -- else nothing is left to rewrite
      attach(route, "rewrite", plugins.rewrite(values, form.path))
    end
  end
  add_checks(context, route, location)
  attach(route, "response-rewrite", plugins.response_rewrite(values))
  attach(route, "error-pages", error_pages.of(context, location, route.service))
  attach(route, "mirror", mirror.of(context, ingress))
  local service = location.backend and location.backend.service
  attachments.add(context, route, ingress,
    service and ingress.object.namespace .. "/" .. service.name)
  if not has(route, "opentelemetry") then -- else a user has said how
    attach(route, "opentelemetry", shared.tracing)
  end
end

local function path_of(form, by_regex)
  if by_regex then
    return { type = "regex", value = form.path, insensitive = true }
  end
  return { type = form.exact and "exact" or "prefix", value = form.path }
end

-- The path of a route. A prefix of the model stands for both halves of a Prefix.
local function route_path(server, form, by_regex)
  local location = form.location
  if by_regex or form.exact then
    return path_of(form, by_regex)
  end
  local value, ingress = location.path, location.ingress
  local bare = value:match("^(.+)/$")
  if bare and ingress and ingress.conformant and not server.by_path["^" .. bare] then
    value = bare
  end
  return { type = "prefix", value = value }
end

-- Where /foo and /foo/ are two locations, the longer one owns what is below, and the shorter one
-- keeps only itself.
local function is_needed(server, form, by_regex)
  local location = form.location
  if form.half then
    if by_regex then
      return form.path:sub(-1) ~= "/"
    end
    return server.by_path["^" .. form.path .. "/"] ~= nil
  end
  return form.path == location.path or server.by_path["^" .. form.path] == nil
end

local function make_route(context, server, form, by_regex, secure)
  local location = form.location
  local path = route_path(server, form, by_regex)
  local route = new_route(server.host, location.ingress, path, nil, location.field)
  route.settings = shared_settings(context, location.ingress)
  route.priority = location.ingress and 0 or -1 -- whatever anybody declares goes before the default
  if location.ingress then
    deny(route, location.ingress.notes.denied)
  end
  local err, canary_err
  route.service, err = use_service(context, location)
  deny(route, err)
  add_plugins(context, route, server, form, secure)
  local canary
  canary, canary_err = use_canary(context, location, route.service)
  attach(route, "canary", canary)
  deny(route, canary_err)
  return route
end

-- nginx answers 301 where only the slash at the end is missing.
local function slash_route(context, server, form)
  local ingress = form.location.ingress
  local bare = form.path:gsub("/$", "")
  local taken = server.by_path["=" .. bare] or server.by_path["^" .. bare]
  if not ingress or ingress.conformant or bare == "" or taken then
    return nil
  end
  local route = new_route(server.host, ingress, { type = "exact", value = bare }, "slash")
  local values = ingress.notes.values
  attach(route, "opentelemetry", shared_plugins(context, ingress).tracing)
  attach(route, "headers", shared_plugins(context, nil).headers)
  attach(route, "redirect", { slash = {
    code = 301,
    relative = values["relative-redirects"] or nil,
  } })
  return route
end

local function app_root_route(context, server)
  local ingress = server.app_root
  local route = new_route(server.host, ingress, { type = "exact", value = "/" }, "app-root")
  route.priority = 1
  attach(route, "opentelemetry", shared_plugins(context, ingress).tracing)
  attach(route, "headers", shared_plugins(context, nil).headers)
  attach(route, "redirect", { app_root = ingress.notes.values["app-root"] })
  return route
end

local function add_slash_routes(context, server, forms, routes)
  for _, form in ipairs(forms) do
    local ends = form.location.path:find("./$") and form.path == form.location.path
    if ends and not form.half then
      routes[#routes + 1] = slash_route(context, server, form)
    end
  end
end

--- Makes the routes of one host.
---@param context table
---@param servers table<string, moongate.Server>
---@param server moongate.Server
---@return table[] routes  in the order of the model
function M.of(context, servers, server)
  local forms, by_regex = forms_of(server)
  table.sort(forms, is_before)
  local secure = certificates.is_secure(servers, server.host)
  local routes = {}
  if server.app_root then
    routes[1] = app_root_route(context, server)
  end
  for _, form in ipairs(forms) do
    if is_needed(server, form, by_regex) then
      routes[#routes + 1] = make_route(context, server, form, by_regex, secure)
    end
  end
  if not by_regex then
    add_slash_routes(context, server, forms, routes)
  end
  return routes
end

--- The one route of a host that only sends elsewhere (from-to-www-redirect).
---@param host string
---@param server moongate.Server  where to
function M.www(context, host, server)
  local route = new_route(host, server.www, { type = "prefix", value = "/" }, "www")
  attach(route, "redirect", { host = {
    name = server.host,
    code = tonumber(context.settings["http-redirect-code"]),
  } })
  return route
end

return M
