-- SPDX-License-Identifier: Apache-2.0
--
-- mg.route declarations of scripts become hosts, routes and services of the model.
local url = require("moongate.api.url")

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
  priority = "number",
  name = "string",
}

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

local function targets(to)
  local list = type(to) == "table" and to or { to }
  local parsed = {}
  for i, text in ipairs(list) do
    local one, err = url.parse(tostring(text))
    if not one then
      return nil, ("to = %q: %s"):format(tostring(text), err)
    end
    parsed[i] = one
  end
  return parsed
end

local function is_address(host)
  return host:match("^%d+%.%d+%.%d+%.%d+$") ~= nil or host:find(":", 1, true) ~= nil
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

local function plugins_of(list)
  local plugins = {}
  for i, plugin in ipairs(list or {}) do
    plugins[i] = type(plugin) == "string" and { name = plugin } or plugin
  end
  return #plugins > 0 and plugins or nil
end

local function route_of(declared)
  local value = declared.value
  local host, path = value.host or "*", value.path or "/"
  local route = {
    id = ("%s:%d %s%s"):format(declared.file, declared.line, host, path),
    path = { type = value.match or "prefix", value = path },
    methods = value.methods,
    headers = value.headers,
    query = value.query,
    plugins = plugins_of(value.plugins),
    settings = value.settings,
    priority = value.priority or 0,
    source = { kind = "Script", file = declared.file, line = declared.line },
  }
  if value.match ~= "regex" and #route.path.value > 1 then
    route.path.value = route.path.value:gsub("/$", "")
  end
  return route
end

-- A name that does not resolve leaves a service without endpoints, and a fault.
local function service_of(declared, number, resolve, source)
  local value = declared.value
  local parsed, err = targets(value.to)
  if not parsed then
    return nil, err
  end
  local list
  list, err = endpoints(parsed, resolve)
  return {
    name = value.name or ("script-" .. number),
    endpoints = list or {},
    protocol = parsed[1].scheme,
    tls = parsed[1].scheme == "https" and { verify = true, server_name = parsed[1].host } or nil,
    balance = { algorithm = value.balance or "round_robin" },
    source = source,
  }, err
end

local function add(model, declared, number, resolve)
  local err = check(declared)
  if err then
    return err
  end
  local value, route = declared.value, route_of(declared)
  if value.to then
    local service
    service, err = service_of(declared, number, resolve, route.source)
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
---@param model table
---@param declared { value: table, file: string, line: integer }[]
---@param resolve fun(host: string): string[]?, string?
function M.add(model, declared, resolve)
  for number, one in ipairs(declared) do
    local err = add(model, one, number, resolve)
    if err then
      table.insert(model.faults, fault(one, err))
    end
  end
end

return M
