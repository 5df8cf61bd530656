-- SPDX-License-Identifier: Apache-2.0
local services = require("spec.support.services")

describe("balance", function()
  local bed

  before_each(function()
    bed = services.bed()
  end)

  after_each(function()
    bed:close()
  end)

  local function order(balancer, count, tried)
    local list = {}
    for i = 1, count do
      list[i] = balancer:pick(nil, 1, tried).address:match("%d+$")
    end
    return table.concat(list, " ")
  end

  describe("round robin", function()
    local ORDERS = {
      { "takes turns", 3, "1 2 3 1 2 3" },
      { "mixes weights smoothly, as nginx does", { 5, 1, 1 }, "1 1 2 1 3 1 1 1 1 2" },
      { "reduces weights to their proportion", { 200, 100 }, "1 2 1 1 2 1" },
      { "gives an endpoint of weight 0 nothing", { 1, 0, 1 }, "1 3 1 3" },
    }
    for _, case in ipairs(ORDERS) do
      it(case[1], function()
        local balancer = bed:serve({ endpoints = services.endpoints(case[2]) })
        assert.are.equal(case[3], order(balancer, #case[3]:gsub(" ", "")))
      end)
    end

    it("keeps odd weights nearly in proportion", function()
      local balancer = bed:serve({ endpoints = services.endpoints({ 99999, 33333 }) })
      local times = services.tally(balancer, 4000)
      assert.are.near(3000, times[1], 20)
    end)

    it("begins at another place in each worker", function()
      local other = services.bed({
        random = function()
          return 0.5
        end,
      })
      assert.are.equal("3 4 1", order(other:serve({ endpoints = services.endpoints(4) }), 3))
      other:close()
    end)

    it("avoids endpoints that were tried", function()
      local balancer = bed:serve({ endpoints = services.endpoints(3) })
      local first = balancer:pick(nil, 1)
      local second = balancer:pick(nil, 1, { [first] = true })
      local third = balancer:pick(nil, 1, { [first] = true, [second] = true })
      assert.are.equal("2", order(balancer, 1, { [first] = true, [third] = true }))
    end)

    it("takes one that was tried when there is no other", function()
      local balancer = bed:serve({ endpoints = services.endpoints(1) })
      local only = balancer:pick(nil, 1)
      assert.are.equal(only, balancer:pick(nil, 1, { [only] = true }))
    end)
  end)

  for _, case in ipairs({ { "no endpoints", {} }, { "none with a weight", { 0, 0 } } }) do
    it("has none to give for a service with " .. case[1], function()
      local balancer = bed:serve({ endpoints = services.endpoints(case[2]) })
      local endpoint, message, code = balancer:pick(nil, 1)
      assert.is_nil(endpoint)
      assert.is_string(message)
      assert.are.equal("no_endpoint", code)
    end)
  end

  it("names endpoints by address and port", function()
    local balancer = bed:serve({
      endpoints = { { address = "::1", port = 80 }, { address = "10.0.0.1", port = 8080 } },
    })
    assert.are.equal("[::1]:80", balancer:pick(nil, 1).name)
    assert.are.equal("10.0.0.1:8080", balancer:pick(nil, 1).name)
  end)

  describe("over snapshots", function()
    it("gives the same balancer for the same part", function()
      local part, id = bed:part({ endpoints = services.endpoints(2) })
      assert.are.equal(bed.registry:of(part, id), bed.registry:of(part, id))
    end)

    it("keeps what is known of endpoints that stay", function()
      local before = bed:serve({ endpoints = services.endpoints(2) })
      local endpoint = before:pick(nil, 1)
      before:begin(endpoint)
      local after = bed:serve({ endpoints = services.endpoints({ 3, 1, 1 }) })
      assert.are_not.equal(before, after)
      assert.are.equal(endpoint, after:pick(nil, 1))
      assert.are.equal(1, endpoint.inflight)
      after:done(endpoint, "ok", 0.1)
      assert.are.equal(0, endpoint.inflight)
    end)

    it("forgets endpoints that went", function()
      local endpoint = bed:serve({ endpoints = services.endpoints(1) }):pick(nil, 1)
      local other = { { address = "10.0.0.9", port = 80 } }
      bed:serve({ endpoints = other })
      assert.are_not.equal(endpoint, bed:serve({ endpoints = services.endpoints(1) }):pick(nil, 1))
    end)

    it("serves requests of the snapshot before without going back to it", function()
      local part, id = bed:part({ endpoints = services.endpoints(1) })
      local old = bed.registry:of(part, id)
      local new_part = bed:part({ endpoints = services.endpoints(2) })
      local new = bed.registry:of(new_part, id)
      assert.are.equal(old, bed.registry:of(part, id))
      assert.are.equal(new, bed.registry:of(new_part, id))
    end)

    it("serves an old snapshot that it did not know before the new one", function()
      local part, id = bed:part({ endpoints = services.endpoints(1) })
      local new_part = bed:part({ endpoints = services.endpoints(2) })
      local new = bed.registry:of(new_part, id)
      local old = bed.registry:of(part, id)
      assert.are.equal(1, #old.endpoints)
      assert.are.equal(old, bed.registry:of(part, id))
      assert.are.equal(new, bed.registry:of(new_part, id))
    end)

    it("does not mistake a service for the one that had its id before", function()
      bed:serve({ name = "one", endpoints = services.endpoints(1) })
      local balancer = bed:serve({ name = "two", endpoints = services.endpoints(2) })
      assert.are.equal("two", balancer.name)
      assert.are.equal(2, #balancer.endpoints)
    end)
  end)

  describe("least requests", function()
    local function serve(weights)
      return bed:serve({
        endpoints = services.endpoints(weights),
        balance = { algorithm = "least_requests" },
      })
    end

    it("takes the endpoint with the fewest in flight", function()
      local balancer = serve(3)
      local seen = {}
      for _ = 1, 3 do
        local endpoint = balancer:pick(nil, 1)
        balancer:begin(endpoint)
        assert.is_nil(seen[endpoint])
        seen[endpoint] = true
      end
    end)

    it("counts requests by weight", function()
      local balancer = serve({ 3, 1 })
      for _ = 1, 40 do
        balancer:begin(balancer:pick(nil, 1))
      end
      assert.are.near(30, balancer.endpoints[1].inflight, 1)
    end)

    it("takes turns among equals", function()
      assert.are.same({ 10, 10, 10 }, services.tally(serve(3), 30))
    end)

    it("takes the better of two when there are many", function()
      bed:close()
      bed = services.bed({ random = services.random(1) })
      local balancer = serve(20)
      for _ = 1, 200 do
        balancer:begin(balancer:pick(nil, 1))
      end
      for _, endpoint in ipairs(balancer.endpoints) do
        assert.are.near(10, endpoint.inflight, 3)
      end
    end)

    it("avoids endpoints that were tried", function()
      local balancer = serve(2)
      local first = balancer:pick(nil, 1)
      for _ = 1, 5 do
        assert.are_not.equal(first, balancer:pick(nil, 1, { [first] = true }))
      end
    end)
  end)

  describe("ewma", function()
    local function serve(count)
      return bed:serve({
        endpoints = services.endpoints(count),
        balance = { algorithm = "ewma" },
      })
    end

    before_each(function()
      bed:close()
      bed = services.bed({ random = services.random(3) })
    end)

    local function answer(balancer, endpoint, seconds)
      balancer:begin(endpoint)
      balancer:done(endpoint, "ok", seconds)
    end

    it("avoids a slow endpoint", function()
      local balancer = serve(3)
      for _ = 1, 300 do
        bed.clock = bed.clock + 0.1
        local endpoint = balancer:pick(nil, 1)
        answer(balancer, endpoint, endpoint.address == "10.0.0.1" and 1 or 0.01)
      end
      local times = services.tally(balancer, 300)
      assert.is_true((times[1] or 0) < 10, tostring(times[1]))
    end)

    it("counts the requests that wait", function()
      local balancer = serve(2)
      bed.clock = bed.clock + 10
      for _, endpoint in ipairs(balancer.endpoints) do
        answer(balancer, endpoint, 0.1)
      end
      balancer:begin(balancer.endpoints[1])
      assert.are.same({ nil, 10 }, services.tally(balancer, 10))
    end)

    it("forgets with time", function()
      local balancer = serve(2)
      bed.clock = bed.clock + 10
      answer(balancer, balancer.endpoints[1], 1)
      local before = balancer.endpoints[1].ewma
      assert.are.near(1 - math.exp(-1), before, 1e-6)
      bed.clock = bed.clock + 10
      answer(balancer, balancer.endpoints[1], 0)
      assert.are.near(before * math.exp(-1), balancer.endpoints[1].ewma, 1e-6)
    end)

    it("lets new endpoints begin with the average of the others", function()
      local balancer = serve(2)
      balancer.endpoints[1].ewma, balancer.endpoints[2].ewma = 1, 3
      assert.are.equal(2, serve(3).endpoints[3].ewma)
    end)

    it("learns nothing from a try that failed", function()
      local balancer = serve(2)
      bed.clock = bed.clock + 10
      balancer:begin(balancer.endpoints[1])
      balancer:done(balancer.endpoints[1], "failed", 5)
      assert.are.equal(0, balancer.endpoints[1].ewma)
    end)
  end)

  describe("passive health", function()
    local function serve(health, weights)
      return bed:serve({ endpoints = services.endpoints(weights or 2), health = health })
    end

    local function try(balancer, endpoint, outcome)
      balancer:begin(endpoint)
      balancer:done(endpoint, outcome, 0.1)
    end

    it("takes an endpoint out after its failures, for a time", function()
      local balancer = serve({ max_fails = 2, fail_timeout_ms = 5000 })
      local bad = balancer:pick(nil, 1)
      try(balancer, bad, "failed")
      assert.are.same({ 2, 2 }, services.tally(balancer, 4))
      try(balancer, bad, "failed")
      assert.are.same({ nil, 4 }, services.tally(balancer, 4))
      bed.clock = bed.clock + 4.9
      assert.are.same({ nil, 4 }, services.tally(balancer, 4))
      bed.clock = bed.clock + 0.2
      assert.are.same({ 2, 2 }, services.tally(balancer, 4))
    end)

    it("takes it out again at its next failure, but not after a success", function()
      local balancer = serve({ max_fails = 2, fail_timeout_ms = 5000 })
      local bad = balancer:pick(nil, 1)
      try(balancer, bad, "failed")
      try(balancer, bad, "failed")
      bed.clock = bed.clock + 6
      try(balancer, bad, "failed")
      assert.are.same({ nil, 4 }, services.tally(balancer, 4))
      bed.clock = bed.clock + 6
      try(balancer, bad, "ok")
      try(balancer, bad, "failed")
      assert.are.same({ 2, 2 }, services.tally(balancer, 4))
    end)

    it("does not count it when the client leaves", function()
      local balancer = serve({ max_fails = 1 })
      local endpoint = balancer:pick(nil, 1)
      try(balancer, endpoint, "gone")
      assert.are.same({ 2, 2 }, services.tally(balancer, 4))
      assert.are.equal(0, endpoint.inflight)
    end)

    it("is off unless asked for", function()
      local balancer = serve(nil)
      for _ = 1, 10 do
        try(balancer, balancer.endpoints[1], "failed")
      end
      assert.are.same({ 2, 2 }, services.tally(balancer, 4))
    end)

    it("uses all endpoints when all are down", function()
      local balancer = serve({ max_fails = 1 })
      for _, endpoint in ipairs(balancer.endpoints) do
        try(balancer, endpoint, "failed")
      end
      assert.are.same({ 2, 2 }, services.tally(balancer, 4))
    end)

    it("shares the traffic of an endpoint that is down among all others", function()
      local balancer = serve({ max_fails = 1 }, 4)
      try(balancer, balancer.endpoints[2], "failed")
      assert.are.same({ 4, nil, 4, 4 }, services.tally(balancer, 12))
    end)
  end)

  describe("active health", function()
    it("takes endpoints of a service out and in", function()
      local one = bed:serve({ name = "one", endpoints = services.endpoints(2) })
      bed.registry:mark("two", "10.0.0.2", 80, false)
      bed.registry:mark("one", "10.0.0.1", 80, false)
      assert.are.same({ nil, 4 }, services.tally(one, 4))
      bed.registry:mark("one", "10.0.0.1", 80, true)
      assert.are.same({ 2, 2 }, services.tally(one, 4))
    end)

    it("outlasts a new snapshot", function()
      bed:serve({ name = "one", endpoints = services.endpoints(2) })
      bed.registry:mark("one", "10.0.0.1", 80, false)
      local balancer = bed:serve({ name = "one", endpoints = services.endpoints(3) })
      assert.are.same({ nil, 2, 2 }, services.tally(balancer, 4))
    end)

    it("is remembered for an endpoint that comes later", function()
      bed.registry:mark("one", "10.0.0.2", 80, false)
      bed.registry:mark("one", "10.0.0.3", 80, false)
      bed.registry:mark("one", "10.0.0.3", 80, true)
      local balancer = bed:serve({ name = "one", endpoints = services.endpoints(3) })
      assert.are.same({ 2, nil, 2 }, services.tally(balancer, 4))
    end)
  end)

  describe("slow start", function()
    local function serve(count)
      return bed:serve({
        endpoints = services.endpoints(count),
        health = { slow_start_ms = 10000, max_fails = 1, fail_timeout_ms = 1000 },
      })
    end

    local function share_of(balancer, number)
      return (services.tally(balancer, 1000)[number] or 0) / 1000
    end

    it("spares no endpoint of a service that is new", function()
      assert.are.same({ 500, 500 }, services.tally(serve(2), 1000))
    end)

    it("lets the weight of a new endpoint grow", function()
      serve(1)
      local balancer = serve(2)
      assert.are.near(0.1 / 1.1, share_of(balancer, 2), 0.01)
      bed.clock = bed.clock + 5
      assert.are.near(0.5 / 1.5, share_of(balancer, 2), 0.01)
      bed.clock = bed.clock + 5
      assert.are.near(0.5, share_of(balancer, 2), 0.01)
    end)

    it("begins again when an endpoint comes back", function()
      local balancer = serve(2)
      balancer:begin(balancer.endpoints[2])
      balancer:done(balancer.endpoints[2], "failed", 1)
      bed.clock = bed.clock + 3
      assert.are.near(0.2 / 1.2, share_of(balancer, 2), 0.01)
      bed.registry:mark("s", "10.0.0.1", 80, false)
      bed.registry:mark("s", "10.0.0.1", 80, true)
      assert.are.near(0.1 / 0.3, share_of(balancer, 1), 0.02)
    end)
  end)
end)

describe("balance, when hot,", function()
  local trace = require("spec.support.trace")

  local KINDS = {
    { "one endpoint", { 1 } },
    { "three endpoints", { 1, 1, 1 } },
    { "weights", { 5, 3, 1 } },
  }
  for _, kind in ipairs(KINDS) do
    it("compiles round robin over " .. kind[1], function()
      local bed = services.bed()
      local part, id = bed:part({ endpoints = services.endpoints(kind[2]) })
      local registry = bed.registry
      local result = trace.run(function()
        local balancer = registry:of(part, id)
        local endpoint = balancer:pick(nil, 1)
        balancer:begin(endpoint)
        balancer:done(endpoint, "ok", 0.001)
      end, 20000)
      assert.are.same({}, result.aborts)
      assert.is_true(result.traces > 0)
      assert.is_true(result.bytes < 8, result.bytes .. " bytes a round")
      bed:close()
    end)
  end

  it("lets go of the endpoints of a service whose id another one has now", function()
    local dropped = {}
    local own = services.bed({ drop = function(endpoint)
      dropped[#dropped + 1] = endpoint.name
    end })
    local part, id = own:part({ name = "old", endpoints = services.endpoints(2) })
    own.registry:of(part, id)
    part = own:part({ name = "new", endpoints = services.endpoints(1) })
    assert.are.equal("new", own.registry:of(part, id).name)
    table.sort(dropped)
    assert.are.same({ "10.0.0.1:80", "10.0.0.2:80" }, dropped)
    own:close()
  end)
end)
