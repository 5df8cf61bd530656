-- SPDX-License-Identifier: Apache-2.0
--
-- What explain found, for people.
local json = require("moongate.api.json")

local M = {}

local function place_of(source)
  if not source then
    return ""
  end
  if not source.file then
    return ""
  end
  return ("  (%s%s)"):format(source.file, source.line and ":" .. source.line or "")
end

local function keys_of(map)
  local keys = {}
  for key in pairs(map or {}) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function value_of(value)
  return type(value) == "table" and json.encode(value) or tostring(value)
end

local function section(lines, name, entries)
  for i, entry in ipairs(entries) do
    lines[#lines + 1] = ("%-11s %s"):format(i == 1 and name or "", entry)
  end
end

local function hosts(explained)
  local entries = {}
  for i, host in ipairs(explained.hosts) do
    entries[i] = ("%s: %s"):format(host.name, host.lost or "taken")
  end
  return entries
end

local function candidates(explained)
  local entries = {}
  for i, one in ipairs(explained.candidates) do
    local verdict = one.lost and "no: " .. one.lost or "yes"
    if one.limit then
      verdict = "yes, but its pattern went over its limit of effort"
    end
    entries[i] = ("%s [%s %s] %s"):format(one.id, one.path_type, one.path, verdict)
  end
  return #entries > 0 and entries or { "none: no path leads there" }
end

local function plugins(explained)
  local entries = {}
  for i, plugin in ipairs(explained.plugins or {}) do
    local config = plugin.config and " " .. value_of(plugin.config) or ""
    local runs = "does not run"
    if plugin.hooks then
      runs = plugin.stage .. ": " .. table.concat(plugin.hooks, ", ")
    end
    entries[i] = ("%s (%s)%s"):format(plugin.name, runs, config)
  end
  return entries
end

local function settings(explained)
  local entries = {}
  for i, key in ipairs(keys_of(explained.settings)) do
    entries[i] = ("%s = %s"):format(key, value_of(explained.settings[key]))
  end
  return entries
end

local function about_service(found, port)
  local about = found.protocol or port and port.protocol or "http"
  for _, key in ipairs(keys_of(found.balance)) do
    about = about .. (", %s %s"):format(key, value_of(found.balance[key]))
  end
  if found.affinity then
    about = about .. ", affinity by cookie " .. value_of(found.affinity.cookie)
  end
  return ("%s (%s)"):format(found.name, about)
end

local function health_of(endpoint)
  if endpoint.healthy == nil then
    return ""
  end
  return endpoint.healthy and ", healthy" or ", unhealthy"
end

local function endpoints_of(found)
  local choice = found.by_key and "  <- by the request's key"
    or "  <- first of a fresh worker; each has its own turn"
  local endpoints = {}
  for i, endpoint in ipairs(found.endpoints) do
    local zone = endpoint.zone and ", zone " .. endpoint.zone or ""
    local chosen = endpoint.address == found.choice and choice or ""
    local about = zone .. health_of(endpoint) .. chosen
    endpoints[i] = ("%s weight %d%s"):format(endpoint.address, endpoint.weight, about)
  end
  if #endpoints == 0 then
    endpoints[1] = "none is ready"
  end
  return endpoints
end

local function faults(explained)
  local entries = {}
  for i, fault in ipairs(explained.faults or {}) do
    local field = fault.field and fault.field .. ": " or ""
    entries[i] = ("%s: %s%s"):format(fault.severity, field, fault.message)
  end
  return entries
end

local function port_of(port)
  local about = ("%s %d"):format(port.protocol, port.port)
  about = about .. (port.decode and ", with a PROXY header of the client" or "")
  return about .. (port.encode and ", with a PROXY header for the service" or "")
    .. place_of(port.source)
end

local function add_request(lines, explained)
  local request, found = explained.request, explained.route
  local query = request.query and "?" .. request.query or ""
  section(lines, "request", {
    ("%s %s%s%s from %s, %s"):format(request.method, request.host, request.path, query,
      request.client, request.secure and "https" or "http"),
  })
  section(lines, "hosts", hosts(explained))
  section(lines, "candidates", candidates(explained))
  section(lines, "route", { found and found.id .. place_of(found.source) or "none" })
  section(lines, "plugins", plugins(explained))
  section(lines, "settings", settings(explained))
end

--- Lines of text, ended by a newline.
---@param explained table  of moongate.explain
---@return string
function M.of(explained)
  local lines = {}
  if explained.port then
    section(lines, "port", { port_of(explained.port) })
  else
    add_request(lines, explained)
  end
  if explained.service then
    section(lines, "service", { about_service(explained.service, explained.port) })
    section(lines, "endpoints", endpoints_of(explained.service))
  end
  section(lines, "faults", faults(explained))
  section(lines, "outcome", { explained.outcome })
  return table.concat(lines, "\n") .. "\n"
end

return M
