-- SPDX-License-Identifier: Apache-2.0
--
-- Endpoints that fail are left out and come back: by active checks, and by what requests show.
local json = require("moongate.api.json")
local mg = require("moongate")
local t = require("moongate.test")

local ROUTE = [[
local mg = require("moongate")
mg.route({ path = "/", to = { %s }, name = "app", health = { %s } })
]]

local function script(targets, health)
  return ROUTE:format('"' .. table.concat(targets, '", "') .. '"', health)
end

local CHECKS =
  'path = "/healthz", interval = "100ms", timeout = "2s", healthy = 2, unhealthy = 2'
local BOTH = { "${a}", "${b}" }

describe("health", function()
  local gateway
  local statuses -- what each upstream answers to checks
  local checks, served -- how many of each came

  local function upstream_of(name)
    return function(request)
      if request.target == "/healthz" then
        checks[name] = checks[name] + 1
        return { status = statuses[name] }
      end
      served[name] = served[name] + 1
      return { body = name }
    end
  end

  local function start(text, options)
    statuses, checks = { a = 200, b = 200 }, { a = 0, b = 0 }
    served = { a = 0, b = 0 }
    gateway = t.gateway({
      scripts = { ["routes.lua"] = text },
      upstreams = { a = upstream_of("a"), b = upstream_of("b") },
      workers = options and options.workers,
    }):start()
    return gateway:client()
  end

  local function send(client, count)
    for _ = 1, count do
      assert.equal(200, client:get("/").status)
    end
  end

  -- Whether so many requests go to others than `name`.
  local function avoids(client, name, count)
    local before = served[name]
    send(client, count)
    return served[name] == before
  end

  local function wait_checks(name, more)
    local wanted = checks[name] + more
    t.wait_until(function()
      return checks[name] >= wanted
    end, "checks of " .. name)
  end

  local function state()
    return json.decode(gateway:admin():get("/snapshot").body).health
  end

  local function endpoint(name)
    return "127.0.0.1:" .. gateway:upstream(name).port
  end

  local function gauge(name)
    local labels = { service = "app", endpoint = endpoint(name) }
    return gateway:metrics("moongate_endpoint_healthy", labels)
  end

  after_each(function()
    gateway:stop()
  end)

  it("takes an endpoint out that fails its checks, and lets it in again", function()
    local client = start(script(BOTH, CHECKS), { workers = 2 })
    wait_checks("a", 1)
    send(client, 4)
    assert.is_true(served.a > 0 and served.b > 0)
    statuses.a = 503
    local line = gateway:wait_log("endpoint_unhealthy")
    assert.equal(endpoint("a"), line.endpoint)
    assert.equal("app", line.service)
    assert.equal("status 503", line.error)
    t.wait_until(function()
      return avoids(client, "a", 4)
    end, "requests to go elsewhere")
    assert.is_true(avoids(client, "a", 20))
    assert.equal(0, gauge("a"))
    assert.equal(1, gauge("b"))
    local explained = gateway:admin():get("/explain?url=http://a.test/").body
    assert.truthy(explained:find('"healthy":false', 1, true), explained)

    statuses.a = 200
    gateway:wait_log("endpoint_healthy")
    assert.equal(1, gauge("a"))
    t.wait_until(function()
      return not avoids(client, "a", 4)
    end, "requests to come back")
  end)

  it("asks once an interval, however many workers and reloads there are", function()
    start(script(BOTH, CHECKS), { workers = 2 })
    for _ = 1, 3 do
      gateway:reload()
    end
    local before = checks.a
    wait_checks("b", 8)
    assert.is_true(checks.a - before <= 11, ("%d checks"):format(checks.a - before))
    assert.equal(2, #state())
  end)

  it("gives an endpoint that is back its full weight bit by bit", function()
    local client = start(script(BOTH, CHECKS .. ', slow_start = "10m"'))
    send(client, 2)
    statuses.a = 500
    gateway:wait_log("endpoint_unhealthy")
    statuses.a = 200
    gateway:wait_log("endpoint_healthy")
    t.wait_until(function()
      return not avoids(client, "a", 12)
    end, "requests to come back")
    local before = served.a
    send(client, 110)
    assert.is_true(served.a - before <= 15, ("%d of 110"):format(served.a - before))
  end)

  it("stops to ask an endpoint that is gone, and forgets what it knew", function()
    local client = start(script(BOTH, CHECKS))
    statuses.b = 500
    gateway:wait_log("endpoint_unhealthy")
    gateway:write({ ["routes.lua"] = script({ "${a}" }, CHECKS) })
    t.wait_until(function()
      return #state() == 1
    end, "the endpoint to go")
    local before = checks.b
    wait_checks("a", 4)
    assert.is_true(checks.b <= before + 1) -- one may have been under way
    assert.equal(endpoint("a"), state()[1].endpoint)
    gateway:write({ ["routes.lua"] = script(BOTH, 'max_fails = 1') })
    t.wait_until(function()
      return #state() == 0
    end, "the checks to end")
    t.wait_until(function()
      return not avoids(client, "b", 4)
    end, "requests without checks")
  end)

  it("stops to ask when the gateway drains", function()
    local client = start(script(BOTH, CHECKS))
    gateway:upstream("a"):answer({ delay = "800ms" })
    gateway:upstream("b"):answer({ delay = "800ms" })
    local answer = mg.task.spawn(function()
      return client:get("/slow").status
    end)
    t.wait_until(function()
      local requests = #gateway:upstream("a").requests + #gateway:upstream("b").requests
      return requests >= 3
    end, "requests")
    gateway:kill(15)
    gateway:wait_log("stopping")
    local before = #gateway:upstream("a").requests + #gateway:upstream("b").requests
    assert.equal(200, (mg.task.join(answer)))
    local after = #gateway:upstream("a").requests + #gateway:upstream("b").requests
    assert.is_true(after <= before + 2, "it went on to ask") -- what was under way
  end)

  it("leaves out what fails requests too often, and tries again after a while", function()
    local client = start(script(BOTH, 'max_fails = 2, fail_timeout = "1s"'))
    gateway:upstream("a"):answer({ reset = true })
    local down
    t.wait_until(function()
      send(client, 2)
      down = gateway:logs("endpoint_down")[1]
      return down
    end, "the endpoint to be left out")
    assert.equal(endpoint("a"), down.endpoint)
    gateway:upstream("a"):answer(upstream_of("a"))
    local attempts = #gateway:upstream("a").requests
    send(client, 10)
    assert.equal(attempts, #gateway:upstream("a").requests)
    t.wait_until(function()
      return not avoids(client, "a", 4)
    end, "the endpoint to come back")
  end)
end)
