-- SPDX-License-Identifier: Apache-2.0
--
-- Endpoints of a service as the balance hook of a plugin sees them. Made only where a plugin has
-- that hook.
local M = {}

local ENDPOINT, WEIGHT, TRIED = 1, 2, 3

---@class moongate.Candidate
---@field address string
---@field port integer
---@field name string      address:port
---@field zone string?
---@field weight number    above 0; less than configured during a slow start
---@field inflight integer attempts of this worker that have not ended
---@field healthy boolean  false: all are down, so that any may be tried
---@field tried boolean    by an earlier attempt of this request
local Candidate = {}

local READ = {
  weight = function(self)
    return self[WEIGHT]
  end,
  healthy = function(self)
    return self[ENDPOINT].healthy and M.now() >= self[ENDPOINT].down_until
  end,
  tried = function(self)
    return self[TRIED]
  end,
}
for _, key in ipairs({ "address", "port", "name", "zone", "inflight" }) do
  READ[key] = function(self)
    return self[ENDPOINT][key]
  end
end

function Candidate.__index(self, key)
  local read = READ[key]
  return read and read(self)
end

function Candidate.__newindex(_, key)
  error(("a candidate's %s is read-only"):format(tostring(key)), 2)
end

--- The clock of endpoints, set by whoever makes balancers.
---@type fun(): number
M.now = nil

--- Views of endpoints in their order.
---@param endpoints moongate.Endpoint[]
---@param weights number[]
---@param tried table<moongate.Endpoint, any>?
---@return moongate.Candidate[]
function M.list(endpoints, weights, tried)
  local views = {}
  for i = 1, #endpoints do
    local endpoint = endpoints[i]
    local is_tried = tried ~= nil and tried[endpoint] ~= nil
    views[i] = setmetatable({ endpoint, weights[i], is_tried }, Candidate)
  end
  return views
end

--- The endpoint that a hook means by what it returned: one of the list, or its position.
---@param views moongate.Candidate[]
---@param value any
---@return moongate.Endpoint?
function M.chosen(views, value)
  if type(value) == "number" then
    local view = views[value]
    return view and view[ENDPOINT]
  end
  for _, view in ipairs(views) do
    if rawequal(view, value) then
      return view[ENDPOINT]
    end
  end
end

return M
