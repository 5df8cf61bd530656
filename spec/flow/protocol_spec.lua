-- SPDX-License-Identifier: Apache-2.0
--
-- Corners of HTTP/1 that a gateway must carry: tunnels, trailers, interim answers, pipelines, old
-- clients, and the PROXY protocol in front of it all.
local h2 = require("spec.support.h2")
local mg = require("moongate")
local program = require("spec.support.program")
local read_to_end = require("spec.support.read_to_end")
local t = require("moongate.test")
local websocket = require("spec.support.websocket")

describe("the gateway", function()
  local gateway, app, client

  setup(function()
    gateway = t.gateway({ proxy = "${app}", upstreams = { app = true } }):start()
    app = gateway:upstream("app")
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app:answer(nil)
    app.requests = {}
    app.eager = false
    client = gateway:client()
  end)

  after_each(function()
    client:close()
    app:drop_connections()
  end)

  -- --- pipelines -----------------------------------------------------------------

  it("answers 100 requests of a pipeline in their order, whatever each takes", function()
    app:answer(function(request)
      local i = tonumber(request.path:sub(2))
      return { body = request.path .. request.body, delay = i % 7 == 0 and 0.002 * (i % 5) or nil }
    end)
    local texts, wanted = {}, {}
    local KINDS = {
      [0] = function(i) return { method = "POST", body = ("b"):rep(i) }, ("b"):rep(i) end,
      function(i) return { method = "POST", chunks = { "c", tostring(i) } }, "c" .. i end,
      function() return { method = "GET" }, "" end,
    }
    for i = 1, 100 do
      local request, body = KINDS[i % 3](i)
      request.path = "/" .. i
      local head, pieces = t.http1.request(request)
      texts[i] = head .. table.concat(pieces)
      wanted[i] = request.path .. body
    end
    local conn = client:raw()
    conn:write(table.concat(texts))
    for i = 1, 100 do
      local response = t.http1.read_response(conn)
      assert.are.equal(200, response.status)
      assert.are.equal(wanted[i], response.body)
    end
  end)

  it("reads a pipeline that is cut into pieces of any size", function()
    app:answer(function(request)
      return { body = request.path .. request.body }
    end)
    local text = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
      .. "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
      .. "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n"
      .. "GET /4 HTTP/1.1\r\nHost: a\r\n\r\n"
    for size = 1, #text, 3 do
      local one = gateway:client()
      local conn = one:raw()
      mg.task.spawn(function()
        for at = 1, #text, size do
          conn:write(text:sub(at, at + size - 1))
          mg.task.sleep(0)
        end
      end)
      for _, wanted in ipairs({ "/1", "/2abc", "/3xyz", "/4" }) do
        assert.are.equal(wanted, t.http1.read_response(conn).body)
      end
      one:close()
    end
  end)

  it("ends a pipeline at what it refuses, behind the answers before it", function()
    local conn = client:raw()
    conn:write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" .. "BROKEN\r\n\r\n"
      .. "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.are.equal(200, t.http1.read_response(conn).status)
    assert.are.equal(400, t.http1.read_response(conn).status)
    assert.is_nil(t.http1.read_response(conn))
    assert.are.equal(1, #app.requests)
  end)

  it("serves no request behind one that says close", function()
    local conn = client:raw()
    conn:write("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      .. "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.are.equal(200, t.http1.read_response(conn).status)
    assert.is_nil((t.http1.read_response(conn)))
    assert.are.equal(1, #app.requests)
  end)

  -- --- trailers, interim answers, 100 Continue -------------------------------------

  it("carries trailers both ways at once", function()
    app:answer(function(request)
      return { chunks = { request.body }, trailers = { ["X-Back"] = request.trailers["x-sum"] } }
    end)
    local response = client:request({ method = "POST", path = "/", chunks = { "a", "b" },
      headers = { TE = "trailers", Trailer = "X-Sum" }, trailers = { ["X-Sum"] = "ab" } })
    assert.are.equal("ab", response.body)
    assert.are.same({ ["x-back"] = "ab" }, response.trailers)
  end)

  local function with_trailers(trailers)
    return client:request({ method = "POST", path = "/", chunks = { "a" }, trailers = trailers })
  end

  it("takes no host from trailers", function()
    assert.are.equal(200, with_trailers({ ["X-Sum"] = "1", Host = "evil" }).status)
    assert.are.equal("1", app:request(1).trailers["x-sum"])
    assert.is_nil(app:request(1).trailers.host)
    assert.are.equal("ok", client:get("/").body)
  end)

  for name, value in pairs({ ["Content-Length"] = "7", ["Transfer-Encoding"] = "chunked" }) do
    it("refuses framing in trailers, and no backend has a whole request: " .. name, function()
      assert.are.equal(400, with_trailers({ ["X-Sum"] = "1", [name] = value }).status)
      assert.are.equal("ok", gateway:client():get("/").body)
      for _, request in ipairs(app.requests) do
        assert.are.equal(request.method == "GET", request.complete == true)
      end
    end)
  end

  it("passes 103 on, and several of them", function()
    app:answer({ interim = { 103, 103 }, body = "at last" })
    local response = client:get("/")
    assert.are.equal(2, #response.interim)
    assert.are.equal("at last", response.body)
    local old = client:request({ path = "/", version = "1.0" })
    assert.are.equal(0, #old.interim)
    assert.are.equal("at last", old.body)
  end)

  it("lets no flood of interim answers fill its memory", function()
    app:answer({ raw = ("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"):rep(5000)
      .. "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" })
    assert.are.equal(502, client:request({ path = "/" }).status)
    app:answer(nil)
    assert.are.equal("ok", gateway:client():get("/").body)
  end)

  it("says 100 Continue only when the body is wanted", function()
    local response =
      client:request({ method = "POST", path = "/", body = "held back", expect = true })
    assert.is_true(response.continued)
    assert.are.equal("held back", response.body)
    -- A body that comes unasked needs no permission.
    local head, pieces = t.http1.request({ method = "POST", path = "/", body = "unasked",
      headers = { Expect = "100-continue" } })
    local conn = client:raw()
    conn:write(head .. table.concat(pieces))
    response = t.http1.read_response(conn)
    assert.are.equal("unasked", response.body)
  end)

  -- --- old clients -------------------------------------------------------------------

  it("serves HTTP/1.0: closes, or keeps the connection when asked to", function()
    local response = client:request({ path = "/", version = "1.0" })
    assert.are.equal("ok", response.body)
    assert.are.equal("close", response:header("connection"))
    local kept = gateway:client()
    for _ = 1, 3 do
      response = kept:request({ path = "/", version = "1.0",
        headers = { Connection = "keep-alive" } })
      assert.are.equal("ok", response.body)
      assert.are.equal("keep-alive", response:header("connection"))
    end
    assert.are.equal(1, kept.connections)
    app:answer({ chunks = { "a", "b" } })
    response = kept:request({ path = "/", version = "1.0",
      headers = { Connection = "keep-alive" } })
    assert.are.equal("ab", response.body)
    assert.is_true(response.until_close)
    kept:close()
  end)

  it("serves HTTP/1.0 without a Host", function()
    local conn = client:raw()
    conn:write("GET / HTTP/1.0\r\n\r\n")
    assert.are.equal(200, t.http1.read_response(conn).status)
  end)

  it("refuses other versions", function()
    for _, version in ipairs({ "2.0", "1.2", "0.9", "x" }) do
      local one = gateway:client()
      local conn = one:raw()
      conn:write(("GET / HTTP/%s\r\nHost: a\r\n\r\n"):format(version))
      local status = t.http1.read_response(conn).status
      assert.is_true(status == 505 or status == 400, version .. ": " .. status)
      one:close()
    end
    assert.are.equal(0, #app.requests)
  end)

  -- --- tunnels -----------------------------------------------------------------------

  local UPGRADE = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

  local function tunnel(serve)
    app:answer({ status = 101, headers = { Connection = "upgrade", Upgrade = "websocket" },
      tunnel = serve })
    local conn = client:raw()
    conn:write(UPGRADE)
    local response = t.http1.read_head(conn)
    assert.are.equal(101, response.status)
    return conn
  end

  it("carries a tunnel's bytes both ways, many of them", function()
    local text = ("0123456789abcdef"):rep(65536)
    local conn = tunnel(function(server)
      local left = #text
      while left > 0 do
        local data = assert(server:read(left))
        assert(server:write(data))
        left = left - #data
      end
      server:read()
    end)
    mg.task.spawn(function()
      conn:write(text)
    end)
    assert.is_true(conn:read_exactly(#text) == text)
  end)

  it("passes bytes that come right behind the request of an upgrade", function()
    app:answer({ status = 101, headers = { Connection = "upgrade", Upgrade = "websocket" },
      tunnel = function(server)
        server:write("got " .. server:read_exactly(5))
        server:read()
      end })
    local conn = client:raw()
    conn:write(UPGRADE .. "early")
    assert.are.equal(101, t.http1.read_head(conn).status)
    assert.are.equal("got early", conn:read_exactly(9))
  end)

  it("ends a tunnel when either side ends it, after what was sent", function()
    local conn = tunnel(function(server)
      server:write("last words")
    end)
    assert.are.equal("last words", read_to_end(conn))
    client:close()

    local seen = {}
    conn = tunnel(function(server)
      seen.data = server:read()
      seen.rest = server:read()
      seen.over = true
    end)
    conn:write("mine")
    t.wait_until(function()
      return seen.data
    end, "the bytes")
    client:close()
    t.wait_until(function()
      return seen.over
    end, "the end of the tunnel")
    assert.are.equal("mine", seen.data)
    assert.is_nil(seen.rest)
  end)

  it("delivers what a client sent before it ended a tunnel", function()
    local size, seen = 4 * 1048576, 0
    local over
    local conn = tunnel(function(server)
      mg.task.sleep("100ms")
      local data = server:read()
      while data do
        seen = seen + #data
        data = server:read()
      end
      over = true
    end)
    conn:write(("x"):rep(size))
    client:close()
    t.wait_until(function()
      return over
    end, "the end of the tunnel")
    assert.are.equal(size, seen)
  end)

  -- Whether a tunnel of either version of HTTP still carries a byte after a while of silence.
  local LIVES = {
    function(one)
      local conn = one:connect()
      conn:write(UPGRADE)
      t.http1.read_head(conn)
      mg.task.sleep("1200ms")
      conn:write("x")
      return conn:read() == "x"
    end,
    function(one)
      local conn = h2.connect(one)
      local socket = websocket.open(conn, "/chat")
      mg.task.sleep("1200ms")
      conn:send_body(socket.id, "x")
      local stream = socket.stream
      while not (stream.parts[1] or stream.ended or stream.error) and conn:next() do
        socket.answered = true
      end
      return stream.parts[1] == "x"
    end,
  }

  for read_timeout, lives in pairs({ ["60s"] = true, ["500ms"] = false }) do
    it("lets a tunnel be silent by the longer of two timeouts, with " .. read_timeout, function()
      local settings = { ["tunnel-timeout"] = "500ms", ["proxy-read-timeout"] = read_timeout }
      local one = t.gateway({ proxy = "${app}", upstreams = { app = true }, settings = settings })
        :start()
      one:upstream("app"):answer({
        status = 101,
        headers = { Connection = "upgrade", Upgrade = "websocket" },
        tunnel = function(server)
          server:write(server:read() or "")
        end,
      })
      for version, is_alive in ipairs(LIVES) do
        assert.are.equal(lives, is_alive(one), "HTTP/" .. version)
      end
      one:stop()
    end)
  end

  it("ends a tunnel whose backend resets", function()
    local conn = tunnel(function(server)
      server:read_exactly(1)
      server:reset()
    end)
    conn:write("x")
    assert.are.equal("", read_to_end(conn))
    app:answer(nil)
    assert.are.equal("ok", gateway:client():get("/").body)
  end)

  it("passes on that a backend refuses an upgrade", function()
    app:answer({ status = 426, headers = { Upgrade = "other" }, body = "no" })
    local conn = client:raw()
    conn:write(UPGRADE)
    local response = t.http1.read_response(conn)
    assert.are.equal(426, response.status)
    assert.are.equal("no", response.body)
    app:answer(nil)
    assert.are.equal("ok", client:get("/").body)
    assert.are.equal(1, client.connections)
  end)

  it("makes no tunnel of a request whose body has not come", function()
    app.eager = true
    app:answer({ raw = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
      .. "Upgrade: websocket\r\n\r\nraw" })
    local conn = client:raw()
    conn:write("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      .. "Content-Length: 10\r\n\r\nhalf")
    assert.are.equal(502, t.http1.read_response(conn).status)
  end)
end)

-- --- the PROXY protocol ----------------------------------------------------------------

local V1 = "PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n"
local V1_6 = "PROXY TCP6 2001:db8::7 ::1 4711 80\r\n"
local V2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\12" .. "\203\0\113\7\127\0\0\1\18\103\0\80"
local V2_LOCAL = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"

describe("behind the PROXY protocol, the gateway", function()
  local gateway, app

  setup(function()
    gateway = t.gateway({
      upstreams = { app = true },
      settings = { ["use-proxy-protocol"] = true, ["proxy-protocol-header-timeout"] = "400ms" },
      scripts = 'require("moongate").route({ to = "${app}" })\n',
    }):start()
    app = gateway:upstream("app")
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app.requests = {}
  end)

  for what, case in pairs({
    ["version 1"] = { V1, "203.0.113.7" },
    ["version 1 with IPv6"] = { V1_6, "2001:db8::7" },
    ["version 1 that knows nothing"] = { "PROXY UNKNOWN\r\n", "127.0.0.1" },
    ["version 2"] = { V2, "203.0.113.7" },
    ["version 2 of a health check"] = { V2_LOCAL, "127.0.0.1" },
  }) do
    for _, split in ipairs({ 1000, 1 }) do
      it(("believes %s, in pieces of %d bytes"):format(what, split), function()
        local client = gateway:client()
        local conn = client:raw()
        local text = case[1] .. "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        for at = 1, #text, split do
          conn:write(text:sub(at, at + split - 1))
          mg.task.sleep(0)
        end
        assert.are.equal(200, t.http1.read_response(conn).status)
        conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n") -- the header stands once
        assert.are.equal(200, t.http1.read_response(conn).status)
        assert.are.equal(case[2], app:request(1):header("x-forwarded-for"))
        assert.are.equal(case[2], app:request(2):header("x-forwarded-for"))
        client:close()
      end)
    end
  end

  for what, text in pairs({
    ["nothing of it"] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ["a broken address"] = "PROXY TCP4 999.0.0.1 127.0.0.1 1 2\r\n",
    ["a line without end"] = "PROXY TCP4 " .. ("1"):rep(200),
    ["version 3"] = "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\12" .. ("\0"):rep(12),
  }) do
    it(("closes a connection with %s"):format(what), function()
      local client = gateway:client()
      local conn = client:raw()
      conn:write(text)
      assert.are.equal("", read_to_end(conn))
      assert.are.equal(0, #app.requests)
      client:close()
    end)
  end

  it("closes a connection on which its header does not come", function()
    local client = gateway:client()
    local conn = client:raw()
    conn:write("PROXY TCP4")
    assert.are.equal("", read_to_end(conn))
    client:close()
  end)

  it("believes it in front of TLS as well", function()
    -- A relay says the header in front of what curl says.
    local made = mg.tcp.listen("127.0.0.1:0")
    mg.task.spawn(function()
      local inner = made:accept()
      local outer = mg.tcp.connect("127.0.0.1", gateway.https_port)
      outer:write(V2)
      mg.task.spawn(function()
        local data = inner:read()
        while data and outer:write(data) do
          data = inner:read()
        end
        outer:close()
      end)
      local data = outer:read()
      while data and inner:write(data) do
        data = outer:read()
      end
      inner:close()
    end)
    assert.are.equal(0, program.curl({ https_port = made.port }, "127.0.0.1").code)
    assert.are.equal("203.0.113.7", app:request(1):header("x-forwarded-for"))
    assert.are.equal("https", app:request(1):header("x-forwarded-proto"))
    made:close()
  end)
end)
