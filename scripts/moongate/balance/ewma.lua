-- SPDX-License-Identifier: Apache-2.0
--
-- The better of two endpoints by a moving average of how long answers took, times the requests that
-- wait for one. What is old counts for less: it decays within ten seconds, as in ingress-nginx.
local draw = require("moongate.balance.draw")

local M = {}

--- Needs `begin` and `done` of each try.
M.counts = true

local DECAY_S = 10

local function decayed(endpoint, seconds, now)
  local passed = math.max(0, now - endpoint.touched)
  local kept = math.exp(-passed / DECAY_S)
  return endpoint.ewma * kept + seconds * (1 - kept)
end

local function score(endpoint, weight, now)
  return decayed(endpoint, 0, now) * (endpoint.inflight + 1) / weight
end

function M.choose(self, tried)
  local endpoints, weights = draw.untried(self, tried)
  return draw.better_of_two(self, endpoints, weights, score, self.now())
end

--- An answer took `seconds`.
function M.observe(_, endpoint, seconds, now)
  endpoint.ewma = decayed(endpoint, seconds, now)
  endpoint.touched = now
end

--- Endpoints that are new begin with the average of the others: neither flooded nor shunned.
---@param fresh moongate.Endpoint[]
---@param known moongate.Endpoint[]
function M.welcome(_, fresh, known, now)
  local sum = 0
  for _, endpoint in ipairs(known) do
    sum = sum + endpoint.ewma
  end
  for _, endpoint in ipairs(fresh) do
    endpoint.ewma = #known > 0 and sum / #known or 0
    endpoint.touched = now
  end
end

return M
