-- SPDX-License-Identifier: Apache-2.0
--
-- mg.route declarations of scripts become hosts, routes and services of the model.
local access = require("moongate.control.model.access")
local compression = require("moongate.control.model.compression")
local declaration = require("moongate.control.model.declaration")
local global_auth = require("moongate.control.model.global_auth")
local protocols = require("moongate.protocols")
local retries = require("moongate.control.model.retries")
local tracing = require("moongate.control.model.tracing")
local url = require("moongate.api.url")

local M = {}

-- "unix:", and what the kernel takes of a path.
local UNIX_LENGTH_MAX = 5 + 107

local function fault(declared, message)
  return {
    severity = "error",
    file = declared.file,
    line = declared.line,
    column = 1,
    object = "mg.route",
    message = message,
  }
end

-- --- where to ----------------------------------------------------------------

-- The socket of `unix:/path`, `http://unix:/path` or, as nginx writes it, `http://unix:/path:`.
local function unix_target(text)
  local path = text:match("^unix:(/[^:%s]+)$")
  if path then
    return { scheme = "http", host = "unix:" .. path, port = 0, name = "localhost" }
  end
  local scheme
  scheme, path = text:match("^(%w+)://unix:(/[^:%s]+):?$")
  return path
    and protocols[scheme]
    and { scheme = scheme, host = "unix:" .. path, port = 0, name = "localhost" }
end

local function targets(to)
  local list = type(to) == "table" and to or { to }
  local parsed = {}
  for i, text in ipairs(list) do
    local one, err = unix_target(text), nil
    if not one then
      one, err = url.parse(text)
    end
    if not one then
      return nil, ("to = %q: %s"):format(text, err)
    elseif one.target and one.target ~= "/" then
      local why = "`to` does not change the path of a request; leave %s off, or use plugin rewrite"
      return nil, ("to = %q: " .. why):format(text, one.target)
    elseif #one.host > UNIX_LENGTH_MAX then
      return nil, ("to = %q: the path of a socket has at most 107 bytes"):format(text)
    end
    parsed[i] = one
  end
  return parsed
end

local function is_address(host)
  return host:match("^%d+%.%d+%.%d+%.%d+$") ~= nil or host:find(":", 1, true) ~= nil -- or unix:
end

local function endpoints(parsed, resolve)
  local list = {}
  for _, target in ipairs(parsed) do
    local addresses, err = { target.host }, nil
    if not is_address(target.host) then
      addresses, err = resolve(target.host)
    end
    if not addresses then
      return nil, ("cannot resolve %s: %s"):format(target.host, err)
    end
    for _, address in ipairs(addresses) do
      list[#list + 1] = { address = address, port = target.port, weight = 1 }
    end
  end
  return list
end

-- --- health ------------------------------------------------------------------

local function active_of(read)
  local status = read.status
  return {
    path = read.path or "",
    grpc = read.grpc == true and "" or read.grpc or nil,
    host = read.host,
    status = type(status) == "number" and { status } or status,
    interval_ms = read.interval * 1000,
    timeout_ms = read.timeout * 1000,
    healthy = read.healthy,
    unhealthy = read.unhealthy,
  }
end

-- As a service of the model has it.
local function health_of(read)
  return read and {
    max_fails = read.max_fails,
    fail_timeout_ms = read.fail_timeout * 1000,
    slow_start_ms = read.slow_start * 1000,
    active = (read.path or read.grpc) and active_of(read) or nil,
  }
end

-- --- routes ------------------------------------------------------------------

local function is_named(list, name)
  for _, plugin in ipairs(list or {}) do
    if plugin == name or plugin.name == name then
      return true
    end
  end
  return false
end

local function plugins_of(list, defaults)
  local plugins = {}
  local all = {
    { "opentelemetry", not is_named(list, "opentelemetry") and defaults.tracing or nil },
    { "ip-restriction", defaults.guard },
    { "forward-auth", defaults.auth },
    { "compress", defaults.compression },
  }
  for _, own in ipairs(all) do
    plugins[#plugins + 1] = own[2] and { name = own[1], config = own[2], id = "settings" }
  end
  for _, plugin in ipairs(list or {}) do
    plugins[#plugins + 1] = type(plugin) == "string" and { name = plugin } or plugin
  end
  return #plugins > 0 and plugins or nil
end

-- Settings of a route by the setting that gives their default, where one is set.
local SETTINGS = {
  connect_timeout_ms = "proxy-connect-timeout",
  send_timeout_ms = "proxy-send-timeout",
  read_timeout_ms = "proxy-read-timeout",
  tries = "proxy-next-upstream-tries",
  tries_ms = "proxy-next-upstream-timeout",
  body_limit_bytes = "proxy-body-size",
  response_head_limit_bytes = "proxy-buffer-size",
  buffer_request = "proxy-request-buffering",
  http_version = "proxy-http-version",
}

--- What the settings of the gateway say of routes that say nothing themselves.
---@param raw table<string, string>  those that are set
---@param typed table<string, any>
---@return { settings: table, balance: string, guard: table?, auth: table?, compression: table?,
---  tracing: table? }
local function defaults_of(raw, typed)
  local wanted = {}
  for key, name in pairs(SETTINGS) do
    if raw[name] ~= nil then
      wanted[key] = typed[name]
    end
  end
  if raw["proxy-next-upstream"] or typed["retry-non-idempotent"] then
    wanted.retry_on, wanted.tries =
      retries.of(typed["proxy-next-upstream"], wanted.tries, typed["retry-non-idempotent"])
  end
  return {
    settings = wanted,
    balance = typed["load-balance"],
    guard = access.restriction(typed, typed["whitelist-source-range"],
      typed["denylist-source-range"]),
    auth = global_auth.config(typed),
    compression = compression.config(typed),
    tracing = tracing.config(typed, typed),
  }
end

local function settings_of(own, defaults)
  local all = {}
  for key, value in pairs(defaults) do
    all[key] = value
  end
  for key, value in pairs(own or {}) do
    all[key] = value
  end
  if own and own.retry_on then
    all.retry_on, all.tries = retries.of(own.retry_on, all.tries)
  end
  return next(all) and all or nil
end

local function route_of(declared, value, defaults)
  local host, path = value.host or "*", value.path or "/"
  local route = {
    id = ("%s:%d %s%s"):format(declared.file, declared.line, host, path),
    path = { type = value.match or "prefix", value = path },
    methods = value.methods,
    headers = value.headers,
    query = value.query,
    plugins = plugins_of(value.plugins, defaults),
    settings = settings_of(value.settings, defaults.settings),
    priority = value.priority or 0,
    source = { kind = "Script", file = declared.file, line = declared.line },
  }
  if value.match ~= "regex" and #route.path.value > 1 then
    route.path.value = route.path.value:gsub("/$", "")
  end
  return route
end

-- The name that certificates of all targets are for: the one host name among them, or else the
-- first address.
local function server_name_of(parsed)
  local name
  for _, target in ipairs(parsed) do
    local own = not is_address(target.host) and target.host
    if own and name and own ~= name then
      return nil, ("to has targets with TLS of two names, %s and %s; declare a route for each, or "
        .. "name one host"):format(name, own)
    end
    name = own or name
  end
  return name or parsed[1].name or parsed[1].host
end

-- How all targets of a service are spoken to.
local function speech_of(parsed)
  local scheme = parsed[1].scheme
  for _, target in ipairs(parsed) do
    if target.scheme ~= scheme then
      return nil, ("to mixes %s:// and %s://; all targets of a route have one scheme"):format(
        scheme, target.scheme)
    end
  end
  if not protocols[scheme].tls then
    return { protocol = scheme }
  end
  local name, err = server_name_of(parsed)
  return name and { protocol = scheme, tls = { verify = true, server_name = name } }, err
end

-- A name that does not resolve leaves a service without endpoints, and a fault.
local function service_of(value, number, resolve, defaults, source)
  local parsed, err = targets(value.to)
  local speech, list
  if parsed then
    speech, err = speech_of(parsed)
  end
  if err then
    return nil, err
  end
  list, err = endpoints(parsed, resolve)
  return {
    name = value.name or ("script-" .. number),
    endpoints = list or {},
    protocol = speech.protocol,
    tls = speech.tls,
    balance = { algorithm = value.balance or defaults.balance },
    health = health_of(value.health),
    source = source,
  }, err
end

-- The entry of a host to which routes are added: a copy, since the next model may have the same.
local function open_host(model, name, opened)
  if not opened[name] then
    local entry = { routes = {} }
    for key, value in pairs(model.hosts[name] or {}) do
      entry[key] = key == "routes" and { unpack(value) } or value
    end
    model.hosts[name], opened[name] = entry, entry
  end
  return opened[name]
end

local function add(model, declared, number, defaults, opened)
  local value, err = declaration.read(declared.value)
  if err then
    return err
  end
  local route = route_of(declared, value, defaults)
  if value.to then
    local service
    service, err = service_of(value, number, defaults.resolve, defaults, route.source)
    if not service then
      return err
    end
    route.service = service.name
    model.services[service.name] = service
  end
  table.insert(open_host(model, (value.host or "*"):lower(), opened).routes, route)
  return err
end

--- Adds the routes of scripts to a model. What is wrong is a fault of that declaration.
---@param model table  its `settings` and `typed_settings` are the defaults of routes
---@param declared { value: table, file: string, line: integer }[]
---@param resolve fun(host: string): string[]?, string?
function M.add(model, declared, resolve)
  local defaults, opened = defaults_of(model.settings, model.typed_settings), {}
  defaults.resolve = resolve
  for number, one in ipairs(declared) do
    local err = add(model, one, number, defaults, opened)
    if err then
      table.insert(model.faults, fault(one, err))
    end
  end
end

return M
