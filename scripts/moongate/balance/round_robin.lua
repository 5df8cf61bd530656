-- SPDX-License-Identifier: Apache-2.0
--
-- Smooth weighted round robin, as in nginx. The order is worked out when endpoints, weights or
-- health change: it repeats after the sum of the weights, so that a pick is one step in a list.
local M = {}

-- Weights are rounded so that the list has about this length at most.
local LENGTH_MAX = 1024

local function divisor(a, b)
  while b > 0 do
    a, b = b, a % b
  end
  return a
end

-- Small whole numbers in the proportion of the weights; slow start makes fractions.
local function whole_weights(weights)
  local total = 0
  for _, weight in ipairs(weights) do
    total = total + weight * 10
  end
  local factor = total > LENGTH_MAX and LENGTH_MAX / total or 1
  local list, common = {}, 0
  for i, weight in ipairs(weights) do
    list[i] = math.max(1, math.floor(weight * 10 * factor + 0.5))
    common = divisor(list[i], common)
  end
  for i = 1, #list do
    list[i] = list[i] / common
  end
  return list
end

--- The endpoints in the order of one period.
---@param endpoints moongate.Endpoint[]
---@param weights number[]  above 0
---@return moongate.Endpoint[]
function M.sequence(endpoints, weights)
  local whole = whole_weights(weights)
  local total, current = 0, {}
  for i, weight in ipairs(whole) do
    total = total + weight
    current[i] = 0
  end
  local sequence = {}
  for step = 1, total do
    local best = 1
    for i, weight in ipairs(whole) do
      current[i] = current[i] + weight
      if current[i] > current[best] then
        best = i
      end
    end
    current[best] = current[best] - total
    sequence[step] = endpoints[best]
  end
  return sequence
end

function M.rebuild(self)
  self.sequence = M.sequence(self.live, self.weights)
  -- Workers that all began at the start would all send their first request to one endpoint.
  self.cursor = math.floor(self.random() * #self.sequence)
end

local function next_untried(self, tried)
  local sequence = self.sequence
  for step = 0, #sequence - 1 do
    local cursor = (self.cursor + step - 1) % #sequence + 1
    if not tried[sequence[cursor]] then
      self.cursor = cursor
      return sequence[cursor]
    end
  end
  return sequence[self.cursor]
end

function M.choose(self, tried)
  local cursor = self.cursor + 1
  if cursor > #self.sequence then
    cursor = 1
  end
  self.cursor = cursor
  local endpoint = self.sequence[cursor]
  if not tried or not tried[endpoint] then
    return endpoint
  end
  return next_untried(self, tried)
end

return M
