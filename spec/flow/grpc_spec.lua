-- SPDX-License-Identifier: Apache-2.0
--
-- gRPC by frames: what the gateway itself says to its clients, how long a call may take, and what
-- passes. Real libraries are not needed for that.
local h2 = require("spec.support.h2")
local h2_upstream = require("spec.support.h2_upstream")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local nobody = require("spec.support.nobody")
local t = require("moongate.test")

local SCRIPTS = {
  ["routes.lua"] = [[
local mg = require("moongate")
mg.route { host = "a.test", path = "/", to = "grpc://127.0.0.1:${app.port}" }
mg.route { host = "gone.test", path = "/", to = "grpc://127.0.0.1:]] .. nobody.port() .. [[" }
mg.route { host = "small.test", path = "/", to = "grpc://127.0.0.1:${app.port}",
  settings = { body_limit_bytes = 9 } }
mg.route { host = "tries.test", path = "/", to = "grpc://127.0.0.1:${app.port}",
  settings = { tries = 3, retry_on = { "http_503", "non_idempotent" } } }
]],
  ["guard.lua"] = [[
return require("moongate").plugin {
  on_error = "fail_closed",
  access = function(ctx)
    local status = ctx.request:header("x-status")
    if status then
      return ctx:respond(tonumber(status), "no\n", { ["x-from"] = "guard" })
    elseif ctx.request:header("x-fail") then
      error("oops")
    end
  end,
  response = function(ctx)
    ctx.response:set_header("x-seen", tostring(ctx.response.status))
  end,
}
]],
}

-- A message of five bytes.
local MESSAGE = "\0\0\0\0\5hello"

describe("to clients of gRPC, the gateway", function()
  local gateway, app, conn

  setup(function()
    gateway = t.gateway({
      scripts = SCRIPTS,
      manifests = manifests.join(manifests.CLASS, manifests.service("empty", {}),
        manifests.ingress("empty", { host = "empty.test", service = "empty", annotations = {
          ["nginx.ingress.kubernetes.io/backend-protocol"] = "GRPC" } })),
      settings = { ["proxy-read-timeout"] = "2s", ["client-body-timeout"] = "1s" },
    })
    app = h2_upstream.new()
    gateway.upstreams.app = app
    gateway:start()
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app.requests, app.eager = {}, false
    app:answer(function(request)
      return { headers = { ["content-type"] = "application/grpc" }, body = request.body,
        trailers = { ["grpc-status"] = "0" } }
    end)
    conn = h2.connect(gateway)
  end)

  after_each(function()
    conn:close()
    assert.is_nil(app.failure)
  end)

  local function begin(options)
    local headers = { { "te", "trailers" },
      { "content-type", options.type or "application/grpc" } }
    for name, value in pairs(options.headers or {}) do
      table.insert(headers, { name, value })
    end
    return conn:request({ method = "POST", path = options.path or "/pkg.Service/Call",
      authority = options.host or "a.test", headers = headers, body = options.body or MESSAGE,
      open = options.open })
  end

  local function call(options)
    return conn:response(begin(options or {}))
  end

  -- An answer of gRPC has HTTP's 200, and all in one head that ends the stream.
  local function is_error(code, response, err)
    assert.is_table(response, err)
    assert.equal(200, response.status)
    assert.equal(tostring(code), response.headers["grpc-status"])
    assert.equal("application/grpc", response.headers["content-type"])
    assert.not_equal("", response.headers["grpc-message"])
    assert.equal("", response.body)
    assert.is_nil(response.headers["content-length"])
    assert.is_nil(response.trailers)
    return response
  end

  -- --- what it says itself ---------------------------------------------------------------

  local ERRORS = {
    { "no route", 12, { host = "nowhere.test" } },
    { "no endpoint", 14, { host = "empty.test" } },
    { "an endpoint that is not there", 14, { host = "gone.test" } },
    { "a body that is too large", 8, { host = "small.test" } },
    { "a failure of its own", 2, { headers = { ["x-fail"] = "1" } } },
    { "a plugin's 400", 13, { headers = { ["x-status"] = "400" } } },
    { "a plugin's 401", 16, { headers = { ["x-status"] = "401" } } },
    { "a plugin's 403", 7, { headers = { ["x-status"] = "403" } } },
    { "a plugin's 404", 12, { headers = { ["x-status"] = "404" } } },
    { "a plugin's 429", 14, { headers = { ["x-status"] = "429" } } },
    { "a plugin's 503", 14, { headers = { ["x-status"] = "503" } } },
    { "a plugin's 418", 2, { headers = { ["x-status"] = "418" } } },
  }

  for _, case in ipairs(ERRORS) do
    it(("says grpc-status %d for %s"):format(case[2], case[1]), function()
      is_error(case[2], call(case[3]))
      is_error(case[2], call(case[3]))
      assert.equal("0", call().trailers["grpc-status"])
      assert.equal(1, #app.requests)
    end)
  end

  it("says grpc-status 4 when the endpoint does not answer", function()
    app:answer({ hold = true })
    is_error(4, call())
  end)

  it("says grpc-status 14 when the endpoint fails", function()
    app:answer(function(_, backend)
      backend.conn:reset()
    end)
    is_error(14, call())
    app:answer({ reset = "INTERNAL_ERROR" })
    is_error(14, call())
  end)

  it("keeps what a plugin has put into its answer", function()
    local response = is_error(7, call({ headers = { ["x-status"] = "403" } }))
    assert.equal("guard", response.headers["x-from"])
    assert.equal("403", response.headers["x-seen"])
  end)

  it("says HTTP's own status to all others", function()
    for _, kind in ipairs({ "application/grpc-web", "application/grpc-web+proto", "text/plain",
      "application/grpcx", "application/json" }) do
      local response = call({ type = kind, host = "nowhere.test" })
      assert.equal(404, response.status)
      assert.is_nil(response.headers["grpc-status"])
    end
    for _, kind in ipairs({ "application/grpc+proto", "application/grpc;x", "Application/GRPC" }) do
      is_error(12, call({ type = kind, host = "nowhere.test" }))
    end
  end)

  it("ends a call whose messages have not all come", function()
    local id = begin({ host = "nowhere.test", open = true })
    local response = is_error(12, conn:response(id))
    while not response.reset do
      assert(conn:next())
    end
    assert.equal("NO_ERROR", response.reset)
  end)

  it("says grpc-status for messages that do not come", function()
    app.eager = true
    app:answer({ hold = true })
    local response = is_error(2, conn:response(begin({ open = true })))
    assert.matches("too long", response.headers["grpc-message"])
  end)

  -- --- how long a call may take ----------------------------------------------------------

  for _, timeout in ipairs({ "200m", "200000u", "00000200m" }) do
    it(("ends a call after grpc-timeout %s"):format(timeout), function()
      local seen
      app:answer({ raw = function(backend, request)
        t.wait_until(function()
          return request.reset or backend.over
        end, "the end of the call")
        seen = request.reset
      end })
      local from = mg.time.monotonic()
      local response = is_error(4, call({ headers = { ["grpc-timeout"] = timeout } }))
      local took = mg.time.monotonic() - from
      assert.is_true(took > 0.15, took)
      assert.equal(timeout, app:request(1).headers["grpc-timeout"])
      assert.is_nil(response.headers["x-nothing"])
      t.wait_until(function()
        return seen
      end, "the backend to be told")
      assert.equal("CANCEL", seen)
    end)
  end

  it("knows no timeout that is not valid", function()
    for _, timeout in ipairs({ "1", "m", "1x", "-1m", "1.5m", "123456789n", "0m", "1mm" }) do
      app:answer({ delay = "20ms", body = "late", trailers = { ["grpc-status"] = "0" } })
      assert.equal("0", call({ headers = { ["grpc-timeout"] = timeout } }).trailers["grpc-status"])
    end
  end)

  it("takes a timeout for no longer than it is, and no shorter", function()
    app:answer({ delay = "20ms", body = "late", trailers = { ["grpc-status"] = "0" } })
    for _, timeout in ipairs({ "1S", "1M", "1H", "99999999H", "99999999S" }) do
      assert.equal("0", call({ headers = { ["grpc-timeout"] = timeout } }).trailers["grpc-status"])
    end
    app:answer({ hold = true })
    is_error(4, call({ headers = { ["grpc-timeout"] = "1n" } }))
  end)

  it("leaves a call alone whose answer has begun", function()
    app:answer({ chunks = { "a", "b", "c" }, pause = "500ms",
      headers = { ["content-type"] = "application/grpc" }, trailers = { ["grpc-status"] = "0" } })
    local response = call({ headers = { ["grpc-timeout"] = "1S" } })
    assert.equal("abc", response.body)
    assert.equal("0", response.trailers["grpc-status"])
  end)

  it("counts all attempts of a call against its timeout", function()
    -- Of three tries the last would begin after two seconds.
    app:answer({ status = 503, delay = 1 })
    is_error(4, call({ host = "tries.test", headers = { ["grpc-timeout"] = "1500m" } }))
    assert.equal(2, #app.requests)
    assert.equal(503, call({ host = "tries.test" }).status)
    assert.equal(5, #app.requests)
  end)

  it("ends a call that has no more time while its messages come", function()
    app.eager = true
    app:answer({ hold = true })
    local id = begin({ open = true, headers = { ["grpc-timeout"] = "200m" } })
    local response = is_error(4, conn:response(id))
    while not response.reset do
      assert(conn:next())
    end
    assert.equal("NO_ERROR", response.reset)
  end)

  -- --- what passes ------------------------------------------------------------------------

  it("hands messages, fields and trailers on", function()
    local response = call({ headers = { ["x-bin"] = "AAEC", ["grpc-encoding"] = "identity" } })
    assert.equal(MESSAGE, response.body)
    assert.equal("0", response.trailers["grpc-status"])
    local seen = app:request(1)
    assert.equal("POST", seen.method)
    assert.equal("trailers", seen.headers.te)
    assert.equal("AAEC", seen.headers["x-bin"])
    assert.equal("identity", seen.headers["grpc-encoding"])
    assert.equal("application/grpc", seen.headers["content-type"])
    assert.equal("/pkg.Service/Call", seen.target)
  end)

  it("hands on what a backend says in its head alone", function()
    app:answer({ raw = function(backend, request)
      backend:send_fields(request.id, { { ":status", "200" }, { "content-type",
        "application/grpc" }, { "grpc-status", "5" }, { "grpc-message", "no%20such" } }, true)
    end })
    local response = call()
    assert.equal("5", response.headers["grpc-status"])
    assert.equal("no%20such", response.headers["grpc-message"])
    assert.is_nil(response.trailers)
    assert.equal("", response.body)
  end)

  it("hands on what else a backend says", function()
    app:answer({ status = 503, headers = { ["content-type"] = "text/html" }, body = "<p>" })
    local response = call()
    assert.equal(503, response.status)
    assert.equal("<p>", response.body)
    assert.is_nil(response.headers["grpc-status"])
  end)

  it("hands on each message of a call when it comes, both ways", function()
    app.eager = true
    app:answer({ raw = function(backend, request)
      backend:send_fields(request.id, { { ":status", "200" } })
      repeat
        t.wait_until(function()
          return #request.parts > 0 or request.ended
        end, "a message")
        for _, part in ipairs(request.parts) do
          backend:send_body(request.id, part)
        end
        request.parts = {}
      until request.ended
      backend:send_fields(request.id, { { "grpc-status", "0" } }, true)
    end })
    local id = begin({ open = true })
    local stream = conn:stream(id)
    for i = 1, 50 do
      while #table.concat(stream.parts) < i * #MESSAGE do
        assert(conn:next())
      end
      conn:send_body(id, i < 50 and MESSAGE or "", i == 50)
    end
    assert.equal(MESSAGE:rep(50), conn:response(id).body)
    assert.equal("0", stream.trailers["grpc-status"])
  end)
end)

describe("a gRPC health check", function()
  local gateway, app

  -- What the backend says to checks, which carry the name of a service; what else is asked is fine.
  local function start(grpc, say)
    gateway = t.gateway({ scripts = ([[
      require("moongate").route { path = "/", to = "grpc://127.0.0.1:${app.port}", name = "app",
        health = { grpc = %s, interval = "100ms", timeout = "1s", healthy = 1, unhealthy = 2 } }
    ]]):format(grpc) })
    app = h2_upstream.new(function(request)
      if request.path ~= "/grpc.health.v1.Health/Check" then
        return { body = "ok" }
      end
      app.checks = app.checks or {}
      table.insert(app.checks, request)
      return app.say or say
    end)
    gateway.upstreams.app = app
    gateway:start()
  end

  after_each(function()
    gateway:stop()
    assert.is_nil(app.failure)
  end)

  local function says(status)
    return { headers = { ["content-type"] = "application/grpc" },
      body = "\0\0\0\0\2\8" .. string.char(status), trailers = { ["grpc-status"] = "0" } }
  end

  local function wait_checks(count)
    local from = app.checks and #app.checks or 0
    t.wait_until(function()
      return app.checks and #app.checks >= from + count
    end, "checks")
  end

  local function is_let_in()
    wait_checks(4)
    assert.equal(0, #gateway:logs("endpoint_unhealthy"))
    assert.equal(200, gateway:client():get("/").status)
  end

  it("asks for the whole server, or one service", function()
    start("true", says(1))
    is_let_in()
    local check = app.checks[1]
    assert.equal("POST", check.method)
    assert.equal("application/grpc", check.headers["content-type"])
    assert.equal("trailers", check.headers.te)
    assert.equal("\0\0\0\0\0", check.body)
    gateway:stop()
    app.checks = nil
    start('"pkg.Service"', says(1))
    is_let_in()
    assert.equal("\0\0\0\0\13\10\11pkg.Service", app.checks[1].body)
  end)

  local BAD = {
    ["that it does not serve"] = { says(2), "the service does not say SERVING" },
    ["that it does not know"] = { says(0), "the service does not say SERVING" },
    ["that it does not know the service"] = { { headers = { ["grpc-status"] = "5" } },
      "grpc-status 5" },
    ["that it has no health checks"] = { { headers = { ["grpc-status"] = "12" } },
      "grpc-status 12" },
    ["nothing in its message"] = { { body = "\0\0\0\0\0", trailers = { ["grpc-status"] = "0" } },
      "the service does not say SERVING" },
    ["another status of HTTP"] = { { status = 503 }, "status 503" },
    ["garbage"] = { { body = ("\255\0garbage"):rep(1000) }, "the service does not say SERVING" },
    ["nothing at all"] = { { hold = true }, "the upstream took too long" },
    ["a reset"] = { { reset = "INTERNAL_ERROR" }, "the upstream closed early" },
  }

  for what, case in pairs(BAD) do
    it(("takes an endpoint out that says %s, until it says SERVING"):format(what), function()
      start("true", case[1])
      local line = gateway:wait_log("endpoint_unhealthy")
      assert.equal("app", line.service)
      assert.equal(case[2], line.error)
      assert.equal(0, gateway:metrics("moongate_endpoint_healthy"))
      app.say = says(1)
      gateway:wait_log("endpoint_healthy")
      assert.equal(1, gateway:metrics("moongate_endpoint_healthy"))
      assert.equal(200, gateway:client():get("/").status)
    end)
  end
end)
