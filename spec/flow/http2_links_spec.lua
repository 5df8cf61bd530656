-- SPDX-License-Identifier: Apache-2.0
--
-- Connections to backends that speak HTTP/2: shared by requests, left, refused, dead.
local h2 = require("spec.support.h2")
local h2_upstream = require("spec.support.h2_upstream")
local mg = require("moongate")
local t = require("moongate.test")

local SCRIPT = [[
require("moongate").route { host = "*", path = "/", to = "h2c://127.0.0.1:${app.port}" }
]]

local app, gateway

local function start(upstream_settings, settings, options)
  options = options or {}
  gateway = t.gateway({ scripts = SCRIPT, settings = settings, workers = 1 })
  app = h2_upstream.new(nil, { settings = upstream_settings, eager = options.eager })
  gateway.upstreams.app = app
  gateway:start()
end

local function stop()
  gateway:stop()
  assert.is_nil(app.failure)
end

--- Runs so many at a time, each in a task with a client of its own, and waits for all.
local function parallel(count, run)
  local results, done = {}, 0
  for i = 1, count do
    mg.task.spawn(function()
      local client = gateway:client()
      results[i] = run(client, i)
      client:close()
      done = done + 1
    end)
  end
  t.wait_until(function()
    return done == count
  end, count .. " answers")
  return results
end

local function post(client, i)
  return client:post("/" .. i, "body " .. i)
end

local function assert_all(results, count)
  for i = 1, count do
    assert.equal(200, results[i].status, i)
    assert.equal("body " .. i, results[i].body)
  end
end

describe("a connection to a backend over HTTP/2", function()
  after_each(stop)

  it("has many requests at a time", function()
    start()
    gateway:client():get("/")
    local held = 0
    app:answer(function(request)
      held = held + 1
      t.wait_until(function()
        return held == 50
      end, "all requests")
      return request.body
    end)
    assert_all(parallel(50, post), 50)
    assert.equal(1, app.connections)
    assert.equal(1, gateway:metrics("moongate_upstream_connects_total"))
  end)

  it("has no more than the backend lets it have; others are made", function()
    start({ { h2.MAX_CONCURRENT_STREAMS, 3 } })
    gateway:client():get("/")
    local open, most, held = {}, 0, 0
    app:answer(function(request, conn)
      if (open[conn] or 0) >= 3 then
        return { reset = "REFUSED_STREAM" } -- it could not know that yet
      end
      open[conn] = (open[conn] or 0) + 1
      most = math.max(most, open[conn])
      held = held + 1
      t.wait_until(function()
        return held >= 30
      end, "all requests at a time")
      open[conn] = open[conn] - 1
      return request.body
    end)
    assert_all(parallel(30, post), 30)
    assert.equal(3, most)
    assert.is_true(app.connections >= 10)
    local before = app.connections
    assert_all(parallel(30, post), 30)
    assert.equal(before, app.connections)
  end)

  it("loses nothing where it cannot know yet how many it may have", function()
    start({ { h2.MAX_CONCURRENT_STREAMS, 2 } })
    local open = {}
    app:answer(function(request, conn)
      if (open[conn] or 0) >= 2 then
        return { reset = "REFUSED_STREAM" }
      end
      open[conn] = (open[conn] or 0) + 1
      mg.task.sleep("20ms")
      open[conn] = open[conn] - 1
      return request.body
    end)
    assert_all(parallel(40, post), 40)
  end)

  it("is tried again for what it refused, and no more than that", function()
    start()
    local seen = {}
    app:answer(function(request)
      seen[request.path] = (seen[request.path] or 0) + 1
      if request.path == "/never" or seen[request.path] == 1 then
        return { reset = "REFUSED_STREAM" }
      end
      return request.body
    end)
    assert_all(parallel(10, post), 10)
    assert.equal(502, gateway:client():post("/never", "x").status)
    assert.is_true(seen["/never"] < 20)
    assert.equal(1, app.connections)
  end)

  it("fails a request that the backend resets otherwise, and no other", function()
    start()
    app:answer(function(request)
      return request.path == "/bad" and { reset = "INTERNAL_ERROR" } or "fine"
    end)
    local client = gateway:client()
    assert.equal("fine", client:get("/").body)
    assert.equal(502, client:post("/bad", "x").status)
    assert.equal("fine", client:get("/").body)
    assert.equal(1, app.connections)
  end)

  it("hands on what a backend that leaves has not taken", function()
    start()
    local last
    app:answer(function(request, conn)
      if conn.number > 1 then
        return request.body
      elseif not last then
        last = request.id
        t.wait_until(function()
          return #app.requests >= 10
        end, "more requests")
        conn:go_away(last)
        mg.task.sleep("50ms")
      end
      if request.id <= last then -- the first body to end need not be of the first stream
        return request.body
      end
      return { hold = true }
    end)
    assert_all(parallel(10, post), 10)
    assert.equal(2, app.connections)
    t.wait_until(function()
      local count = 0
      for _ in pairs(app.open) do
        count = count + 1
      end
      return count == 1
    end, "the end of the first connection")
  end)

  it("loses nothing to a backend that leaves again and again", function()
    start()
    app:answer(function(request, conn)
      conn.count = (conn.count or 0) + 1
      if conn.count <= 7 then -- whose bodies end first, not whose streams are first
        conn.last = math.max(conn.last or 0, request.id)
      end
      if conn.count == 7 then
        conn:go_away(conn.last)
      end
      return request.id > conn.last and { hold = true } or request.body
    end)
    for _ = 1, 5 do
      assert_all(parallel(20, post), 20)
    end
    assert.is_true(app.connections >= 14)
  end)

  it("that dies fails what it has; what can go again does where it had served", function()
    start()
    local client = gateway:client()
    assert.equal("ok", client:get("/").body)
    local dies = true
    app:answer(function(request, conn)
      if dies then
        dies = false
        conn.conn:reset()
        return { hold = true }
      end
      return request.body
    end)
    assert.equal(200, client:get("/again").status)
    dies = true
    assert.equal(502, client:post("/once", "x").status)
    assert.equal(200, client:post("/once", "x").status)
    assert.equal(5, #app.requests)
  end)

  it("that says nothing is asked by PING, and dead without an answer", function()
    start(nil, { ["upstream-ping-interval"] = "200ms", ["upstream-ping-timeout"] = "1s" })
    app:answer({ delay = "2s", body = "late" })
    assert.equal("late", gateway:client():get("/").body) -- its PINGs were answered
    app:answer(function(_, conn)
      conn.manual = conn.number == 1
      return conn.manual and { hold = true } or "other"
    end)
    assert.equal("other", gateway:client():get("/").body)
    assert.equal(2, app.connections)
    assert.equal(502, (function()
      app:answer(function(_, conn)
        conn.manual = true
        return { hold = true }
      end)
      return gateway:client():post("/", "x").status
    end)())
  end)

  it("is left when nobody needs it", function()
    start(nil, { ["upstream-keepalive-timeout"] = "200ms" })
    local conn
    app:answer(function(_, its)
      conn = its
      return "ok"
    end)
    gateway:client():get("/")
    t.wait_until(function()
      return conn.over
    end, "its end")
    assert.equal("NO_ERROR", conn.goaway.error)
    assert.equal("ok", gateway:client():get("/").body)
    assert.equal(2, app.connections)
  end)

  it("has as many requests as it may, then another one is made", function()
    start(nil, { ["upstream-keepalive-requests"] = "10" })
    local client = gateway:client()
    for _ = 1, 35 do
      assert.equal("ok", client:get("/").body)
    end
    assert.equal(4, app.connections)
    assert_all(parallel(35, post), 35)
  end)

  it("ends with the gateway, after its requests", function()
    start()
    local conn
    app:answer(function(_, its)
      conn = its
      mg.task.sleep("300ms")
      return "ok"
    end)
    local answers = 0
    mg.task.spawn(function()
      answers = answers + (gateway:client():get("/").body == "ok" and 1 or 0)
    end)
    app:request(1)
    gateway:kill(15)
    t.wait_until(function()
      return gateway.ended and conn.over
    end, "the end")
    assert.equal(1, answers)
    assert.equal("NO_ERROR", conn.goaway.error)
  end)

  it("is closed where the backend does not speak HTTP/2", function()
    start()
    local plain = require("moongate.test.upstream").new("ok")
    gateway:write({ ["spec.lua"] = SCRIPT:gsub("${app.port}", tostring(plain.port)) })
    gateway:reload()
    assert.equal(502, gateway:client():get("/").status)
    plain:close()
  end)

  it("ends with a backend that floods it", function()
    start(nil, { ["proxy-read-timeout"] = "5s" })
    app:answer({ raw = function(conn)
      for _ = 1, 100 do
        conn.conn:write(h2.frame(h2.SETTINGS, 0, 0):rep(100))
      end
    end })
    assert.equal(502, gateway:client():post("/", "x").status)
    local line = gateway:wait_log("limit_exceeded")
    assert.equal("http2-max-control-frames", line.limit)
    assert.equal("127.0.0.1:" .. app.port, line.endpoint)
    assert.equal(1, gateway:metrics("moongate_limit_exceeded_total", { limit = line.limit }))
    app:answer(nil)
    assert.equal("ok", gateway:client():get("/").body)
    assert.equal(1, #gateway:logs("limit_exceeded"))
  end)

  local function connections(state)
    return gateway:metrics("moongate_upstream_connections", { state = state })
  end

  it("is busy while it has a request, and idle otherwise", function()
    start()
    local held = {}
    app:answer(function(request)
      t.wait_until(function()
        return held.go
      end, "the word to go")
      return request.body
    end)
    local done = mg.task.spawn(function()
      assert_all(parallel(2, post), 2)
    end)
    app:request(2)
    assert.same({ 1, 0 }, { connections("busy"), connections("idle") })
    held.go = true
    mg.task.join(done)
    assert.same({ 0, 1 }, { connections("busy"), connections("idle") })
    app:drop_connections()
    t.wait_until(function()
      return connections("idle") == 0
    end, "its end")
    assert.equal(0, connections("busy"))
  end)

  it("is not kept beyond those that may be", function()
    start({ { h2.MAX_CONCURRENT_STREAMS, 1 } }, { ["upstream-keepalive-connections"] = 2 })
    gateway:client():get("/")
    local held = 0
    app:answer(function(request)
      held = held + 1
      t.wait_until(function()
        return held == 5
      end, "all requests")
      return request.body
    end)
    assert_all(parallel(5, post), 5)
    t.wait_until(function()
      return connections("idle") == 2 and connections("busy") == 0
    end, "the others to end")
  end)
end)
