-- SPDX-License-Identifier: Apache-2.0
--
-- TLS towards upstreams: one profile for each service that asks for it.
local M = {}

--- The profile that connections of a balancer's service use; nil for plain ones.
---@param balancer moongate.Balancer
---@return ffi.cdata*? profile  struct mg_tls_client *
function M.profile(balancer)
  return balancer.tls_profile
end

return M
