-- SPDX-License-Identifier: Apache-2.0
--
-- What a proxy owes its two sides, seen from both: the shipped binary between scripted ones.
local mg = require("moongate")
local nobody = require("spec.support.nobody")
local t = require("moongate.test")
local websocket = require("spec.support.websocket")

describe("a proxy", function()
  local gateway, app, client

  setup(function()
    gateway = t.gateway({
      proxy = "${app}",
      upstreams = { app = true },
      args = { "--set", "proxy-next-upstream=off" },
    }):start()
    app = gateway:upstream("app")
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app:answer(nil)
    app.requests = {}
    client = gateway:client()
  end)

  after_each(function()
    client:close()
  end)

  it("passes a request on and its answer back", function()
    app:answer({ status = 201, headers = { ["X-From"] = "app" }, body = "made" })
    local response = client:request({
      method = "POST",
      path = "/a%20b?x=1",
      host = "a.test",
      headers = { ["X-To"] = "app" },
      body = "what it is made of",
    })
    assert.are.equal(201, response.status)
    assert.are.equal("app", response:header("x-from"))
    assert.are.equal("made", response.body)
    local request = app:request(1)
    assert.are.equal("POST /a%20b?x=1 HTTP/1.1", request.line)
    assert.are.equal("a.test", request:header("host"))
    assert.are.equal("app", request:header("x-to"))
    assert.are.equal("127.0.0.1", request:header("x-forwarded-for"))
    assert.are.equal("what it is made of", request.body)
  end)

  it("keeps connections on both sides", function()
    for _ = 1, 3 do
      assert.are.equal(200, client:get("/").status)
    end
    assert.are.equal(1, client.connections)
    assert.are.equal(app:request(2).connection, app:request(3).connection)
  end)

  it("reads a request that comes byte by byte", function()
    local response = client:request({ path = "/slowly", headers = { a = "b" }, split = 1 })
    assert.are.equal(200, response.status)
    assert.are.equal("b", app:request(1):header("a"))
  end)

  it("answers pipelined requests in their order", function()
    app:answer(function(request)
      return { body = request.path, delay = request.path == "/1" and "30ms" or nil }
    end)
    local conn = client:raw()
    conn:write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
      .. "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxx"
      .. "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    local bodies = {}
    for i = 1, 3 do
      bodies[i] = t.http1.read_response(conn).body
    end
    assert.are.same({ "/1", "/2", "/3" }, bodies)
  end)

  it("streams a chunked request with trailers", function()
    client:request({
      method = "POST",
      path = "/",
      chunks = { "one ", "two" },
      headers = { Trailer = "X-Sum" },
      trailers = { ["X-Sum"] = "7" },
    })
    local request = app:request(1)
    assert.are.equal("one two", request.body)
    assert.are.same({ ["x-sum"] = "7" }, request.trailers)
  end)

  it("streams a chunked response with trailers", function()
    app:answer({ chunks = { "one ", "two" }, trailers = { ["X-Sum"] = "7" } })
    local response = client:get("/", { TE = "trailers" })
    assert.are.equal("one two", response.body)
    assert.are.same({ ["x-sum"] = "7" }, response.trailers)
    assert.are.equal(200, client:get("/").status)
    assert.are.equal(1, client.connections)
  end)

  it("passes a piece on before the next one comes", function()
    local go = {}
    app:answer(function(_, conn)
      conn:write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. t.http1.chunk("first"))
      t.wait_until(function()
        return go.on
      end, "the client to have the first piece")
      return { raw = t.http1.chunk("second") .. t.http1.last_chunk() }
    end)
    local conn = client:raw()
    conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.are.equal(200, t.http1.read_head(conn).status)
    assert.are.equal("first", conn:read_exactly(#"5\r\nfirst\r\n"):sub(4, 8))
    go.on = true
    assert.are.equal("second", conn:read_exactly(#"6\r\nsecond\r\n"):sub(4, 9))
  end)

  it("tells of a response that was cut by cutting it as well", function()
    app:answer({ chunks = { "only the beginning" }, cut = true })
    local response = client:request({ path = "/" })
    assert.are.equal("only the beginning", response.body)
    assert.are.equal("closed", response.error)
  end)

  it("moves a large body both ways with bounded memory", function()
    local size = 4 * 1048576
    app:answer(function(request)
      return { body = request.body }
    end)
    local response = client:post("/", ("0123456789abcdef"):rep(size / 16))
    assert.are.equal(size, #response.body)
  end)

  it("asks for a body that the client holds back until 100 Continue", function()
    local response =
      client:request({ method = "POST", path = "/", body = "held back", expect = true })
    assert.is_true(response.continued)
    assert.are.equal("held back", response.body)
    assert.is_nil(app:request(1):header("expect"))
  end)

  it("passes interim answers on", function()
    app:answer({ interim = { 103 }, body = "at last" })
    local response = client:get("/")
    assert.are.equal(103, response.interim[1].status)
    assert.are.equal("at last", response.body)
  end)

  for _, case in ipairs({
    { what = "HEAD", method = "HEAD", answer = { body = "four" }, status = 200, length = "4" },
    { what = "204", answer = { status = 204 }, status = 204 },
    { what = "304", answer = { status = 304, headers = { ETag = '"1"' } }, status = 304 },
  }) do
    it(("sends no body for %s, and the connection goes on"):format(case.what), function()
      app:answer(case.answer)
      local response = client:request({ method = case.method or "GET", path = "/" })
      assert.are.equal(case.status, response.status)
      assert.are.equal(case.length, response:header("content-length"))
      app:answer(nil)
      assert.are.equal("ok", client:get("/").body)
      assert.are.equal(1, client.connections)
    end)
  end

  it("answers HTTP/1.0 without chunks, and closes", function()
    app:answer({ chunks = { "a", "b" } })
    local response = client:request({ path = "/", version = "1.0" })
    assert.are.equal("ab", response.body)
    assert.is_nil(response:header("transfer-encoding"))
    assert.is_true(response.until_close)
  end)

  it("becomes a tunnel when both sides switch protocols", function()
    local answer = websocket.echo("you said")
    local echo = answer.tunnel
    function answer.tunnel(conn)
      conn:write("welcome\n")
      echo(conn)
    end
    app:answer(answer)
    local conn = client:raw()
    conn:write("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    local response = t.http1.read_response(conn)
    assert.are.equal(101, response.status)
    assert.are.equal("echo", response:header("upgrade"))
    assert.are.equal("welcome", conn:read_until("\n"))
    conn:write("hello\n")
    assert.are.equal("you said hello", conn:read_until("\n"))
    local open = app.open_count
    client:close()
    t.wait_until(function()
      return app.open_count < open
    end, "the tunnel's end at the upstream")
  end)

  it("releases the upstream when the client leaves", function()
    app:answer({ hold = true })
    local conn = client:raw()
    conn:write("GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
    local request = app:request(1)
    conn:reset()
    t.wait_until(function()
      return request.abandoned
    end, "the upstream's connection to end")
  end)

  it("repeats a request whose kept connection had died", function()
    assert.are.equal(200, client:get("/").status)
    app:answer({ { reset = true }, { body = "again" } })
    assert.are.equal("again", client:get("/").body)
  end)

  it("does not repeat what may have had an effect", function()
    app:drop_connections()
    app:answer({ { reset = true }, { body = "again" } })
    assert.are.equal(502, client:post("/", "x").status)
    assert.are.equal(1, #app.requests)
  end)

  for what, raw in pairs({
    ["is no HTTP"] = "SSH-2.0-OpenSSH\r\n\r\n",
    ["has two lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
  }) do
    it(("answers 502 when the answer %s"):format(what), function()
      app:answer({ raw = raw, close = true })
      assert.are.equal(502, client:get("/").status)
    end)
  end

  it("names the limit of an answer's head", function()
    app:answer({ headers = { ["X-Large"] = ("x"):rep(70000) } })
    assert.are.equal(502, client:get("/").status)
    assert.are.equal("proxy-buffer-size", gateway:wait_log("limit_exceeded").limit)
  end)

  it("answers 400 to what can be read in two ways, and closes", function()
    local conn = client:raw()
    conn:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    local response = t.http1.read_response(conn)
    assert.are.equal(400, response.status)
    assert.are.equal("close", response:header("connection"))
    assert.are.equal(0, #app.requests)
  end)
end)

describe("a route", function()
  local gateway

  local function start(options)
    gateway = t.gateway(options):start()
    return gateway:client()
  end

  after_each(function()
    gateway:stop()
  end)

  it("answers 404 without a match, 502 when nobody listens, 504 when nobody answers", function()
    local refused = "http://127.0.0.1:" .. nobody.port()
    local client = start({
      upstreams = { slow = { hold = true } },
      settings = { hsts = false },
      scripts = ([[
        local mg = require("moongate")
local nobody = require("spec.support.nobody")
        mg.route({ host = "a.test", path = "/refused", to = %q })
        local settings = { read_timeout_ms = 150, tries = 1 }
        mg.route({ host = "a.test", path = "/slow", to = "${slow}", settings = settings })
      ]]):format(refused),
    })
    local function status(host, path)
      return client:request({ path = path, host = host }).status
    end
    assert.are.equal(404, status("b.test", "/"))
    assert.are.equal(404, status("a.test", "/other"))
    assert.are.equal(502, status("a.test", "/refused"))
    assert.are.equal(504, status("a.test", "/slow"))
  end)

  it("tries another endpoint when one refuses", function()
    local refused = "http://127.0.0.1:" .. nobody.port()
    local client = start({
      upstreams = { good = { body = "from the good one" } },
      scripts = ([[
        local mg = require("moongate")
local nobody = require("spec.support.nobody")
        mg.route({ host = "a.test", path = "/", to = { %q, "${good}" } })
      ]]):format(refused),
    })
    for _ = 1, 4 do
      local response = client:request({ path = "/", host = "a.test" })
      assert.are.equal("from the good one", response.body)
    end
  end)

  it("tries another endpoint when one closes without an answer", function()
    local client = start({
      upstreams = { bad = { reset = true }, good = { body = "from the good one" } },
      scripts = [[
        local mg = require("moongate")
local nobody = require("spec.support.nobody")
        mg.route({ host = "a.test", path = "/", to = { "${bad}", "${good}" } })
      ]],
    })
    for _ = 1, 4 do
      local response = client:request({ path = "/", host = "a.test" })
      assert.are.equal("from the good one", response.body)
    end
  end)

  it("is served by every worker", function()
    start({ workers = 3, upstreams = { app = true }, proxy = "${app}" })
    local waiting = {}
    for i = 1, 12 do
      waiting[i] = mg.task.spawn(function()
        return gateway:client():get("/").status
      end)
    end
    for _, one in ipairs(waiting) do
      assert.are.equal(200, mg.task.join(one))
    end
  end)
end)
