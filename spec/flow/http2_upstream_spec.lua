-- SPDX-License-Identifier: Apache-2.0
--
-- Messages to and from backends that speak HTTP/2 with prior knowledge, from clients of
-- HTTP/1.1 and of HTTP/2. http2_links_spec.lua has the connections that they share.
local h2 = require("spec.support.h2")
local h2_upstream = require("spec.support.h2_upstream")
local mg = require("moongate")
local t = require("moongate.test")

-- Where a hook has the head, what follows it waits.
local SCRIPT = [[
local mg = require("moongate")
local to = "h2c://127.0.0.1:${app.port}"
mg.route { host = "*", path = "/", to = to }
mg.route { host = "*", path = "/small-head", to = to,
  settings = { response_head_limit_bytes = 4096 } }
return mg.plugin {
  response = function(ctx)
    if ctx.request.path == "/slow-hook" then
      mg.task.sleep(0.1)
    end
  end,
}
]]

describe("a backend that speaks HTTP/2", function()
  local gateway, app, client

  setup(function()
    gateway = t.gateway({
      scripts = SCRIPT,
      settings = { ["proxy-read-timeout"] = "2s", ["proxy-send-timeout"] = "2s" },
    })
    app = h2_upstream.new(nil, { settings = { { h2.ENABLE_CONNECT_PROTOCOL, 1 } } })
    gateway.upstreams.app = app
    gateway:start()
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
    assert.is_nil(app.failure)
  end)

  it("names the limit of an answer's head", function()
    app:answer({ headers = { { "x-large", ("x"):rep(5000) } } })
    assert.equal(502, client:get("/small-head").status)
    assert.equal("proxy-buffer-size", gateway:wait_log("limit_exceeded").limit)
  end)

  -- --- requests --------------------------------------------------------------------

  it("gets a request of HTTP/1.1 as one of HTTP/2", function()
    local response = client:request({ method = "POST", path = "/a%20b?x=1", host = "Shop.test:81",
      body = "hello", headers = { { "X-A", "1" }, { "X-A", "2" }, { "Cookie", "a=1; b=2" },
        { "Connection", "close, X-Hop" }, { "X-Hop", "1" }, { "TE", "trailers, gzip" },
        { "Keep-Alive", "5" } } })
    assert.equal(200, response.status)
    assert.equal("hello", response.body)
    local seen = app:request(1)
    local pseudo = {}
    for i = 1, 4 do
      pseudo[seen.fields[i][1]] = seen.fields[i][2]
    end
    assert.same({ [":method"] = "POST", [":path"] = "/a%20b?x=1", [":scheme"] = "http",
      [":authority"] = "Shop.test:81" }, pseudo)
    assert.equal("1, 2", seen.headers["x-a"])
    assert.equal("a=1; b=2", seen.headers.cookie)
    assert.equal("trailers", seen.headers.te)
    assert.equal("5", seen.headers["content-length"])
    assert.equal("127.0.0.1", seen.headers["x-real-ip"])
    for _, name in ipairs({ "host", "connection", "keep-alive", "x-hop", "transfer-encoding",
      "upgrade" }) do
      assert.is_nil(seen.headers[name])
    end
  end)

  it("gets requests without a length, with and without trailers", function()
    client:request({ method = "POST", path = "/", chunks = { "a", "b", "c" } })
    client:request({ method = "POST", path = "/", chunks = { "d" }, trailers = { Sum = "9" } })
    client:request({ method = "POST", path = "/", body = "" })
    assert.equal("abc", app:request(1).body)
    assert.is_nil(app:request(1).trailers)
    assert.equal("d", app:request(2).body)
    assert.same({ sum = "9" }, app:request(2).trailers)
    assert.equal("0", app:request(3).headers["content-length"])
  end)

  it("gets what a client of HTTP/2 sends", function()
    local conn = h2.connect(gateway)
    local response = conn:exchange({ method = "PUT", path = "/x", authority = "b.test", body = "in",
      headers = { { "cookie", "a=1" }, { "cookie", "b=2" }, { "te", "trailers" } },
      trailers = { sum = "3" } })
    assert.equal("in", response.body)
    local seen = app:request(1)
    assert.equal("b.test", seen.headers[":authority"])
    assert.equal("a=1; b=2", seen.headers.cookie)
    assert.equal("trailers", seen.headers.te)
    assert.same({ sum = "3" }, seen.trailers)
    conn:close()
  end)

  it("may know OPTIONS of itself", function()
    client:request({ method = "OPTIONS", path = "*" })
    assert.equal("*", app:request(1).target)
  end)

  -- --- responses ---------------------------------------------------------------------

  it("answers with trailers, interim responses and pieces", function()
    app:answer({ interim = { 100, 103, 103 }, headers = { ["x-a"] = "1" },
      chunks = { "a", "", "b" }, trailers = { sum = "1" } })
    local conn = client:raw()
    conn:write("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
    assert.equal(103, t.http1.read_head(conn).status)
    assert.equal(103, t.http1.read_head(conn).status)
    local response = t.http1.read_response(conn)
    assert.equal("ab", response.body)
    assert.equal("1", response.headers["x-a"])
    assert.same({ sum = "1" }, response.trailers)

    conn = h2.connect(gateway)
    response = conn:exchange({ headers = { te = "trailers" } })
    assert.equal(2, #response.interim)
    assert.equal("ab", response.body)
    assert.same({ sum = "1" }, response.trailers)
    conn:close()
  end)

  local BODILESS = {
    { "HEAD", { headers = { ["content-length"] = "5" }, body = "hello" }, length = "5" },
    { "HEAD", { headers = {} } },
    { "GET", { status = 204 } },
    { "GET", { status = 304, headers = { ["content-length"] = "7" } }, length = "7" },
    { "GET", { status = 200 }, length = "0" },
  }

  it("answers without a body", function()
    for i, case in ipairs(BODILESS) do
      app:answer(case[2])
      local response = client:request({ method = case[1], path = "/" })
      assert.equal(case[2].status or 200, response.status, i)
      assert.equal("", response.body)
      assert.equal(case.length, response.headers["content-length"], i)
    end
    app:answer(nil)
    assert.equal("ok", client:get("/").body)
    assert.equal(1, client.connections)
  end)

  it("may end an answer without a body by an empty piece", function()
    app:answer({ raw = function(conn, request)
      conn:send_fields(request.id, { { ":status", "204" } })
      conn:send(h2.DATA, h2.END_STREAM, request.id, "")
    end })
    assert.equal(204, client:get("/").status)
    assert.equal(204, h2.connect(gateway):exchange({}).status)
  end)

  it("answers gRPC with trailers alone", function()
    app:answer({ raw = function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" }, { "content-type", "application/grpc" },
        { "grpc-status", "5" }, { "grpc-message", "no such thing" } }, true)
    end })
    local conn = h2.connect(gateway)
    local response = conn:exchange({ body = "\0\0\0\0\0", headers = {
      te = "trailers", ["content-type"] = "application/grpc" } })
    assert.equal("5", response.headers["grpc-status"])
    assert.equal("no such thing", response.headers["grpc-message"])
    assert.equal("", response.body)
    assert.is_nil(response.trailers)
    conn:close()
  end)

  it("talks both ways at once", function()
    app.eager = true
    app:answer({ raw = function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" } })
      local told = 0
      while not request.ended do
        t.wait_until(function()
          return #request.parts > told or request.ended
        end, "a piece")
        while told < #request.parts do
          told = told + 1
          conn:send_body(request.id, request.parts[told]:upper())
        end
      end
      conn:send_fields(request.id, { { "grpc-status", "0" } }, true)
    end })
    local conn = h2.connect(gateway)
    local id = conn:request({ method = "POST", open = true })
    local stream = conn:stream(id)
    for i = 1, 5 do
      conn:send_body(id, "ping" .. i)
      while not table.concat(stream.parts):find("PING" .. i) do
        assert(conn:next())
      end
    end
    conn:send(h2.DATA, h2.END_STREAM, id)
    assert.same({ ["grpc-status"] = "0" }, conn:response(id).trailers)
    conn:close()
  end)

  it("may answer before it has the whole request", function()
    app.eager = true
    app:answer({ raw = function(conn, request)
      conn:send_fields(request.id, { { ":status", "413" } })
      conn:send_body(request.id, "enough", true)
      conn:cancel(request.id, "NO_ERROR")
    end })
    local conn = client:raw()
    conn:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" .. ("x"):rep(1000))
    local response = t.http1.read_response(conn)
    assert.equal(413, response.status)
    assert.equal("enough", response.body)
  end)

  it("is not asked again for what it has answered, whatever it says behind that", function()
    app.eager = true
    for _, more in ipairs({
      function(conn, id)
        conn:send_fields(id, { { ":status", "500" } }, true)
      end,
      function(conn, id)
        conn:cancel(id, "REFUSED_STREAM")
      end,
      function(conn)
        conn:send(h2.PUSH_PROMISE, h2.END_HEADERS, 1, h2.u32(2) .. "\130\132\134")
      end,
    }) do
      app.requests = {}
      app:answer({ raw = function(conn, request)
        conn:send_fields(request.id, { { ":status", "200" } })
        conn:send_body(request.id, "whole", true)
        more(conn, request.id)
      end })
      local conn = client:raw()
      conn:write("POST /slow-hook HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome")
      local response = t.http1.read_response(conn)
      assert.equal(200, response.status)
      assert.equal("whole", response.body)
      assert.equal(1, #app.requests)
      conn:close()
    end
  end)

  -- --- what is not valid ---------------------------------------------------------------

  local function fields(list, last)
    return function(conn, request)
      conn:send_fields(request.id, list, last ~= false)
    end
  end

  local INVALID = {
    ["no status"] = fields({ { "x-a", "1" } }),
    ["two statuses"] = fields({ { ":status", "200" }, { ":status", "200" } }),
    ["a status of letters"] = fields({ { ":status", "abc" } }),
    ["101"] = fields({ { ":status", "101" } }, false),
    ["a request's field"] = fields({ { ":status", "200" }, { ":path", "/" } }),
    ["a field of the connection"] = fields({ { ":status", "200" }, { "connection", "close" } }),
    ["chunks"] = fields({ { ":status", "200" }, { "transfer-encoding", "chunked" } }),
    ["capitals"] = fields({ { ":status", "200" }, { "X-A", "1" } }),
    ["a line end"] = fields({ { ":status", "200" }, { "x-a", "1\r\nx-b: 2" } }),
    ["an end in an interim response"] = fields({ { ":status", "103" } }),
    ["a body that comes first"] = function(conn, request)
      conn:send(h2.DATA, h2.END_STREAM, request.id, "body")
    end,
    ["a body that is too short"] = fields({ { ":status", "200" }, { "content-length", "5" } }),
    ["too many fields"] = function(conn, request)
      local list = { { ":status", "200" } }
      for i = 2, 400 do
        list[i] = { "x-" .. i, "1" }
      end
      conn:send_fields(request.id, list, true)
    end,
    ["a head that is too large"] = fields({ { ":status", "200" }, { "x", ("x"):rep(100000) } }),
    ["a pushed response"] = function(conn, request)
      conn:send(h2.PUSH_PROMISE, h2.END_HEADERS, request.id, h2.u32(2) .. "\130\132\134")
    end,
    ["a frame that is too large"] = function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" } })
      conn:send(h2.DATA, h2.END_STREAM, request.id, ("x"):rep(20000))
    end,
  }

  it("is not believed where its response is not valid", function()
    for name, raw in pairs(INVALID) do
      app:answer({ raw = raw })
      local response = client:get("/" .. name:gsub(" ", "-"))
      local is_cut = response.status == 200 and response.error ~= nil
      assert.is_true(response.status == 502 or is_cut, name .. ": " .. response.status)
      app:answer(nil)
      assert.equal("ok", client:get("/").body)
    end
  end)

  it("cuts an answer whose body does not end as it should", function()
    for _, raw in ipairs({
      function(conn, request)
        conn:send_fields(request.id, { { ":status", "200" }, { "content-length", "10" } })
        conn:send_body(request.id, "half", true)
      end,
      function(conn, request)
        conn:send_fields(request.id, { { ":status", "200" } })
        conn:send_body(request.id, "half")
        conn:cancel(request.id, "INTERNAL_ERROR")
      end,
      function(conn, request)
        conn:send_fields(request.id, { { ":status", "200" } })
        conn:send_body(request.id, "half")
        conn:cancel(request.id, "NO_ERROR")
      end,
    }) do
      app:answer({ raw = raw })
      local conn = h2.connect(gateway)
      local response = conn:exchange({})
      assert.equal("INTERNAL_ERROR", response.error)
      conn:close()
      response = client:request({ method = "GET", path = "/" })
      assert.is_true(not response or response.error == "closed")
    end
  end)

  -- --- deadlines -----------------------------------------------------------------------

  it("has its time to answer, and no more", function()
    app:answer({ hold = true })
    assert.equal(504, client:get("/").status)
    app:answer({ chunks = { "a", "b", "c" }, pause = "800ms" })
    assert.equal("abc", client:get("/").body)
    app:answer({ raw = function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" } })
      conn:send_body(request.id, "half")
    end })
    assert.equal("closed", client:request({ method = "GET", path = "/" }).error)
  end)

  it("has its time to take a request, and no more", function()
    app.eager = true
    app:answer({ hold = true })
    local conn = client:raw()
    conn:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000000\r\n\r\n")
    app:request(1)
    for other in pairs(app.open) do
      other.manual = true -- no more windows
    end
    mg.task.spawn(function()
      conn:write(("x"):rep(40000000))
    end)
    assert.equal(504, t.http1.read_response(conn).status)
  end)
end)
