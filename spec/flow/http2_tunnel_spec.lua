-- SPDX-License-Identifier: Apache-2.0
--
-- WebSocket where one side or both speak HTTP/2 (RFC 8441): extended CONNECT against the upgrade of
-- HTTP/1.1.
local h2 = require("spec.support.h2")
local h2_upstream = require("spec.support.h2_upstream")
local mg = require("moongate")
local read_to_end = require("spec.support.read_to_end")
local t = require("moongate.test")

local SCRIPT = [[
local mg = require("moongate")
mg.route { host = "new.test", path = "/", to = "h2c://127.0.0.1:${new.port}" }
mg.route { host = "closed.test", path = "/", to = "h2c://127.0.0.1:${closed.port}" }
mg.route { host = "old.test", path = "/", to = "${old}" }
]]

-- RFC 6455 1.3.
local KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

local UPGRADE = "GET /chat?x=1 HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"
  .. "Sec-WebSocket-Key: " .. KEY .. "\r\nSec-WebSocket-Version: 13\r\n"
  .. "Sec-WebSocket-Protocol: chat\r\n\r\n"

describe("WebSocket over HTTP/2", function()
  local gateway, new, closed, old

  setup(function()
    gateway = t.gateway({ workers = 1, scripts = SCRIPT, upstreams = { old = true },
      settings = { ["proxy-read-timeout"] = "2s", ["client-header-timeout"] = "1s" } })
    new = h2_upstream.new(nil, { eager = true, settings = { { h2.ENABLE_CONNECT_PROTOCOL, 1 } } })
    closed = h2_upstream.new(nil, { eager = true })
    gateway.upstreams.new, gateway.upstreams.closed = new, closed
    gateway:start()
    old = gateway:upstream("old")
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    new.requests, old.requests, closed.requests = {}, {}, {}
  end)

  after_each(function()
    new:drop_connections()
    old:drop_connections()
    assert.is_nil(new.failure)
  end)

  -- What a backend does with a tunnel: upper case, until the other side ends it.
  local function serve_stream(conn, request)
    conn:send_fields(request.id, { { ":status", "200" }, { "sec-websocket-protocol", "chat" } })
    local told = 0
    repeat
      t.wait_until(function()
        return #request.parts > told or request.ended or request.error or conn.over
      end, "bytes of a tunnel")
      while told < #request.parts do
        told = told + 1
        conn:send_body(request.id, request.parts[told]:upper())
      end
    until request.ended or request.error or conn.over
    conn:send_body(request.id, "", true)
  end

  local function serve_socket(conn)
    local data = conn:read()
    while data do
      conn:write(data:upper())
      data = conn:read()
    end
  end

  local function use(serve)
    new:answer({ raw = serve or serve_stream })
    old:answer({ status = 101, headers = { Connection = "upgrade", Upgrade = "websocket",
      ["Sec-WebSocket-Accept"] = ACCEPT, ["Sec-WebSocket-Protocol"] = "chat" },
      tunnel = serve_socket })
  end

  local function connect(authority, more)
    local conn = h2.connect(gateway)
    local fields = { { ":method", "CONNECT" }, { ":protocol", "websocket" }, { ":scheme", "http" },
      { ":path", "/chat?x=1" }, { ":authority", authority }, { "sec-websocket-version", "13" },
      { "sec-websocket-protocol", "chat" } }
    for _, field in ipairs(more or {}) do
      fields[#fields + 1] = field
    end
    local id = conn:request({ fields = fields, open = true })
    return conn, id, conn:stream(id)
  end

  -- Reads until so much of a stream has come.
  local function read(conn, stream, length)
    while #table.concat(stream.parts) < length and not stream.ended and not stream.error do
      assert(conn:next())
    end
    local data = table.concat(stream.parts)
    stream.parts = {}
    return data
  end

  it("opens for a client of HTTP/1.1, on a new connection and on one that was there", function()
    use()
    for i = 1, 2 do
      local conn = gateway:client():raw()
      conn:write(UPGRADE:format("new.test", "websocket"))
      local response = t.http1.read_head(conn)
      assert.equal(101, response.status)
      assert.equal("websocket", response.headers.upgrade)
      assert.equal("Upgrade", response.headers.connection)
      assert.equal(ACCEPT, response.headers["sec-websocket-accept"])
      assert.equal("chat", response.headers["sec-websocket-protocol"])
      conn:write("hello")
      assert.equal("HELLO", conn:read_exactly(5))
      local seen = new:request(i)
      assert.equal("CONNECT", seen.method)
      assert.equal("websocket", seen.headers[":protocol"])
      assert.equal("/chat?x=1", seen.target)
      assert.equal("new.test", seen.headers[":authority"])
      assert.equal("http", seen.headers[":scheme"])
      assert.equal("13", seen.headers["sec-websocket-version"])
      assert.is_nil(seen.headers["sec-websocket-key"])
      assert.is_nil(seen.headers.upgrade)
      conn:close()
    end
    assert.equal(1, new.connections)
  end)

  it("opens for a client of HTTP/2 to a backend of HTTP/1.1", function()
    use()
    local conn, id, stream = connect("old.test")
    conn:send_body(id, "early")
    assert.equal("EARLY", read(conn, stream, 5))
    assert.equal(200, stream.status)
    assert.equal("chat", stream.headers["sec-websocket-protocol"])
    for _, name in ipairs({ "sec-websocket-accept", "upgrade", "connection" }) do
      assert.is_nil(stream.headers[name])
    end
    local seen = old:request(1)
    assert.equal("GET", seen.method)
    assert.equal("websocket", seen.headers.upgrade)
    assert.equal(24, #seen.headers["sec-websocket-key"])
    conn:send(h2.DATA, h2.END_STREAM, id, "")
    assert.is_true(conn:response(id).ended)
    conn:close()
  end)

  it("ends although the handshake names gRPC and a timeout", function()
    use()
    for _ = 1, 3 do
      local conn, id = connect("old.test", { { "content-type", "application/grpc" },
        { "grpc-timeout", "1H" } })
      conn:send(h2.DATA, h2.END_STREAM, id, "")
      assert.is_true(conn:response(id).ended)
      conn:close()
    end
    local held = gateway:client():raw() -- its end is left to a deadline of the worker
    held:write("GET")
    assert.equal(408, t.http1.read_head(held).status)
  end)

  it("opens from end to end, many times on one connection", function()
    use()
    local conn = connect("new.test")
    for i = 3, 21, 2 do
      conn:request({ open = true, fields = { { ":method", "CONNECT" },
        { ":protocol", "websocket" }, { ":scheme", "http" }, { ":path", "/" },
        { ":authority", "new.test" } } })
      conn:send_body(i, "is " .. i)
    end
    for i = 3, 21, 2 do
      assert.equal("IS " .. i, read(conn, conn:stream(i), #("is " .. i)))
      conn:send_body(i, "end", true)
      assert.is_true(conn:response(i).ended)
    end
    conn:close()
  end)

  it("carries many bytes", function()
    use()
    local text = ("0123456789abcdef"):rep(65536)
    local conn = gateway:client():raw()
    conn:write(UPGRADE:format("new.test", "websocket"))
    assert.equal(101, t.http1.read_head(conn).status)
    mg.task.spawn(function()
      conn:write(text)
    end)
    assert.is_true(conn:read_exactly(#text) == text:upper())
    conn:close()

    for _, authority in ipairs({ "new.test", "old.test" }) do
      local client, id, stream = connect(authority)
      local got, at = {}, 1
      while at <= #text do
        client:send_body(id, text:sub(at, at + 65535))
        got[#got + 1] = read(client, stream, 65536)
        at = at + 65536
      end
      assert.is_true(table.concat(got) == text:upper())
      client:close()
    end
  end)

  it("ends when the client ends it, after what was sent", function()
    local seen
    use(function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" } })
      t.wait_until(function()
        return request.ended or request.error
      end, "the end")
      seen = request
    end)
    local client = gateway:client()
    local conn = client:raw()
    conn:write(UPGRADE:format("new.test", "websocket"))
    assert.equal(101, t.http1.read_head(conn).status)
    conn:write("last words")
    client:close()
    t.wait_until(function()
      return seen
    end, "the end of the tunnel")
    assert.equal("last words", table.concat(seen.parts))
    assert.is_nil(seen.error)
  end)

  it("ends when the backend ends it, after what was sent", function()
    use(function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" } })
      conn:send_body(request.id, "last words", true)
    end)
    local conn = gateway:client():raw()
    conn:write(UPGRADE:format("new.test", "websocket"))
    assert.equal(101, t.http1.read_head(conn).status)
    assert.equal("last words", read_to_end(conn))
    local client, id = connect("new.test")
    assert.equal("last words", client:response(id).body)
    client:close()
  end)

  -- As a browser ends a WebSocket: END_STREAM stands at its frame Close.
  it("has the last word of the backend carried, behind the end of the client", function()
    use(function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" } })
      t.wait_until(function()
        return request.ended
      end, "the end of the client")
      conn:send_body(request.id, "bye", true)
    end)
    old:answer({ status = 101, headers = { Connection = "upgrade", Upgrade = "websocket",
      ["Sec-WebSocket-Accept"] = ACCEPT }, tunnel = function(conn)
      conn:read_exactly(4)
      conn:write("bye")
    end })
    for _, authority in ipairs({ "old.test", "new.test" }) do
      local conn, id = connect(authority)
      conn:send_body(id, "last", true)
      local response = conn:response(id)
      assert.is_nil(response.error)
      assert.equal("bye", response.body)
      conn:close()
    end
  end)

  it("lets the backend know of the client's end, if it says nothing", function()
    use()
    local conn, id = connect("old.test")
    conn:send_body(id, "more", true)
    assert.equal("MORE", conn:response(id).body)
    conn:close()
    t.wait_until(function()
      return old.open_count == 0
    end, "the end of the connection")
  end)

  it("breaks when the backend breaks it", function()
    use(function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" } })
      t.wait_until(function()
        return #request.parts > 0
      end, "bytes")
      conn:cancel(request.id, "CANCEL")
    end)
    local conn, id = connect("new.test")
    conn:send_body(id, "x")
    local response = conn:response(id)
    assert.is_truthy(response.error)
    conn:close()
  end)

  it("is told to the backend when a client gives it up", function()
    local seen
    use(function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" } })
      t.wait_until(function()
        return request.ended or request.error
      end, "the end")
      seen = request
    end)
    local conn, id, stream = connect("new.test")
    while not stream.status do
      assert(conn:next())
    end
    conn:cancel(id)
    t.wait_until(function()
      return seen
    end, "the end of the tunnel")
    assert.equal("CANCEL", seen.error)
    conn:close()
  end)

  it("may be refused", function()
    new:answer({ status = 403, body = "no" })
    old:answer({ status = 403, body = "no" })
    for _, authority in ipairs({ "new.test", "old.test" }) do
      local conn, id = connect(authority)
      local response = conn:response(id)
      assert.equal(403, response.status)
      assert.equal("no", response.body)
      conn:close()
    end
    local client = gateway:client()
    local conn = client:raw()
    conn:write(UPGRADE:format("new.test", "websocket"))
    assert.equal(403, t.http1.read_response(conn).status)
    new:answer("fine")
    assert.equal("fine", client:get("/", { Host = "new.test" }).body)
  end)

  it("may be refused at another length than it says", function()
    for _, body in ipairs({ "", "no", "no and no more" }) do
      new:answer({ raw = function(conn, request)
        conn:send_fields(request.id, { { ":status", "503" }, { "content-length", "4" } })
        conn:send_body(request.id, body, true)
      end })
      local conn = gateway:client():raw()
      conn:write(UPGRADE:format("new.test", "websocket"))
      local response = t.http1.read_response(conn)
      assert.equal(503, response.status)
      assert.equal(body, response.body)
      assert.is_nil(response:header("content-length"))
      new:answer("fine")
      conn:write("GET / HTTP/1.1\r\nHost: new.test\r\n\r\n")
      assert.equal("fine", t.http1.read_response(conn).body)
    end
  end)

  it("is not to be had from a backend that does not know it", function()
    for _ = 1, 2 do
      local conn = gateway:client():raw()
      conn:write(UPGRADE:format("closed.test", "websocket"))
      assert.equal(502, t.http1.read_response(conn).status)
    end
    assert.equal(0, #closed.requests)
    -- Another protocol is not asked for: the request goes without.
    local conn = gateway:client():raw()
    conn:write(UPGRADE:format("closed.test", "other"))
    local response = t.http1.read_response(conn)
    assert.equal(200, response.status)
    assert.is_nil(closed:request(1).headers.upgrade)
  end)

  it("is not made of what is no request for it", function()
    use()
    for _, fields in ipairs({
      { { ":protocol", "other" } },
      { { ":protocol", "websocket" }, { "content-length", "5" } },
    }) do
      local conn = h2.connect(gateway)
      local list = { { ":method", "CONNECT" }, { ":scheme", "http" }, { ":path", "/" },
        { ":authority", "new.test" }, fields[1], fields[2] }
      local response, err = conn:response(conn:request({ fields = list, open = true }))
      assert.is_true(err ~= nil or response.status >= 400)
      conn:close()
    end
    assert.equal(0, #new.requests)
  end)
end)
