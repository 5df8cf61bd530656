-- SPDX-License-Identifier: Apache-2.0
--
-- Nothing stands still, is lost or mixed up where one side is ahead of the other.
local memory = require("spec.support.memory")
local mg = require("moongate")
local read_to_end = require("spec.support.read_to_end")
local t = require("moongate.test")

local SMALL = ("0123456789abcdef"):rep(128) -- 2 KiB
local COUNT = 600
local CHUNKED = t.http1.chunk(SMALL):rep(COUNT) .. t.http1.last_chunk()

describe("where one side is ahead of the other", function()
  local gateway, app, other, client

  setup(function()
    gateway = t.gateway({
      upstreams = { app = true, other = true },
      settings = { ["proxy-body-size"] = 0, ["keep-alive"] = "1s" },
      scripts = [[
        local mg = require("moongate")
        mg.route({ path = "/", to = "${app}" })
        mg.route({ path = "/gathered", to = "${app}", settings = { buffer_request = true } })
        mg.route({ path = "/old", to = "${app}", settings = { http_version = "1.0" } })
        mg.route({ path = "/two", to = { "${app}", "${other}" }, settings = { tries = 2 } })
        mg.route({ path = "/dead", settings = { tries = 2, buffer_request = true },
          to = { "http://127.0.0.1:1", "${app}" } })
        return mg.plugin({
          access = function(ctx)
            local path = ctx.request.path
            if path == "/wait" then
              mg.task.sleep("300ms")
            elseif path == "/read" then
              ctx.upstream:set_body(ctx.request:body() .. ", and more")
            elseif path == "/as-head" then
              ctx.upstream:set_method("HEAD")
            elseif path == "/as-post" then
              ctx.upstream:set_method("POST")
            elseif path == "/large" then
              return ctx:respond(200, ("0123456789abcdef"):rep(524288))
            end
          end,
          response = function(ctx)
            if ctx.request.path == "/late" then
              mg.task.sleep("20ms")
            elseif ctx.request.path == "/changed" then
              ctx.response:set_status(200)
            end
          end,
        })
      ]],
    }):start()
    app, other = gateway:upstream("app"), gateway:upstream("other")
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app:answer(nil)
    app.eager = false
    app.requests, other.requests = {}, {}
    client = gateway:client()
  end)

  after_each(function()
    client:close()
    app:drop_connections()
  end)

  it("passes an answer of many small chunks that come at once", function()
    app:answer({ raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. CHUNKED })
    for _ = 1, 5 do
      local one = gateway:client()
      assert.are.equal(#SMALL * COUNT, #one:get("/").body)
      one:close()
    end
  end)

  for _, method in ipairs({ "PUT", "POST" }) do
    it("passes a request of many small chunks that come at once: " .. method, function()
      local conn = client:raw()
      conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n") -- a connection is kept
      assert.are.equal(200, t.http1.read_response(conn).status)
      conn:write(method .. " / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. CHUNKED)
      assert.are.equal(200, t.http1.read_response(conn).status)
      assert.are.equal(#SMALL * COUNT, #app:request(2).body)
    end)
  end

  it("reads no body ahead that nobody wants yet, behind another request", function()
    if not memory.is_measurable() then
      return pending("memory is what this measures: a sanitizer keeps what was freed")
    end
    app:answer({ delay = "50ms", body = "ok" })
    local conn, sent = client:raw(), 0
    local before = memory.resident(gateway)
    conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"
      .. "PUT /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 400000000\r\n\r\nx")
    assert.are.equal(200, t.http1.read_response(conn).status)
    local task = mg.task.spawn(function()
      while sent < 64 * 1048576 and conn:write(CHUNKED) do
        sent = sent + #CHUNKED
      end
    end)
    mg.task.sleep("200ms")
    assert.is_true(memory.resident(gateway) - before < 16 * 1048576)
    conn:close()
    mg.task.join(task)
    t.wait_until(function()
      return gateway:metrics("moongate_requests_in_flight") == 0
    end, "what was sent of it to be over")
  end)

  it("tries a body again that was too large to be gathered", function()
    local body = ("0123456789abcdef"):rep(6 * 65536)
    for _ = 1, 4 do
      local response = client:request({ method = "PUT", path = "/dead", body = body })
      assert.are.equal(200, response.status)
      assert.are.equal(#body, #app:request().body)
    end
  end)

  it("gathers chunks for a backend of HTTP/1.0, which needs a length", function()
    local conn = client:raw()
    conn:write("PUT /old HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" .. CHUNKED)
    assert.are.equal(200, t.http1.read_response(conn).status)
    assert.are.equal(tostring(#SMALL * COUNT), app:request(1):header("content-length"))
    assert.is_nil(app:request(1):header("transfer-encoding"))
    mg.task.spawn(function()
      conn:write("PUT /old HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. t.http1.chunk(SMALL):rep(3000) .. t.http1.last_chunk())
    end)
    assert.are.equal(411, t.http1.read_head(conn).status)
  end)

  for what, path in pairs({ ["it is gathered"] = "/gathered", ["a hook reads it"] = "/read" }) do
    it("says 100 Continue where " .. what, function()
      local conn = client:raw()
      conn:write(("PUT %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"):format(path)
        .. "Content-Length: 4\r\n\r\n")
      assert.are.equal("HTTP/1.1 100 Continue\r\n\r\n", conn:read_exactly(25))
      conn:write("body")
      assert.are.equal(200, t.http1.read_response(conn).status)
    end)
  end

  it("keeps trailers and the head of the answer apart", function()
    app.eager = true
    local step = 0
    app:answer(function(_, conn)
      conn:write("HTTP/1.1 200 OK\r\nX-One: first")
      step = 1
      t.wait_until(function() return step == 2 end, "the trailer's next piece")
      mg.task.sleep("50ms")
      return { raw = "-second\r\nContent-Length: 0\r\n\r\n" }
    end)
    local conn = client:raw()
    conn:write("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "3\r\nabc\r\n0\r\nX-Sum: begins")
    t.wait_until(function() return step == 1 end, "the answer's first piece")
    mg.task.sleep("50ms")
    conn:write("-goes-on")
    step = 2
    assert.are.equal("first-second", t.http1.read_response(conn):header("x-one"))
  end)

  it("sends what has come when a response hook has waited", function()
    local is_there = false
    app:answer(function(_, conn)
      conn:write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nnow,")
      t.wait_until(function() return is_there end, "the client to have it")
      return { raw = "then" }
    end)
    local conn = client:raw()
    conn:write("GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
    t.http1.read_head(conn)
    is_there = true
    assert.are.equal("now,then", conn:read_exactly(8))
  end)

  it("says how long a body is that a hook has replaced, trailers or not", function()
    local h2 = require("spec.support.h2")
    local hpack = require("spec.support.hpack")
    local conn = gateway:connect()
    conn:write(h2.PREFACE .. h2.frame(h2.SETTINGS, 0, 0, "")
      .. h2.frame(h2.HEADERS, h2.END_HEADERS, 1,
        hpack.encode(h2.request_fields({ method = "POST", path = "/read" }))
          .. hpack.literal("content-length", "5"))
      .. h2.frame(h2.DATA, 0, 1, "hello")
      .. h2.frame(h2.HEADERS, h2.END_HEADERS + h2.END_STREAM, 1, hpack.literal("x-sum", "1")))
    local request = app:request(1)
    t.wait_until(function() return request.complete end, "the whole request")
    assert.are.equal("hello, and more", request.body)
    conn:close()
  end)

  it("counts no try for a kept connection that has died", function()
    for _ = 1, 4 do
      assert.are.equal(200, client:get("/two").status)
    end
    app:answer({ reset = true })
    for _ = 1, 2 do
      assert.are.equal(200, client:get("/two").status)
    end
  end)

  for what, case in pairs({
    ["asked by HEAD"] = { path = "/as-head", head = "200 OK" },
    ["that was a 304"] = { path = "/changed", head = "304 Not Modified" },
  }) do
    it("gives no length to a body that is not there, of an answer " .. what, function()
      app:answer({ raw = ("HTTP/1.1 %s\r\nContent-Length: 500\r\n\r\n"):format(case.head) })
      local response = client:get(case.path)
      assert.are.equal("0", response:header("content-length"))
      app:answer(nil)
      assert.are.equal("ok", client:get("/").body)
      assert.are.equal(1, client.connections)
    end)
  end

  it("passes an answer on that came before the body was read", function()
    app.eager = true
    app:answer({ status = 413, body = "big", close = true })
    for _ = 1, 10 do
      local conn = gateway:connect()
      conn:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
      mg.task.spawn(function()
        for _ = 1, 30 do
          if not conn:write(("x"):rep(100000)) then return end
        end
      end)
      assert.are.equal(413, t.http1.read_head(conn).status)
      conn:close()
    end
  end)

  for _, said in ipairs({ "close", "keep-alive" }) do
    it("gives all to a client that is slow to the end, of a connection to " .. said, function()
      local conn, read = client:raw(), 0
      conn:write(("GET /large HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n"):format(said))
      t.http1.read_head(conn)
      mg.task.sleep("50ms")
      for _ = 1, 64 do
        read = read + #assert(conn:read_exactly(131072))
        mg.task.sleep("180ms")
      end
      assert.are.equal(8 * 1048576, read)
    end)
  end

  it("closes a connection behind its answer when the gateway stops", function()
    local one = t.gateway({ proxy = "${app}", upstreams = { app = true } }):start()
    one:upstream("app"):answer({ chunks = { "a", "b" }, pause = "400ms" })
    local conn = one:connect()
    conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    t.http1.read_head(conn)
    one:kill(15)
    assert(conn:read_until("0\r\n\r\n"))
    assert.equal("", read_to_end(conn))
    one:stop()
  end)
end)
