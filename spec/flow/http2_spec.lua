-- SPDX-License-Identifier: Apache-2.0
--
-- Requests and answers of clients that speak HTTP/2, backends speak HTTP/1.1: what either side gets
-- of what the other one sends. http2_connection_spec.lua has the connection itself.
local h2 = require("spec.support.h2")
local t = require("moongate.test")

local SCRIPTS = {
  ["routes.lua"] = [[
local mg = require("moongate")
mg.route { host = "a.test", path = "/", to = "${app}" }
mg.route { host = "small.test", path = "/", to = "${app}",
  settings = { body_limit_bytes = 1000 } }
mg.route { host = "seen.test", path = "/", to = "${app}" }
]],
  ["seen.lua"] = [[
return require("moongate").plugin {
  access = function(ctx)
    if ctx.request.host == "seen.test" then
      return ctx:respond(200, ctx.client.protocol .. " " .. tostring(ctx.client.stream_id))
    end
  end,
}
]],
}

local WHOLE = h2.END_HEADERS + h2.END_STREAM
local FORMAT = '$request|$server_protocol|$http2|$http2_stream_id|$status|$body_bytes_sent|$host'

describe("to clients of HTTP/2, the gateway", function()
  local gateway, app, conn

  setup(function()
    gateway = t.gateway({
      scripts = SCRIPTS,
      upstreams = { app = true },
      settings = { ["log-format-upstream"] = FORMAT, ["large-client-header-buffers"] = "4 2k",
        ["max-header-size"] = "8k", ["max-headers"] = 20, via = true },
    })
    gateway:start()
    app = gateway:upstream("app")
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app:answer(true)
    app.requests, app.eager = {}, false
    conn = h2.connect(gateway)
  end)

  after_each(function()
    conn:close()
    assert.is_nil(app.failure)
  end)

  local function ask(request)
    request.authority = request.authority or "a.test"
    return conn:exchange(request)
  end

  local function post(request)
    request.method, request.authority = "POST", request.authority or "a.test"
    return request
  end

  -- --- requests ----------------------------------------------------------------------

  it("hands a request on as one of HTTP/1.1", function()
    local response = ask({ method = "PUT", path = "/a%20b?x=1", authority = "A.test:81",
      body = "hello", headers = { { "x-a", "1" }, { "x-a", "2" }, { "content-length", "5" } } })
    assert.equal(200, response.status)
    assert.equal("hello", response.body)
    local seen = app:request(1)
    assert.equal("PUT", seen.method)
    assert.equal("/a%20b?x=1", seen.target)
    assert.equal("A.test:81", seen.headers.host)
    assert.equal("5", seen.headers["content-length"])
    assert.equal("1, 2", seen.headers["x-a"])
    assert.equal("2.0 moongate", seen.headers.via)
    for name in pairs(seen.headers) do
      assert.is_nil(name:match("^:"))
    end
  end)

  local HOSTS = {
    { "no Host", authority = "a.test:81", seen = "a.test:81" },
    { "Host that is :authority", authority = "a.test", host = "a.test", seen = "a.test" },
    { "Host that is :authority but for case", authority = "a.test", host = "A.TEST",
      seen = "a.test" },
    { "Host alone", host = "a.test:82", seen = "a.test:82" },
    { "Host of another port", authority = "a.test", host = "a.test:80", status = 400 },
    { "another Host", authority = "a.test", host = "b.test", status = 400 },
    { "userinfo", authority = "me@a.test", status = 400 },
    { "userinfo in Host", host = "me:secret@a.test", status = 400 },
    { "a port beyond all", authority = "a.test:65536", status = 400 },
    { "neither", status = 400 },
  }

  for _, case in ipairs(HOSTS) do
    it(("reads the host of a request with %s"):format(case[1]), function()
      local fields = { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" } }
      if case.authority then
        table.insert(fields, { ":authority", case.authority })
      end
      if case.host then
        table.insert(fields, { "host", case.host })
      end
      local response, err = conn:exchange({ fields = fields })
      local status = response and response.status or err == "PROTOCOL_ERROR" and 400
      assert.equal(case.status or 200, status)
      assert.equal(case.seen, #app.requests > 0 and app:request(1).headers.host or nil)
      assert.equal(200, ask({}).status)
    end)
  end

  it("joins crumbs of a cookie, wherever they stand", function()
    ask({ headers = { { "cookie", "a=1" }, { "x-a", "1" }, { "cookie", "b=2" },
      { "cookie", "c=3; d=4" }, { "x-b", "2" }, { "cookie", "" } } })
    assert.equal("a=1; b=2; c=3; d=4;", app:request(1).headers.cookie)
    assert.equal("2", app:request(1).headers["x-b"])
    local crumbs = {}
    for i = 1, 500 do
      crumbs[i] = { "cookie", "n" .. i .. "=" .. i }
    end
    ask({ headers = crumbs })
    assert.equal(500, select(2, app:request(2).headers.cookie:gsub("n%d+=%d+", "")))
  end)

  it("counts crumbs as bytes of the head", function()
    local crumbs = {}
    for i = 1, 100 do
      crumbs[i] = { "cookie", ("x"):rep(100) }
    end
    assert.equal(431, ask({ headers = crumbs }).status)
    assert.equal(0, #app.requests)
  end)

  local LARGE = {
    { "a target that is too long", 414, path = "/" .. ("x"):rep(2100) },
    { "a field that is too long", 400, headers = { x = ("x"):rep(2100) } },
    { "too many fields", 431, count = 21 },
    { "too many bytes of fields", 431, count = 10, size = 1000 },
    { "too many bytes of a name", 400, headers = { [("x"):rep(2100)] = "x" } },
  }

  for _, case in ipairs(LARGE) do
    it(("answers %d to %s, and goes on"):format(case[2], case[1]), function()
      local headers = case.headers
      if case.count then
        headers = {}
        for i = 1, case.count do
          headers[i] = { "x-" .. i, ("y"):rep(case.size or 1) }
        end
      end
      for _ = 1, 3 do
        assert.equal(case[2], ask({ path = case.path, headers = headers }).status)
      end
      assert.equal(200, ask({}).status)
      assert.equal(1, #app.requests)
    end)
  end

  it("takes the largest target, fields and heads that it may", function()
    local headers = {}
    for i = 1, 18 do
      headers[i] = { "x-" .. i, ("y"):rep(200) }
    end
    local path = "/" .. ("x"):rep(2000)
    assert.equal(200, ask({ path = path, headers = headers }).status)
    assert.equal(path, app:request(1).target)
  end)

  it("says 100 Continue when the body is wanted, and only then", function()
    local id = conn:request(post({ open = true, headers = { expect = "100-continue",
      ["content-length"] = "5" } }))
    local stream = conn:stream(id)
    while #stream.interim == 0 do
      assert(conn:next())
    end
    assert.equal(100, stream.interim[1].status)
    assert.equal(0, #stream.interim[1].headers)
    conn:send_body(id, "hello", true)
    local response = conn:response(id)
    assert.equal("hello", response.body)
    assert.equal(1, #response.interim)
    assert.is_nil(app:request(1).headers.expect)

    id = conn:request(post({ authority = "small.test", open = true,
      headers = { expect = "100-continue", ["content-length"] = "5000" } }))
    response = conn:response(id)
    assert.equal(413, response.status)
    assert.equal(0, #response.interim)

    assert.equal(417, ask({ headers = { expect = "miracles" } }).status)
  end)

  it("asks for no body that is there", function()
    local response = ask(post({ body = "x", headers = { expect = "100-continue" } }))
    assert.equal("x", response.body)
    response = ask(post({ body = "", headers = { expect = "100-continue" } }))
    assert.equal(200, response.status)
  end)

  it("hands bodies on, with and without a length, with and without trailers", function()
    ask(post({ body = "abc" }))
    ask(post({ body = "abc", headers = { ["content-length"] = "3" } }))
    ask(post({ body = "abc", trailers = { { "x-sum", "1" }, { "x-sum", "2" },
      { "host", "b.test" } } }))
    ask(post({ headers = { ["content-length"] = "0" } }))
    ask(post({}))
    ask(post({ body = "" }))
    for i = 1, 3 do
      assert.equal("abc", app:request(i).body)
    end
    assert.equal("3", app:request(2).headers["content-length"])
    assert.same({ ["x-sum"] = "1, 2" }, app:request(3).trailers)
    for i = 4, 6 do
      assert.equal("", app:request(i).body)
    end
    assert.equal("0", app:request(4).headers["content-length"])
  end)

  it("cuts a body that has another length than it said", function()
    for _, length in ipairs({ "2", "4" }) do
      local id = conn:request(post({ body = "abc", headers = { ["content-length"] = length } }))
      local response, err = conn:response(id)
      assert.equal("PROTOCOL_ERROR", response and response.error or err)
    end
    assert.equal(200, ask({}).status)
    for _, seen in ipairs(app.requests) do
      assert.is_true(seen.target == "/" and seen.body ~= "abc")
    end
  end)

  it("lets a body go in small pieces, and gives room for their padding back", function()
    local id = conn:request(post({ open = true }))
    local stream, count = conn:stream(id), 1000
    while not conn.settings[h2.INITIAL_WINDOW_SIZE] do
      assert(conn:next())
    end
    for i = 1, count do
      while stream.window < 256 or conn.window < 256 do
        assert(conn:next())
      end
      conn:send(h2.DATA, h2.PADDED, id, "\250" .. string.char(64 + i % 26) .. ("\0"):rep(250))
      stream.window, conn.window = stream.window - 252, conn.window - 252
    end
    conn:send(h2.DATA, h2.END_STREAM, id, "!")
    local response = conn:response(id)
    assert.equal(count + 1, #response.body)
    assert.equal("!", response.body:sub(-1))
  end)

  -- --- answers -----------------------------------------------------------------------

  local BODILESS = {
    { "HEAD", { headers = { ["Content-Length"] = "5" } }, length = "5" },
    { "HEAD", { chunks = { "x" } } },
    { "GET", { status = 204 } },
    { "GET", { status = 304, length = 7 }, length = "7" },
    { "GET", { status = 304, headers = { ETag = "x" } } },
    { "GET", { body = "" }, length = "0" },
  }

  it("answers without a body in a head that ends its stream", function()
    for i, case in ipairs(BODILESS) do
      app:answer(case[2])
      local id = conn:request({ method = case[1], authority = "a.test" })
      local frame
      repeat
        frame = assert(conn:next())
      until frame.stream == id
      assert.equal(h2.HEADERS, frame.kind, i)
      assert.equal(WHOLE, frame.flags, i)
      local response = conn:stream(id)
      assert.equal(case[2].status or 200, response.status)
      assert.equal(case.length, response.headers["content-length"], i)
    end
  end)

  it("answers with pieces, trailers and interim responses", function()
    app:answer({ interim = { 100, 103, 102 }, headers = { Trailer = "X-Sum",
      Connection = "keep-alive, X-Hop", ["X-Hop"] = "1", ["Keep-Alive"] = "timeout=5" },
      chunks = { "a", "b" }, trailers = { ["X-Sum"] = "7" } })
    local response = ask({})
    assert.is_nil(response.error)
    assert.equal("ab", response.body)
    assert.same({ ["x-sum"] = "7" }, response.trailers)
    assert.equal(2, #response.interim)
    assert.equal(103, response.interim[1].status)
    assert.equal("X-Sum", response.headers.trailer)
    for _, name in ipairs({ "connection", "keep-alive", "x-hop", "transfer-encoding" }) do
      assert.is_nil(response.headers[name])
    end
  end)

  it("answers an upload that is too large before it ends, and goes on", function()
    for _, headers in ipairs({ {}, { ["content-length"] = "50000" } }) do
      local id = conn:request(post({ authority = "small.test", open = true, headers = headers }))
      conn:send_body(id, ("x"):rep(2000))
      local response = conn:response(id)
      assert.equal(413, response.status)
      conn:send_body(id, ("x"):rep(2000)) -- it may not have known yet
      while not response.reset do
        assert(conn:next())
      end
      assert.equal("NO_ERROR", response.reset)
      assert.equal(200, ask({}).status)
    end
  end)

  it("passes an answer on that does not wait for its request", function()
    app.eager = true
    app:answer({ status = 403, body = "enough", close = true })
    local id = conn:request(post({ open = true, headers = { ["content-length"] = "4000000" } }))
    conn:send_body(id, ("x"):rep(1000))
    local response = conn:response(id)
    assert.equal(403, response.status)
    assert.equal("enough", response.body)
    while not response.reset do
      assert(conn:next())
    end
    assert.equal("NO_ERROR", response.reset)
    assert.equal(403, ask({}).status)
  end)

  it("answers each request of many in its own time", function()
    app:answer(function(request)
      return { body = request.path, delay = request.path == "/slow" and "200ms" or nil }
    end)
    local slow = conn:request({ path = "/slow", authority = "a.test" })
    local ids = {}
    for i = 1, 100 do
      ids[i] = conn:request({ path = "/" .. i, authority = "a.test" })
    end
    for i = 1, 100 do
      assert.equal("/" .. i, conn:response(ids[i]).body)
    end
    assert.is_nil(conn:stream(slow).status)
    assert.equal("/slow", conn:response(slow).body)
  end)

  it("tells a backend that a client has given a request up, and nobody else", function()
    app:answer({ hold = true })
    local id = conn:request({ path = "/", authority = "a.test" })
    local seen = app:request(1)
    app:answer(true)
    conn:cancel(id)
    t.wait_until(function()
      return seen.abandoned
    end, "the backend to be told")
    assert.equal(200, ask({}).status)
  end)

  -- --- what is told of it --------------------------------------------------------------

  it("tells plugins and the access log what was spoken", function()
    conn:exchange({ path = "/x", authority = "seen.test" })
    local response = conn:exchange({ path = "/x", authority = "seen.test" })
    assert.equal("h2 3", response.body)
    ask({ path = "/y", body = "body" })
    gateway:client():get("/z", { Host = "seen.test" })
    for _, line in ipairs({ -- of workers that write on their own
      "GET /x HTTP/2.0|HTTP/2.0|h2c|1|200|4|seen.test",
      "GET /x HTTP/2.0|HTTP/2.0|h2c|3|200|4|seen.test",
      "POST /y HTTP/2.0|HTTP/2.0|h2c|5|200|4|a.test",
      "GET /z HTTP/1.1|HTTP/1.1|-|-|200|12|seen.test",
    }) do
      t.wait_until(function()
        return table.concat(gateway.output, "\n"):find(line, 1, true)
      end, line)
    end
  end)
end)
