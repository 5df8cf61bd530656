-- SPDX-License-Identifier: Apache-2.0
--
-- Either side is slow: memory stays bounded, and a deadline tells who is late.
local full_queue = require("spec.support.full_queue")
local memory = require("spec.support.memory")
local mg = require("moongate")
local read_to_end = require("spec.support.read_to_end")
local t = require("moongate.test")

local BIG = 64 * 1048576
local PIECE = ("0123456789abcdef"):rep(4096)
local BOUND = 16 * 1048576

describe("when a side is slow, the gateway", function()
  local gateway, app, client

  setup(function()
    gateway = t.gateway({
      upstreams = { app = true },
      settings = {
        ["client-header-timeout"] = "1s",
        ["client-body-timeout"] = "1s",
        ["client-send-timeout"] = "1s",
        ["keep-alive"] = "60s",
      },
      scripts = [[
        local mg = require("moongate")
        local quick = { read_timeout_ms = 1000, send_timeout_ms = 1000, connect_timeout_ms = 1000,
          tries = 1 }
        mg.route({ path = "/", to = "${app}" })
        mg.route({ path = "/quick", to = "${app}", settings = quick })
        mg.route({ path = "/gathered", to = "${app}", settings = { buffer_request = true } })
      ]],
    }):start()
    app = gateway:upstream("app")
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app:answer(nil)
    app.eager = false
    app.requests = {}
    client = gateway:client()
  end)

  after_each(function()
    client:close()
    app:drop_connections()
  end)

  local function is_bounded(before)
    return not memory.is_measurable() or memory.resident(gateway) - before < BOUND
  end

  -- Writes until the other side takes no more, or all of it; `progress.sent` counts.
  local function pour(conn, progress, frame)
    progress.sent = 0
    while progress.sent < BIG and conn:write(frame(PIECE)) do
      progress.sent = progress.sent + #PIECE
    end
    progress.over = true
  end

  -- The backend answers when `progress.answer` is set, and reads none of the body.
  local function answers_late(progress)
    app.eager = true
    app:answer(function()
      t.wait_until(function()
        return progress.answer
      end, "the spec to let it answer")
      return { body = "done", close = true }
    end)
  end

  local function plain(piece)
    return piece
  end

  -- Waits until nothing more goes in.
  local function stalled(progress)
    local last, since = -1, 0
    t.wait_until(function()
      if progress.sent ~= last then
        last, since = progress.sent, mg.time.monotonic()
      end
      return progress.over or mg.time.monotonic() - since > 0.15
    end, "a stall")
    return not progress.over
  end

  for what, framing in pairs({
    ["with a length"] = { head = ("Content-Length: %d"):format(BIG), frame = plain, last = "" },
    ["in chunks"] = { head = "Transfer-Encoding: chunked", frame = t.http1.chunk,
      last = t.http1.last_chunk() },
  }) do
    it(("holds a backend back when the client is slow, %s"):format(what), function()
      local before, progress = memory.resident(gateway), {}
      app:answer(function(_, conn)
        conn:write(("HTTP/1.1 200 OK\r\n%s\r\n\r\n"):format(framing.head))
        pour(conn, progress, framing.frame)
        return { raw = framing.last }
      end)
      local conn = client:raw()
      conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      local response = t.http1.read_head(conn)
      assert.is_true(stalled(progress))
      assert.is_true(is_bounded(before))
      -- Slow, and yet it goes on: for longer than the timeout, no write of all that waits.
      local read = 0
      local from = mg.time.monotonic()
      while mg.time.monotonic() - from < 2 do
        read = read + #assert(conn:read_exactly(#PIECE))
        mg.task.sleep("20ms")
      end
      assert.is_true(is_bounded(before))
      if response:header("content-length") then
        while read < BIG do
          read = read + #assert(conn:read())
        end
        assert.are.equal(BIG, read)
      end
    end)
  end

  it("cuts a client that does not read at all", function()
    local progress = {}
    app:answer(function(_, conn)
      conn:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(BIG))
      pour(conn, progress, plain)
      return { raw = "", close = true }
    end)
    local conn = client:raw()
    conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    t.http1.read_head(conn)
    t.wait_until(function()
      return progress.over
    end, "the backend to be let go")
    assert.is_true(progress.sent < BIG)
  end)

  it("holds a client back when the backend is slow, and blames the backend alone", function()
    local before, progress = memory.resident(gateway), {}
    answers_late(progress)
    local conn = client:raw()
    conn:write(("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(BIG))
    mg.task.spawn(pour, conn, progress, plain)
    assert.is_true(stalled(progress))
    assert.is_true(is_bounded(before))
    mg.task.sleep("1500ms") -- longer than client-body-timeout
    progress.answer = true
    local response = t.http1.read_response(conn)
    assert.are.equal(200, response.status)
    assert.are.equal("done", response.body)
  end)

  it("gathers a body before it goes on, and streams one that is too large for that", function()
    local conn = client:raw()
    conn:write("PUT /gathered HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
    mg.task.sleep("50ms")
    assert.are.equal(0, #app.requests)
    conn:write("dy")
    assert.are.equal("body", t.http1.read_response(conn).body)

    local before, progress = memory.resident(gateway), {}
    answers_late(progress)
    conn:write(("PUT /gathered HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(BIG))
    mg.task.spawn(pour, conn, progress, plain)
    assert.is_true(stalled(progress))
    assert.is_true(is_bounded(before))
    progress.answer = true
    assert.are.equal("done", t.http1.read_response(conn).body)
  end)

  it("answers 504 when the backend does not take the request", function()
    local progress = {}
    app.eager = true
    app:answer({ hold = true, delay = 5 })
    local conn = client:raw()
    conn:write(("PUT /quick HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(BIG))
    mg.task.spawn(pour, conn, progress, plain)
    assert.are.equal(504, t.http1.read_response(conn).status)
  end)

  it("answers 504 when the backend does not answer", function()
    app:answer({ hold = true })
    assert.are.equal(504, client:get("/quick").status)
    assert.are.equal(1, #app.requests)
  end)

  it("cuts the answer when the backend falls silent in its middle", function()
    app:answer({ chunks = { "one", "two" }, pause = 3 })
    local response = client:request({ path = "/quick" })
    assert.is_true(response == nil or response.error ~= nil or response.status == 504)
  end)

  it("waits for a backend that is slow and yet goes on", function()
    app:answer({ chunks = { "a", "b", "c", "d", "e", "f" }, pause = "300ms" })
    assert.are.equal("abcdef", client:get("/quick").body)
  end)

  it("answers 504 when no connection comes about", function()
    local queue = full_queue.new()
    local full = t.gateway({
      scripts = ([[
        local mg = require("moongate")
        mg.route({ to = "http://127.0.0.1:%d",
          settings = { connect_timeout_ms = 300, tries = 1 } })
      ]]):format(queue.port),
    }):start()
    assert.are.equal(504, full:client():get("/").status)
    full:stop()
    queue:close()
  end)

  -- --- the client's request ----------------------------------------------------------

  it("closes a connection on which nothing comes", function()
    assert.are.equal("", read_to_end(client:raw()))
  end)

  for _, head in ipairs({ "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n" }) do
    it(("answers 408 to a head that ends behind %d bytes"):format(#head), function()
      local conn = client:raw()
      conn:write(head)
      local response = t.http1.read_response(conn)
      assert.are.equal(408, response.status)
      assert.are.equal("close", response:header("connection"))
    end)
  end

  it("answers 408 to a head that comes byte by byte for ever", function()
    local conn = client:raw()
    conn:write("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    local answered
    local writer = mg.task.spawn(function()
      while not answered and conn:write("x") do
        mg.task.sleep("50ms")
      end
    end)
    assert.are.equal(408, t.http1.read_response(conn).status)
    answered = true
    mg.task.join(writer)
  end)

  it("answers 408 to a body that does not come", function()
    local conn = client:raw()
    conn:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
    local response = t.http1.read_response(conn)
    assert.are.equal(408, response.status)
    assert.are.equal("close", response:header("connection"))
    t.wait_until(function()
      return app:request(1).error
    end, "the backend to see the cut")
  end)

  it("waits for a body that is slow and yet goes on", function()
    local conn = client:raw()
    conn:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
    for i = 1, 8 do
      mg.task.sleep("200ms")
      conn:write(tostring(i))
    end
    assert.are.equal("12345678", t.http1.read_response(conn).body)
  end)

  it("counts each limit by the name of its setting", function()
    for _, limit in ipairs({ "client-header-timeout", "client-body-timeout", "proxy-send-timeout",
      "proxy-read-timeout" }) do
      assert.is_true(gateway:metrics("moongate_limit_exceeded_total", { limit = limit }) > 0, limit)
    end
  end)
end)
