-- SPDX-License-Identifier: Apache-2.0
--
-- Balancers with a clock and a lot that specs hold in their hands.
local traffic = require("spec.support.traffic")
local json = require("dkjson")

local M = {}

-- The minimal standard generator: the same numbers everywhere.
function M.random(seed)
  local state = seed
  return function()
    state = state * 48271 % 2147483647
    return state / 2147483647
  end
end

--- Endpoints "10.0.0.N:80" of the weights given, or `count` of weight 1.
function M.endpoints(weights)
  local list = {}
  if type(weights) == "number" then
    for i = 1, weights do
      list[i] = { address = "10.0.0." .. i, port = 80, weight = 1 }
    end
    return list
  end
  for i, weight in ipairs(weights) do
    list[i] = { address = "10.0.0." .. i, port = 80, weight = weight }
  end
  return list
end

--- A registry, and what makes it go: `bed.clock` in seconds, `bed:serve(service)` for the balancer
--- of a new snapshot in which that is the only service, named "s" unless it says otherwise.
function M.bed(options)
  options = options or {}
  local bed = { clock = 1000, writer = traffic.writer(), kept = {} }
  local registry = require("moongate.balance").new({
    decode = json.decode,
    now = function()
      return bed.clock
    end,
    time = function()
      return 784111777
    end,
    random = options.random or function()
      return 0
    end,
    worker = 7,
    drop = options.drop,
  })
  bed.registry = registry

  function bed:part(service)
    local name = service.name or "s"
    local snapshot = self.writer:build({ services = { [name] = service } }, 1)
    self.kept[#self.kept + 1] = snapshot
    local id = self.writer.services:get(name).id
    return traffic.C.mg_snapshot_service(snapshot, id), id
  end

  function bed:serve(service)
    return registry:of(self:part(service))
  end

  function bed:close()
    for _, snapshot in ipairs(self.kept) do
      traffic.C.mg_snapshot_unref(snapshot)
    end
    self.writer:close()
  end

  return bed
end

--- How often each endpoint is picked in `count` picks, by its last number.
function M.tally(balancer, count, prepare)
  local times = {}
  for i = 1, count do
    local request, tried, key
    if prepare then
      request, tried, key = prepare(i)
    end
    local endpoint = assert(balancer:pick(request, 1, tried, key))
    local number = tonumber(endpoint.address:match("%d+$"))
    times[number] = (times[number] or 0) + 1
  end
  return times
end

return M
