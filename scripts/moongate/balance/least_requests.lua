-- SPDX-License-Identifier: Apache-2.0
--
-- The endpoint with the fewest requests in flight for its weight: of all when they are few, of two
-- drawn by lot when they are many (which is nearly as good, and costs the same for any number).
local draw = require("moongate.balance.draw")

local M = {}

--- Needs `begin` and `done` of each try.
M.counts = true

local FEW = 8

local function score(endpoint, weight)
  return (endpoint.inflight + 1) / weight
end

function M.choose(self, tried)
  local endpoints, weights = draw.untried(self, tried)
  local count = #endpoints
  if count > FEW then
    return draw.better_of_two(self, endpoints, weights, score)
  end
  -- Equal ones take turns, because each search begins one further on.
  self.turn = (self.turn or 0) + 1
  local best, best_score
  for i = 0, count - 1 do
    local at = (self.turn + i) % count + 1
    local mine = score(endpoints[at], weights[at])
    if not best or mine < best_score then
      best, best_score = endpoints[at], mine
    end
  end
  return best
end

return M
