-- SPDX-License-Identifier: Apache-2.0
--
-- Sessions by cookie. "balanced": the cookie's key is hashed, so that sessions spread over new
-- endpoints. "persistent": the key names an endpoint, and the session stays while that lives.
local cookie = require("moongate.balance.cookie")
local hash = require("moongate.balance.hash")

local M = {}

-- As often as a new key is made until one does not belong to an endpoint that was tried.
local KEYS_MAX = 20

--- Adds to a balancer what its affinity needs.
function M.prepare(self)
  local affinity = self.affinity
  self.cookie_name = cookie.name_of(affinity)
  self.backend_key = cookie.backend_key(self.name)
  self.is_persistent = affinity.mode == "persistent"
  if self.is_persistent then
    self.by_key = {}
    for _, endpoint in ipairs(self.endpoints) do
      self.by_key[cookie.md5(endpoint.name .. self.name)] = endpoint
    end
  end
end

-- Key and endpoint of a new session.
local function begin_balanced(self, tried)
  local key, endpoint
  for _ = 1, KEYS_MAX do
    key = ("%.3f.%d.%d"):format(self.now(), self.worker, math.floor(self.random() * 1e6))
    endpoint = hash.find(self, key)
    if not tried or not tried[endpoint] then
      break
    end
  end
  return endpoint, key
end

local function begin_persistent(self, tried)
  local endpoint = self.algorithm.choose(self, tried, nil)
  return endpoint, cookie.md5(endpoint.name .. self.name)
end

local function find(self, key, tried)
  if not self.is_persistent then
    return hash.find(self, key)
  end
  local endpoint = self.by_key[key]
  if endpoint and not self.is_live[endpoint] then
    -- It may come back: the session keeps its cookie and is a guest elsewhere until then.
    return hash.find(self, key, tried)
  end
  return endpoint
end

--- The endpoint of the request's session.
---
--- The second result is the value of a cookie that has to be set: a session begins, or it moves
--- because a try failed and `change_on_failure` is on.
---@return moongate.Endpoint
---@return string? cookie_value
function M.choose(self, request, generation, tried)
  local key = cookie.read(request, generation, self.cookie_name)
  local endpoint = key and find(self, key, tried)
  local must_move = tried and next(tried) ~= nil and self.affinity.change_on_failure
  if endpoint and not must_move then
    return endpoint
  end
  if self.is_persistent then
    endpoint, key = begin_persistent(self, tried)
  else
    endpoint, key = begin_balanced(self, tried)
  end
  return endpoint, key .. "|" .. self.backend_key
end

--- Whether the request's cookie was given out by this service: a canary keeps the sessions that it
--- has, and gets none of those of the main service.
---@return boolean
function M.is_own(self, request, generation)
  local _, backend = cookie.read(request, generation, self.cookie_name)
  return backend ~= nil and backend == self.backend_key
end

return M
