-- SPDX-License-Identifier: Apache-2.0
-- Hosts whose TLS is their service's own (ssl-passthrough): what clients send to such a name goes
-- there as it is. The service is that of the path `/`. No other annotation means anything for it.
local model = require("moongate.control.model")
local services = require("moongate.control.translate.services")

local M = {}

local NAME = "ssl-passthrough"
local FLAG = "enable-ssl-passthrough"

local function complain(context, ingress, message)
  local path = { "metadata", "annotations", context.notes.prefix .. NAME }
  local fault = model.fault(context.faults, ingress.object, "warning", path, message)
  fault.annotation, fault.code = NAME, "passthrough"
end

--- What an Ingress says of a host, noted with the server: the oldest that wants it counts.
---@param context table
---@param server moongate.Server
---@param ingress moongate.Ingress
function M.decide(context, server, ingress)
  if not ingress.notes.values[NAME] or server.passthrough or server.host == "*" then
    return
  elseif not context.flags[FLAG] then
    complain(context, ingress, "has no effect without the flag --" .. FLAG .. "; the gateway "
      .. "terminates TLS")
    return
  end
  server.passthrough = ingress
end

local function root_of(server)
  local location = server.by_path["^/"]
  return location and not location.default and location.backend and location or nil
end

--- The list for the model.
---@param context table
---@param servers table<string, moongate.Server>
---@return table[]?
function M.list(context, servers)
  local list = {}
  for _, host in ipairs(model.keys(servers)) do
    local server = servers[host]
    local root = server.passthrough and root_of(server)
    if root then
      local name = services.use(context, root.ingress, root.backend, root.field, { path = "/" })
      list[#list + 1] = name and { names = { host }, service = name } or nil
    elseif server.passthrough then
      complain(context, server.passthrough, "needs a rule for the path /, which says where the "
        .. "bytes go; the gateway terminates TLS")
    end
  end
  return list[1] and list or nil
end

return M
