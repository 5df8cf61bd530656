-- SPDX-License-Identifier: Apache-2.0
--
-- mg.route declarations of scripts become hosts, routes and services of the model.
local access = require("moongate.control.model.access")
local schema = require("moongate.api.schema")
local url = require("moongate.api.url")
local vocabulary = require("moongate.settings")

local M = {}

local KEYS = {
  host = "string",
  path = "string",
  match = "string",
  methods = "table",
  headers = "table",
  query = "table",
  to = true,
  plugins = "table",
  settings = "table",
  balance = "string",
  health = "table",
  priority = "number",
  name = "string",
}

-- "unix:", and what the kernel takes of a path.
local UNIX_LENGTH_MAX = 5 + 107

local MATCHES = { prefix = true, exact = true, regex = true }

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

local function check(declared)
  for key, value in pairs(declared.value) do
    local kind = KEYS[key]
    if not kind then
      local near = require("moongate.nearest").of(tostring(key), KEYS)
      local hint = near and ("; did you mean %q?"):format(near) or ""
      return ("unknown key %q%s"):format(tostring(key), hint)
    elseif kind ~= true and type(value) ~= kind then
      return ("%s is a %s, not a %s"):format(key, kind, type(value))
    end
  end
  if declared.value.match and not MATCHES[declared.value.match] then
    return ("match = %q; it is prefix, exact or regex"):format(declared.value.match)
  end
end

-- --- where to ----------------------------------------------------------------

-- The socket of `unix:/path`, `http://unix:/path` or, as nginx writes it, `http://unix:/path:`.
local function unix_target(text)
  local path = text:match("^unix:(/[^:%s]+)$")
  if path then
    return { scheme = "http", host = "unix:" .. path, port = 0, name = "localhost" }
  end
  local scheme
  scheme, path = text:match("^(https?)://unix:(/[^:%s]+):?$")
  return path and { scheme = scheme, host = "unix:" .. path, port = 0, name = "localhost" }
end

local function targets(to)
  local list = type(to) == "table" and to or { to }
  local parsed = {}
  for i, text in ipairs(list) do
    text = tostring(text)
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

local s = schema

local HEALTH = s.record({
  path = s.path():description("asked of each endpoint; without it there are no active checks"),
  host = s.header_value():len(1):description("Host of a check; the endpoint's address by default"),
  status = s.one_of(s.status_code(), s.array(s.status_code()):len(1))
    :description("what a healthy endpoint answers; 200 to 399 by default"),
  interval = s.duration():default("5s"):between("100ms", "1h"),
  timeout = s.duration():default("1s"):between("10ms", "1m"),
  healthy = s.integer():default(2):between(1, 100):description("good checks until it is back"),
  unhealthy = s.integer():default(3):between(1, 100):description("bad checks until it is out"),
  max_fails = s.integer():default(0):between(0, 1000000)
    :description("failed attempts within fail_timeout until it is left out; 0: never"),
  fail_timeout = s.duration():default("10s"):between("1ms", "1d"),
  slow_start = s.duration():default("0s"):between("0s", "1d")
    :description("until an endpoint that is new or back has its full weight"),
})
local OF_CHECKS = { "host", "status", "interval", "timeout", "healthy", "unhealthy" }

local function fault_text(faults)
  local list = {}
  for i, one in ipairs(faults) do
    local hint = one.hint and "; " .. one.hint or ""
    list[i] = one.path:gsub("^config", "health") .. ": " .. one.message .. hint
  end
  return table.concat(list, "; ")
end

local function check_without_path(value)
  for _, key in ipairs(OF_CHECKS) do
    if value[key] ~= nil and value.path == nil then
      return ("health.%s is of checks, which need a path to ask for"):format(key)
    end
  end
end

--- What mg.route says of health, as a service of the model has it.
---@param value table?
---@return table? health
---@return string? err
local function health_of(value)
  if value == nil then
    return nil
  end
  local read, faults = HEALTH:read(value)
  local err = read and check_without_path(value) or not read and fault_text(faults)
  if err then
    return nil, err
  end
  local status = read.status
  return {
    max_fails = read.max_fails,
    fail_timeout_ms = read.fail_timeout * 1000,
    slow_start_ms = read.slow_start * 1000,
    active = read.path and {
      path = read.path,
      host = read.host,
      status = type(status) == "number" and { status } or status,
      interval_ms = read.interval * 1000,
      timeout_ms = read.timeout * 1000,
      healthy = read.healthy,
      unhealthy = read.unhealthy,
    } or nil,
  }
end

-- --- routes ------------------------------------------------------------------

local function plugins_of(list, guard)
  local plugins = { guard and { name = "ip-restriction", config = guard, id = "settings" } }
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
  retry_on = "proxy-next-upstream",
  body_limit_bytes = "proxy-body-size",
  buffer_request = "proxy-request-buffering",
  http_version = "proxy-http-version",
}

local function retries(wanted, typed)
  if wanted.retry_on and wanted.retry_on[1] == "off" then
    wanted.retry_on, wanted.tries = {}, 1
  end
  if typed["retry-non-idempotent"] then
    wanted.retry_on = { "non_idempotent", unpack(wanted.retry_on or { "error", "timeout" }) }
  end
end

-- A setting that would keep somebody out, were it honoured: nobody is let in meanwhile.
local function denied_by(raw)
  for name in pairs(raw) do
    local setting = vocabulary.get(name)
    if setting and setting.unsupported == "guard" then
      return name .. " is not supported yet"
    end
  end
end

--- What the settings of the gateway say of routes that say nothing themselves.
---@param raw table<string, string>  those that are set
---@return { settings: table, balance: string, guard: table?, denied: string? }
local function defaults_of(raw)
  local typed = vocabulary.read(raw)
  local wanted = {}
  for key, name in pairs(SETTINGS) do
    if raw[name] ~= nil then
      wanted[key] = typed[name]
    end
  end
  retries(wanted, typed)
  return {
    settings = wanted,
    balance = typed["load-balance"],
    guard = access.restriction(typed, typed["whitelist-source-range"],
      typed["denylist-source-range"]),
    denied = denied_by(raw),
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
  return next(all) and all or nil
end

local function route_of(declared, defaults)
  local value = declared.value
  local host, path = value.host or "*", value.path or "/"
  local route = {
    id = ("%s:%d %s%s"):format(declared.file, declared.line, host, path),
    path = { type = value.match or "prefix", value = path },
    methods = value.methods,
    headers = value.headers,
    query = value.query,
    plugins = plugins_of(value.plugins, defaults.guard),
    settings = settings_of(value.settings, defaults.settings),
    priority = value.priority or 0,
    fault = defaults.denied,
    source = { kind = "Script", file = declared.file, line = declared.line },
  }
  if value.match ~= "regex" and #route.path.value > 1 then
    route.path.value = route.path.value:gsub("/$", "")
  end
  return route
end

local function tls_of(target)
  if target.scheme == "https" then
    return { verify = true, server_name = target.name or target.host }
  end
end

-- A name that does not resolve leaves a service without endpoints, and a fault.
local function service_of(declared, number, resolve, defaults, source)
  local value = declared.value
  local parsed, err = targets(value.to)
  local health
  if parsed then
    health, err = health_of(value.health)
  end
  if err then
    return nil, err
  end
  local list
  list, err = endpoints(parsed, resolve)
  return {
    name = value.name or ("script-" .. number),
    endpoints = list or {},
    protocol = parsed[1].scheme,
    tls = tls_of(parsed[1]),
    balance = { algorithm = value.balance or defaults.balance },
    health = health,
    source = source,
  }, err
end

local function add(model, declared, number, resolve, defaults)
  local err = check(declared)
  if err then
    return err
  end
  local value, route = declared.value, route_of(declared, defaults)
  if value.to then
    local service
    service, err = service_of(declared, number, resolve, defaults, route.source)
    if not service then
      return err
    end
    route.service = service.name
    model.services[service.name] = service
  end
  local host = (value.host or "*"):lower()
  model.hosts[host] = model.hosts[host] or { routes = {} }
  table.insert(model.hosts[host].routes, route)
  return err
end

--- Adds the routes of scripts to a model. What is wrong is a fault of that declaration.
---@param model table  its `settings` are the defaults of routes
---@param declared { value: table, file: string, line: integer }[]
---@param resolve fun(host: string): string[]?, string?
function M.add(model, declared, resolve)
  local defaults = defaults_of(model.settings or {})
  for number, one in ipairs(declared) do
    local err = add(model, one, number, resolve, defaults)
    if err then
      table.insert(model.faults, fault(one, err))
    end
  end
end

return M
