-- SPDX-License-Identifier: Apache-2.0
-- Endpoints of a port of a Service: from EndpointSlices, the ClusterIP, or an external name.
local address = require("moongate.control.model.address")

local M = {}

--- A port of a Service by number, name or targetPort, as ingress-nginx looks it up.
---@param service moongate.Object
---@param wanted integer|string
---@param protocol string?  "TCP" or "UDP"; nil: any
---@return table? port  of spec.ports
function M.port_of(service, wanted, protocol)
  for _, port in ipairs(service.value.spec.ports or {}) do
    local is_wanted = port.port == wanted or port.name == wanted or port.targetPort == wanted
    if is_wanted and (not protocol or (port.protocol or "TCP") == protocol) then
      return port
    end
  end
end

local function is_usable(conditions, terminating_too)
  if terminating_too then
    return conditions.terminating == true and conditions.serving ~= false
  end
  return conditions.ready ~= false
end

local function slice_port(slice, name, protocol)
  for _, port in ipairs(slice.value.ports or {}) do
    if (port.name or "") == name and (port.protocol or "TCP") == protocol then
      return port.port
    end
  end
end

local function add_slice(list, seen, slice, port, terminating_too)
  for _, endpoint in ipairs(slice.value.endpoints or {}) do
    -- Only the first address counts; the others are the same endpoint.
    local ip = endpoint.addresses[1]
    local key = ip and ip .. " " .. port
    if key and not seen[key] and is_usable(endpoint.conditions or {}, terminating_too) then
      seen[key] = true
      list[#list + 1] = { address = ip, port = port, weight = 1, zone = endpoint.zone }
    end
  end
end

local function by_name(left, right)
  return left.name < right.name
end

local function from_slices(context, service, port, protocol, terminating_too)
  local slices = context.store.slices[service.key] or {}
  table.sort(slices, by_name)
  local list, seen = {}, {}
  for _, slice in ipairs(slices) do
    local number = slice_port(slice, port.name or "", protocol)
    if number then
      add_slice(list, seen, slice, number, terminating_too)
    end
  end
  return list
end

local function from_all_slices(context, service, port, protocol)
  local list = from_slices(context, service, port, protocol, false)
  if not list[1] and context.settings["serve-terminating-endpoints"] then
    list = from_slices(context, service, port, protocol, true)
  end
  return list
end

local function is_own_machine(name)
  name = name:lower():gsub("%.$", "")
  return name == "localhost" or name:find("%.localhost$") ~= nil or address.is_loopback(name)
end

local function external(context, service, wanted)
  local name = service.value.spec.externalName
  if context.flags["disable-svc-external-name"] then
    return {}, "is an ExternalName, which --disable-svc-external-name forbids"
  elseif is_own_machine(name) then
    return {}, ("names %s, the gateway's own machine, which is never contacted"):format(name)
  end
  local port = M.port_of(service, wanted)
  local number = port and (tonumber(port.targetPort) or port.port) or tonumber(wanted)
  if not number then
    return {}, ("has no port named %s"):format(wanted)
  end
  return { { address = name:lower():gsub("%.$", ""), port = number, weight = 1, resolve = true } }
end

--- Finds the endpoints of a Service's port.
---@param context table        store, flags, settings
---@param service moongate.Object?  nil: there is none
---@param wanted integer|string  number or name of the port
---@param cluster_ip boolean   one endpoint, the ClusterIP, where there is one
---@param protocol string?     of the port, for a TCP or UDP service; nil: HTTP's
---@return table[] endpoints
---@return string? wrong       why there can be none, whatever the pods do
function M.find(context, service, wanted, cluster_ip, protocol)
  if not service then
    return {}
  end
  local spec = service.value.spec
  if spec.type == "ExternalName" then
    return external(context, service, wanted)
  end
  local port = M.port_of(service, wanted, protocol)
  if not port then
    return {}, ("has no port %s%s"):format(wanted, protocol and " of " .. protocol or "")
  end
  if cluster_ip and spec.clusterIP and spec.clusterIP ~= "None" and spec.clusterIP ~= "" then
    return { { address = spec.clusterIP, port = port.port, weight = 1 } }
  end
  return from_all_slices(context, service, port, protocol or "TCP")
end

return M
