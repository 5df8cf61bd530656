-- SPDX-License-Identifier: Apache-2.0
--
-- What a worker knows of one endpoint of a service: requests in flight, latency, health. Outlives
-- the snapshots that name it, so that a rollout does not make the gateway forget.
local C = require("moongate.api.core")

local M = {}

--- "address:port", with brackets around an IPv6 address; a unix socket's is its address.
---@return string
function M.name(address, port)
  if address:sub(1, 5) == "unix:" then
    return address
  end
  return (address:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(address, port)
end

---@class moongate.Endpoint
---@field address string
---@field port integer
---@field name string
---@field zone? string
---@field seed integer  tells endpoints apart in consistent hashing
---@field number? integer  the upstream pool's, set by whoever asks the pool first
---@field plain_number? integer  the same without TLS, where a service has both
---@field inflight integer
---@field ewma number  seconds
---@field touched number  when `ewma` was last brought up to date
---@field fails integer
---@field failed_at number
---@field down_until number
---@field healthy boolean  by the active check; true without one
---@field since number  when its slow start began

---@param entry { address: string, port: integer, zone: string? }
---@return moongate.Endpoint
function M.new(entry)
  local name = M.name(entry.address, entry.port)
  return {
    address = entry.address,
    port = entry.port,
    name = name,
    zone = entry.zone,
    seed = C.mg_hash(name, #name, 0),
    inflight = 0,
    ewma = 0,
    touched = 0,
    fails = 0,
    failed_at = -math.huge,
    down_until = -math.huge,
    healthy = true,
    since = -math.huge,
  }
end

--- Whether it may be picked.
---@param now number
---@return boolean
function M.is_up(endpoint, now)
  return endpoint.healthy and now >= endpoint.down_until
end

--- A try failed. Returns true when the endpoint is down from now on.
---@param health { max_fails: integer, fail_timeout: number }  0: none is too many; seconds
---@return boolean
function M.failed(endpoint, health, now)
  endpoint.fails = endpoint.fails + 1
  endpoint.failed_at = now
  if health.max_fails == 0 or endpoint.fails < health.max_fails then
    return false
  end
  endpoint.down_until = now + health.fail_timeout
  endpoint.since = endpoint.down_until
  return true
end

--- A try went well. As in nginx this takes failures back only when none was within the timeout; so
--- an endpoint that was down and is tried again is down at once when it fails.
function M.succeeded(endpoint, health, now)
  if endpoint.fails > 0 and now - endpoint.failed_at > health.fail_timeout then
    endpoint.fails = 0
  end
end

-- Of its weight this part at least is an endpoint's from the start.
local FIRST_SHARE = 0.1

--- The part of its weight that an endpoint in slow start has, above 0; 1 afterwards.
---@param duration number  seconds
---@return number
function M.share(endpoint, duration, now)
  local passed = now - endpoint.since
  if duration <= 0 or passed >= duration then
    return 1
  end
  return math.max(FIRST_SHARE, passed / duration)
end

return M
