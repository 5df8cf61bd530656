-- SPDX-License-Identifier: Apache-2.0
--
-- Consistent hashing: one key, one endpoint (`hash`), or one key, a few endpoints of which one is
-- drawn (`subset_hash`). An endpoint that comes or goes moves its own share of the keys alone.
local ffi = require("ffi")

local C = require("moongate.api.core")

local M = {}

-- As many endpoints as one key is ranked for at most; see mg_rank.
local RANK_MAX = 32
local order = ffi.new("uint32_t[?]", RANK_MAX)

function M.rebuild(self)
  local count = #self.live
  self.seeds = ffi.new("uint32_t[?]", count)
  self.shares = ffi.new("double[?]", count)
  for i, endpoint in ipairs(self.live) do
    self.seeds[i - 1] = endpoint.seed
    self.shares[i - 1] = self.full_weights[i]
  end
end

-- How many of the key's endpoints stand in `order` afterwards.
local function rank(self, key, most)
  return C.mg_rank(key, #key, self.seeds, self.shares, #self.live, order, most)
end

--- The endpoint of a key; of those that were tried the next in the key's order.
---@param key string
function M.find(self, key, tried)
  if not tried then
    rank(self, key, 1)
    return self.live[order[0] + 1]
  end
  for i = 0, rank(self, key, RANK_MAX) - 1 do
    local endpoint = self.live[order[i] + 1]
    if not tried[endpoint] then
      return endpoint
    end
  end
  return self.live[order[0] + 1]
end

function M.choose(self, tried, key)
  return M.find(self, key or "", tried)
end

M.subset = { rebuild = M.rebuild }

function M.subset.choose(self, tried, key)
  key = key or ""
  local count = rank(self, key, math.min(self.subset_size, RANK_MAX))
  local start = math.floor(self.random() * count)
  for i = 0, count - 1 do
    local endpoint = self.live[order[(start + i) % count] + 1]
    if not tried or not tried[endpoint] then
      return endpoint
    end
  end
  return M.find(self, key, tried)
end

return M
