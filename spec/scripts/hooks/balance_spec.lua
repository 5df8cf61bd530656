-- SPDX-License-Identifier: Apache-2.0
--
-- The balance hook: a plugin's word on the endpoint of an attempt.
local mg = require("moongate")
local t = require("moongate.test")

local function balanced(fn, options)
  local defined = { name = "chooser", balance = fn }
  for key, value in pairs(options and options.plugin or {}) do
    defined[key] = value
  end
  return t.plugin(defined, nil, {
    upstreams = options and options.upstreams or 3,
    service = options and options.service,
    settings = options and options.settings,
  })
end

local function counts(h)
  local list = {}
  for i, server in ipairs(h.servers) do
    list[i] = #server.requests
  end
  return list
end

describe("a balance hook", function()
  it("sends the request to the candidate that it returns", function()
    local h = balanced(function(ctx, _, candidates)
      return candidates[tonumber(ctx.request:header("x-shard"))]
    end)
    for _, shard in ipairs({ 3, 3, 2, 3 }) do
      assert.equal(200, h:request({ headers = { ["X-Shard"] = shard } }).status)
    end
    assert.same({ 0, 1, 3 }, counts(h))
  end)

  it("may return a position", function()
    local h = balanced(function(_, _, candidates)
      return #candidates
    end)
    h:request()
    h:request()
    assert.same({ 0, 0, 2 }, counts(h))
  end)

  it("leaves the choice to the service's algorithm when it returns nothing", function()
    local h = balanced(function() end)
    for _ = 1, 6 do
      h:request()
    end
    assert.same({ 2, 2, 2 }, counts(h))
  end)

  it("sees what is known of each endpoint, and cannot change it", function()
    local seen
    local h = balanced(function(_, _, candidates)
      seen = candidates
      assert.has_error(function()
        candidates[1].weight = 5
      end, "a candidate's weight is read-only")
    end, { upstreams = 2 })
    assert.equal(200, h:request().status)
    assert.equal(2, #seen)
    for i, candidate in ipairs(seen) do
      local port = h.servers[i].port
      assert.equal("127.0.0.1", candidate.address)
      assert.equal(port, candidate.port)
      assert.equal("127.0.0.1:" .. port, candidate.name)
      assert.equal(1, candidate.weight)
      assert.equal(0, candidate.inflight)
      assert.is_true(candidate.healthy)
      assert.is_false(candidate.tried)
      assert.is_nil(candidate.zone)
      assert.is_nil(candidate.secret)
    end
  end)

  it("sees how many attempts are under way", function()
    local inflight = {}
    local h = balanced(function(_, _, candidates)
      inflight[#inflight + 1] = candidates[1].inflight
      return 1
    end)
    h.servers[1]:answer({ { delay = "200ms" }, { body = "second" } })
    local first = mg.task.spawn(function()
      return h:request()
    end)
    t.wait_until(function()
      return #h.servers[1].requests == 1
    end, "the first request")
    assert.equal("second", h:request().body)
    mg.task.join({ first })
    h:request()
    assert.same({ 0, 1, 0 }, inflight)
  end)

  it("is asked before each attempt, and told of those before", function()
    local attempts = {}
    local h = balanced(function(_, _, candidates, attempt)
      local tried = {}
      for i, candidate in ipairs(candidates) do
        tried[i] = candidate.tried
      end
      attempts[attempt] = tried
      return attempt
    end)
    h.servers[1]:answer({ reset = true })
    h.servers[2]:answer({ reset = true })
    local response = h:request()
    assert.equal(200, response.status)
    assert.same({ 1, 1, 1 }, counts(h))
    assert.same({
      { false, false, false },
      { true, false, false },
      { true, true, false },
    }, attempts)
  end)

  it("may answer instead, also before a further attempt", function()
    local h = balanced(function(ctx, _, _, attempt)
      if attempt == 2 then
        return ctx:respond(418, "enough\n")
      end
      return 1
    end)
    h.servers[1]:answer({ reset = true })
    local response = h:request()
    assert.equal(418, response.status)
    assert.equal("enough\n", response.body)
    assert.same({ 1, 0, 0 }, counts(h))
  end)

  it("may wait", function()
    local h = balanced(function()
      mg.time.sleep(0.01)
      return 2
    end)
    assert.equal(200, h:request().status)
    assert.same({ 0, 1, 0 }, counts(h))
  end)

  it("falls back to the algorithm when it fails or returns what is no candidate", function()
    local result
    local h = balanced(function()
      if not result then
        error("broken")
      end
      return result
    end, { plugin = { stage = "limit" } })
    for _, wrong in ipairs({ false, 7, 0, { address = "127.0.0.1" }, "x" }) do
      result = wrong
      assert.equal(200, h:request().status)
    end
    local served = counts(h)
    table.sort(served)
    assert.same({ 1, 2, 2 }, served)
  end)

  it("fails the request instead where it says fail_closed", function()
    local h = balanced(function()
      error("broken")
    end, { plugin = { on_error = "fail_closed" } })
    assert.equal(500, h:request().status)
    assert.same({ 0, 0, 0 }, counts(h))
  end)

  it("leaves the choice to the next plugin", function()
    local second = { name = "second", balance = function()
      return 3
    end }
    local h = t.plugins({ { { name = "first", balance = function() end } }, { second } },
      { upstreams = 3 })
    h:request()
    assert.same({ 0, 0, 1 }, counts(h))
  end)

  it("is not asked where there is nothing to choose from", function()
    local asked = false
    local target
    local h = t.plugin({
      name = "direct",
      access = function(ctx)
        ctx.upstream:set_target_address("127.0.0.1", target)
      end,
      balance = function()
        asked = true
      end,
    })
    target = h.server.port
    assert.equal(200, h:request().status)
    assert.is_false(asked)
  end)
end)
