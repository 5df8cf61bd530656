-- SPDX-License-Identifier: Apache-2.0
--
-- TLS towards the services of routes.
local log = require("moongate.api.log")
local protocols = require("moongate.protocols")
local tls = require("moongate.api.tls")

local M = {}

--- The profile of connections to a balancer's service: nil for plain ones, false when what is asked
--- cannot be had.
---@param balancer moongate.Balancer
---@return ffi.cdata*|false|nil profile  struct mg_tls_client *
function M.profile(balancer)
  if not balancer.tls then
    return nil
  end
  local version = protocols[balancer.protocol].version
  local profile, err, is_new = tls.profile(balancer.tls, version)
  if not profile and is_new then
    log.error("upstream_tls_rejected", { service = balancer.name, error = err })
  end
  return profile or false
end

return M
