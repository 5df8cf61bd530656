-- SPDX-License-Identifier: Apache-2.0
local services = require("spec.support.services")

describe("balance by hash", function()
  local bed

  before_each(function()
    bed = services.bed({ random = services.random(5) })
  end)

  after_each(function()
    bed:close()
  end)

  local function serve(weights, balance)
    return bed:serve({
      endpoints = services.endpoints(weights),
      balance = balance or { algorithm = "hash" },
    })
  end

  local KEYS = 2000

  local function owners(balancer)
    local list = {}
    for i = 1, KEYS do
      list[i] = balancer:pick(nil, 1, nil, "/key/" .. i).address
    end
    return list
  end

  it("tells what its key is made of", function()
    local balancer = serve(1, { algorithm = "hash", key = { { variable = "request_uri" } } })
    assert.are.same({ { variable = "request_uri" } }, balancer.hash_key)
  end)

  it("gives one key one endpoint", function()
    local balancer = serve(5)
    local first = balancer:pick(nil, 1, nil, "a")
    for _ = 1, 20 do
      assert.are.equal(first, balancer:pick(nil, 1, nil, "a"))
    end
  end)

  -- What is written here must not change: gateways of two versions side by side have to agree.
  it("gives a key the same endpoint in every version", function()
    local balancer = serve(5)
    local list = {}
    for i, key in ipairs({ "", "a", "b", "/foo", "10.0.0.1" }) do
      list[i] = balancer:pick(nil, 1, nil, key).address
    end
    assert.are.same({ "10.0.0.5", "10.0.0.4", "10.0.0.5", "10.0.0.5", "10.0.0.2" }, list)
  end)

  it("spreads keys evenly", function()
    local times = services.tally(serve(4), KEYS, function(i)
      return nil, nil, "/key/" .. i
    end)
    for number = 1, 4 do
      -- Five standard deviations of a binomial distribution.
      assert.are.near(KEYS / 4, times[number], 5 * math.sqrt(KEYS * 0.25 * 0.75))
    end
  end)

  it("spreads keys by weight", function()
    local times = services.tally(serve({ 3, 1 }), KEYS, function(i)
      return nil, nil, "/key/" .. i
    end)
    assert.are.near(KEYS * 0.75, times[1], 5 * math.sqrt(KEYS * 0.25 * 0.75))
  end)

  it("moves only the keys of an endpoint that goes", function()
    local before = owners(serve(5))
    local after = owners(serve(4))
    local moved = 0
    for i = 1, KEYS do
      if before[i] == "10.0.0.5" then
        moved = moved + 1
      else
        assert.are.equal(before[i], after[i])
      end
    end
    assert.is_true(moved > 0)
  end)

  it("moves keys only to an endpoint that comes", function()
    local before = owners(serve(4))
    local after = owners(serve(5))
    for i = 1, KEYS do
      assert.is_true(after[i] == before[i] or after[i] == "10.0.0.5")
    end
  end)

  it("does not care for the order of endpoints", function()
    local list = services.endpoints(4)
    local before = owners(bed:serve({ endpoints = list, balance = { algorithm = "hash" } }))
    list = services.endpoints(4)
    list[1], list[4] = list[4], list[1]
    local after = owners(bed:serve({ endpoints = list, balance = { algorithm = "hash" } }))
    assert.are.same(before, after)
  end)

  it("goes on to where the key would be without the endpoint that was tried", function()
    local balancer = serve(3)
    for i = 1, 50 do
      local key = "/key/" .. i
      local first = balancer:pick(nil, 1, nil, key)
      local second = balancer:pick(nil, 1, { [first] = true }, key)
      assert.are_not.equal(first, second)
      bed.registry:mark_endpoint(first, false)
      assert.are.equal(second, balancer:pick(nil, 1, nil, key))
      bed.registry:mark_endpoint(first, true)
    end
  end)

  describe("in subsets", function()
    local function serve_subsets(count, size)
      return serve(count, { algorithm = "subset_hash", subset_size = size })
    end

    for _, case in ipairs({ { 6, 3 }, { 2, 3 }, { 6, 1 } }) do
      local wanted = math.min(case[1], case[2])
      it(("uses %d of %d endpoints for one key"):format(wanted, case[1]), function()
        local times = services.tally(serve_subsets(case[1], case[2]), 300, function()
          return nil, nil, "key"
        end)
        local used = 0
        for _, count in pairs(times) do
          used = used + 1
          assert.are.near(300 / wanted, count, 45)
        end
        assert.are.equal(wanted, used)
      end)
    end

    it("uses all endpoints for all keys", function()
      local times = services.tally(serve_subsets(6, 3), KEYS, function(i)
        return nil, nil, "/key/" .. i
      end)
      for number = 1, 6 do
        assert.are.near(KEYS / 6, times[number], 5 * math.sqrt(KEYS / 6 * 5 / 6))
      end
    end)

    it("avoids endpoints that were tried, inside the subset and then outside", function()
      local balancer = serve_subsets(4, 2)
      local tried = {}
      for _ = 1, 4 do
        local endpoint = balancer:pick(nil, 1, tried, "key")
        assert.is_nil(tried[endpoint])
        tried[endpoint] = true
      end
      assert.is_not_nil(balancer:pick(nil, 1, tried, "key"))
    end)
  end)
end)
