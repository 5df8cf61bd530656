-- SPDX-License-Identifier: Apache-2.0
-- Cipher suites of a host (ssl-ciphers, ssl-prefer-server-ciphers). Of each the oldest Ingress
-- of the host that says it decides; what nobody says is the setting of the same name.
local model = require("moongate.control.model")

local M = {}

local CIPHERS, PREFER = "ssl-ciphers", "ssl-prefer-server-ciphers"

---@class moongate.Suites
---@field ciphers string?   names of OpenSSL
---@field prefer boolean?   our order, not the client's
---@field source string     the Ingress that says so

--- What an Ingress says of a host, noted with the server.
---@param server moongate.Server
---@param ingress moongate.Ingress
function M.decide(server, ingress)
  local values, known = ingress.notes.values, server.suites or {}
  local ciphers, prefer = values[CIPHERS], values[PREFER]
  if server.host == "*" or ciphers == nil and prefer == nil then
    return
  end
  if known.ciphers == nil and ciphers ~= nil then
    known.ciphers, known.source = ciphers, ingress.object.title
  end
  if known.prefer == nil then
    known.prefer = prefer
  end
  server.suites = known
end

--- The list for the model.
---@param context table
---@param servers table<string, moongate.Server>
---@param further table<string, string[]>  host -> aliases and redirecting hosts
---@return table[]?
function M.list(context, servers, further)
  local list, settings = {}, context.settings
  for _, host in ipairs(model.keys(servers)) do
    local own = servers[host].suites
    if own then
      local prefer = own.prefer
      if prefer == nil then
        prefer = settings[PREFER]
      end
      list[#list + 1] = { names = { host, unpack(further[host] or {}) },
        ciphers = own.ciphers or settings[CIPHERS], client_order = not prefer or nil,
        source = own.source }
    end
  end
  return list[1] and list or nil
end

return M
