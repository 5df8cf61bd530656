-- SPDX-License-Identifier: Apache-2.0
--
-- Drawing endpoints by lot, for the algorithms that compare a few.
local M = {}

--- Live endpoints that were not tried, and their weights; all live ones when each was.
---@param tried? table<moongate.Endpoint, any>
---@return moongate.Endpoint[]
---@return number[] weights
function M.untried(self, tried)
  if not tried or next(tried) == nil then
    return self.live, self.weights
  end
  local endpoints, weights = {}, {}
  for i, endpoint in ipairs(self.live) do
    if not tried[endpoint] then
      endpoints[#endpoints + 1] = endpoint
      weights[#weights + 1] = self.weights[i]
    end
  end
  if #endpoints == 0 then
    return self.live, self.weights
  end
  return endpoints, weights
end

--- The better of two different ones that were drawn by lot; `score(endpoint, weight, now)` of the
--- better one is the lesser.
function M.better_of_two(self, endpoints, weights, score, now)
  local count = #endpoints
  local first = math.floor(self.random() * count) + 1
  if count == 1 then
    return endpoints[first]
  end
  local second = math.floor(self.random() * (count - 1)) + 1
  if second >= first then
    second = second + 1
  end
  local score_first = score(endpoints[first], weights[first], now)
  local score_second = score(endpoints[second], weights[second], now)
  return score_second < score_first and endpoints[second] or endpoints[first]
end

return M
