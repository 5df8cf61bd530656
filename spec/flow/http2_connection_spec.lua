-- SPDX-License-Identifier: Apache-2.0
--
-- A client's connection of HTTP/2: how long it lives, how it ends, what its streams may do to each
-- other, how much memory bodies take.
local h2 = require("spec.support.h2")
local memory = require("spec.support.memory")
local mg = require("moongate")
local state = require("moongate.test.state")
local t = require("moongate.test")

local SCRIPT = [[
require("moongate").route { path = "/", to = "${app}", settings = { body_limit_bytes = 0 } }
]]

local SIGTERM = 15
local MIB = 1048576

local gateway, app

local function start(settings)
  gateway = t.gateway({ scripts = SCRIPT, upstreams = { app = true }, workers = 1,
    settings = settings })
  gateway:start()
  app = gateway:upstream("app")
end

local function stop()
  gateway:stop()
  assert.is_nil(app.failure)
end

-- Reads until the condition holds.
local function pump(conn, condition)
  while not condition() do
    assert(conn:next())
  end
end

describe("without limits of control frames and resets, the gateway", function()
  it("speaks HTTP/2 none the less", function()
    start({ ["http2-max-control-frames"] = "0", ["http2-max-resets"] = "0" })
    local conn = h2.connect(gateway)
    for i = 1, 20 do
      conn.conn:write(h2.frame(h2.PING, 0, 0, "12345678"):rep(20))
      assert.equal(200, conn:exchange({ path = "/" .. i }).status)
    end
    conn:close()
    stop()
  end)
end)

describe("at its end, the gateway", function()
  before_each(function()
    start({ ["worker-shutdown-timeout"] = "10s" })
  end)

  after_each(stop)

  it("lets requests of HTTP/2 end, takes what was on its way, and no more", function()
    local held = {}
    app:answer(function(request)
      held[request.path] = true
      t.wait_until(function()
        return held.go or request.path ~= "/held"
      end, "the word to go")
      return request.path
    end)
    local conn = h2.connect(gateway, { manual = true })
    local first = conn:request({ path = "/held" })
    app:request(1)
    gateway:kill(SIGTERM)
    pump(conn, function()
      return conn.goaway
    end)
    assert.equal(0x7fffffff, conn.goaway.last)
    assert.equal("NO_ERROR", conn.goaway.error)
    local ping
    repeat
      local frame = assert(conn:next())
      ping = frame.kind == h2.PING and frame.payload
    until ping
    -- Sent before GOAWAY was read, as far as the gateway can tell.
    local second = conn:request({ path = "/second" })
    assert.equal("/second", conn:response(second).body)
    conn:send(h2.PING, h2.ACK, 0, ping)
    pump(conn, function()
      return conn.goaway.last == second
    end)
    local third = conn:request({ path = "/third" })
    held.go = true
    assert.equal("/held", conn:response(first).body)
    assert.equal("NO_ERROR", conn:read_to_end())
    assert.is_nil(conn:stream(third).status)
    assert.is_nil(held["/third"])
    conn:close()
    t.wait_until(function()
      return gateway.ended == 0
    end, "the end of the process")
  end)

  it("closes connections without a request at once", function()
    local idle, used = h2.connect(gateway), h2.connect(gateway)
    assert.equal(200, used:exchange({}).status)
    pump(idle, function()
      return idle.acks > 0
    end)
    gateway:kill(SIGTERM)
    assert.equal("NO_ERROR", idle:read_to_end())
    assert.equal("NO_ERROR", used:read_to_end())
    idle:close()
    used:close()
    t.wait_until(function()
      return gateway.ended == 0
    end, "the end of the process")
  end)

  it("waits for no client that does not answer", function()
    local conn = h2.connect(gateway, { manual = true })
    conn:exchange({})
    gateway:kill(SIGTERM)
    assert.equal("NO_ERROR", conn:read_to_end())
    conn:close()
  end)
end)

describe("a connection of HTTP/2", function()
  after_each(stop)

  it("ends after so many requests, without losing one", function()
    start({ ["keep-alive-requests"] = 5 })
    local answered, connections = 0, 0
    while answered < 23 do
      local conn = h2.connect(gateway)
      connections = connections + 1
      local ids = {}
      for i = 1, 5 do
        ids[i] = conn:request({ path = "/" .. i })
      end
      for i = 1, 5 do
        assert.equal(200, conn:response(ids[i]).status)
        answered = answered + 1
      end
      assert.equal("NO_ERROR", conn:read_to_end())
      assert.equal(9, conn.goaway.last)
      conn:close()
    end
    assert.equal(5, connections)
    assert.equal(25, #app.requests)
  end)

  it("serves what comes before it is known that it serves no more", function()
    start({ ["keep-alive-requests"] = 2 })
    local conn = h2.connect(gateway)
    local ids = {}
    for i = 1, 20 do
      ids[i] = conn:request({ path = "/" .. i })
    end
    for i = 1, 20 do
      assert.equal(200, conn:response(ids[i]).status)
    end
    assert.equal("NO_ERROR", conn:read_to_end())
    conn:close()
  end)

  it("serves one request with keep-alive 0", function()
    start({ ["keep-alive"] = 0 })
    local conn = h2.connect(gateway)
    assert.equal(200, conn:exchange({}).status)
    assert.equal("NO_ERROR", conn:read_to_end())
    conn:close()
  end)

  it("ends when nothing is asked for long enough, whatever PINGs come", function()
    start({ ["keep-alive"] = "300ms", ["client-header-timeout"] = "60s" })
    local conn = h2.connect(gateway)
    assert.equal(200, conn:exchange({}).status)
    local from, over = mg.time.monotonic(), false
    local writer = mg.task.spawn(function()
      while not over and conn:send(h2.PING, 0, 0, "12345678") do
        mg.task.sleep("50ms")
      end
    end)
    assert.equal("NO_ERROR", conn:read_to_end())
    local took = mg.time.monotonic() - from
    over = true
    mg.task.join(writer)
    assert.is_true(took > 0.25, took)
    assert.equal(1, conn.goaway.last)
    conn:close()
    assert.equal(0, #gateway:logs("limit_exceeded"))
  end)

  it("ends when nothing is asked at all", function()
    start({ ["client-header-timeout"] = "300ms" })
    local conn = h2.connect(gateway)
    assert.equal("NO_ERROR", conn:read_to_end())
    conn:close()
  end)

  it("is kept while a request is under way", function()
    start({ ["keep-alive"] = "100ms", ["client-header-timeout"] = "100ms" })
    app:answer({ delay = "500ms", body = "late" })
    local conn = h2.connect(gateway)
    assert.equal("late", conn:exchange({}).body)
    conn:close()
  end)

  -- --- streams among themselves ----------------------------------------------------------

  it("goes on where one of its bodies does not come", function()
    start({ ["client-body-timeout"] = "1s", ["keep-alive-requests"] = 1000000 })
    local conn = h2.connect(gateway)
    local id = conn:request({ method = "POST", open = true })
    conn:send_body(id, "half")
    local till = mg.time.monotonic() + state.patience()
    local response
    while not response do
      assert.is_true(mg.time.monotonic() < till)
      assert.equal(200, conn:exchange({}).status)
      response = conn:stream(id).status and conn:stream(id)
    end
    assert.equal(408, response.status)
    pump(conn, function()
      return response.reset
    end)
    assert.equal("NO_ERROR", response.reset)
    conn:close()
    assert.equal("client-body-timeout", gateway:wait_log("limit_exceeded").limit)
  end)

  it("goes on where one of its answers is not taken", function()
    start({ ["client-send-timeout"] = "300ms" })
    app:answer(function(request)
      return request.path == "/large" and ("x"):rep(MIB) or "ok"
    end)
    local conn = h2.connect(gateway, { manual = true,
      settings = { { h2.INITIAL_WINDOW_SIZE, 1000 } } })
    conn:send(h2.WINDOW_UPDATE, 0, 0, h2.u32(MIB))
    local id = conn:request({ path = "/large" })
    local response = conn:stream(id)
    local till = mg.time.monotonic() + state.patience()
    while not response.error do
      assert.is_true(mg.time.monotonic() < till)
      assert.equal("ok", conn:exchange({}).body)
    end
    assert.equal("CANCEL", response.error)
    assert.equal(1000, #response.body)
    assert.equal("ok", conn:exchange({}).body)
    -- What it does next is told of as well.
    conn.conn:write(h2.frame(h2.PING, 0, 0, "12345678"):rep(5000))
    assert.equal("ENHANCE_YOUR_CALM", conn:read_to_end())
    for _, limit in ipairs({ "client-send-timeout", "http2-max-control-frames" }) do
      assert.equal(1, gateway:metrics("moongate_limit_exceeded_total", { limit = limit }))
    end
    conn:close()
  end)

  it("waits for an answer that is taken slowly and yet goes on", function()
    start({ ["client-send-timeout"] = "1s" })
    app:answer(("x"):rep(20000))
    local conn = h2.connect(gateway, { manual = true,
      settings = { { h2.INITIAL_WINDOW_SIZE, 1000 } } })
    local id = conn:request({})
    local response = conn:stream(id)
    local writer = mg.task.spawn(function()
      for _ = 1, 19 do
        mg.task.sleep("100ms")
        conn:send(h2.WINDOW_UPDATE, 0, id, h2.u32(1000))
      end
    end)
    conn:response(id)
    mg.task.join(writer)
    assert.is_nil(response.error)
    assert.equal(20000, #response.body)
    conn:close()
  end)

  -- --- windows and memory -----------------------------------------------------------------

  it("lets a body grow its window while it is read, and no further", function()
    start()
    local conn = h2.connect(gateway)
    pump(conn, function()
      return conn.window > h2.WINDOW
    end)
    assert.equal(128 * 1024, conn.settings[h2.INITIAL_WINDOW_SIZE])
    assert.equal(4 * MIB, conn.window)
    local id = conn:request({ method = "POST", open = true })
    local stream, most, sent = conn:stream(id), 0, 0
    while sent < 16 * MIB do
      pump(conn, function()
        most = math.max(most, stream.window)
        return stream.window > 0 and conn.window > 0
      end)
      local piece = math.min(h2.FRAME, stream.window, conn.window)
      conn:send_body(id, ("x"):rep(piece))
      sent = sent + piece
    end
    assert.is_true(most > 256 * 1024 and most <= MIB, most)
    conn:close()
  end)

  it("holds a client back when the backend does not read", function()
    start()
    app.eager = true
    app:answer(function(_, upstream)
      t.wait_until(function()
        return app.go
      end, "the word to go")
      local seen = 0
      while seen < 8 * MIB do
        seen = seen + #assert(upstream:read())
      end
      return { body = "done", close = true }
    end)
    local conn = h2.connect(gateway)
    local id = conn:request({ method = "POST", open = true,
      headers = { ["content-length"] = 8 * MIB } })
    local stream, sent = conn:stream(id), 0
    pump(conn, function()
      return stream.window > 0
    end)
    conn.conn:set_timeout("300ms")
    repeat
      local piece = math.min(h2.FRAME, stream.window, conn.window)
      conn:send_body(id, ("x"):rep(piece))
      sent = sent + piece
      local stalled = false
      while not stalled and (stream.window <= 0 or conn.window <= 0) do
        stalled = not conn:next()
      end
    until stalled
    assert.is_true(sent < 8 * MIB, sent)
    conn.conn:set_timeout(state.patience())
    app.go = true
    assert.is_true(conn:send_body(id, ("x"):rep(8 * MIB - sent), true))
    assert.equal("done", conn:response(id).body)
    conn:close()
  end)

  it("carries 200 MB each way at once in bounded memory", function()
    start()
    app.eager = true
    local size = 200 * MIB
    app:answer(function(_, upstream)
      upstream:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(size))
      local seen = 0
      while seen < size do
        local data = assert(upstream:read())
        seen = seen + #data
        upstream:write(data)
      end
    end)
    local conn = h2.connect(gateway, { settings = { { h2.INITIAL_WINDOW_SIZE, MIB } } })
    conn:send(h2.WINDOW_UPDATE, 0, 0, h2.u32(4 * MIB))
    local id = conn:request({ method = "POST", open = true,
      headers = { ["content-length"] = size } })
    local stream = conn:stream(id)
    local pattern = ("0123456789abcdef"):rep(h2.FRAME / 16 + 1)
    local piece, sent, got, most = pattern:sub(1, h2.FRAME), 0, 0, 0
    local before = memory.resident(gateway)
    while not stream.ended do
      while sent < size and stream.window >= h2.FRAME and conn.window >= h2.FRAME do
        conn:send_body(id, piece, sent + h2.FRAME == size)
        sent = sent + h2.FRAME
      end
      assert(conn:next(), stream.error)
      for _, part in ipairs(stream.parts) do
        local at = got % 16
        assert(part == pattern:sub(at + 1, at + #part))
        got = got + #part
      end
      stream.parts = {}
      if got % (4 * MIB) < h2.FRAME then
        most = math.max(most, memory.resident(gateway) - before)
      end
    end
    assert.equal(size, got)
    if memory.is_measurable() then
      assert.is_true(most < 24 * MIB, most)
    end
    conn:close()
  end)
end)
