-- SPDX-License-Identifier: Apache-2.0
--
-- Either side leaves in the middle: the other one learns of it, soon, and never takes a part for
-- the whole.
local json = require("moongate.api.json")
local mg = require("moongate")
local t = require("moongate.test")

describe("when a side leaves, the gateway", function()
  local gateway, app, client

  setup(function()
    gateway = t.gateway({
      proxy = "${app}",
      upstreams = { app = true },
      settings = { ["proxy-read-timeout"] = "60s" },
    }):start()
    app = gateway:upstream("app")
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app:answer(nil)
    app:drop_connections()
    app.requests = {}
    app.eager = false
    client = gateway:client()
  end)

  after_each(function()
    client:close()
  end)

  -- The access log's line of a path, which comes a quarter of a second later.
  local function logged(path)
    local found
    t.wait_until(function()
      for _, line in ipairs(gateway.output) do
        local entry = line:find('"uri":"' .. path .. '"', 1, true) and json.decode(line)
        found = found or entry
      end
      return found
    end, "the access log's line of " .. path)
    return found
  end

  local function is_still_whole()
    app:answer(nil)
    local other = gateway:client()
    assert.are.equal("ok", other:get("/").body)
    other:close()
  end

  -- --- the client ----------------------------------------------------------------

  for way, leave in pairs({
    ["closes"] = function(conn) conn:close() end,
    ["resets"] = function(conn) conn:reset() end,
  }) do
    it(("lets go of a slow backend soon after the client %s"):format(way), function()
      app:answer({ hold = true })
      local path = "/left-" .. way
      local conn = client:raw()
      conn:write(("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(path))
      local request = app:request(1)
      leave(conn)
      t.wait_until(function()
        return request.abandoned
      end, "the backend's connection to end")
      assert.are.equal(499, logged(path).status)
      is_still_whole()
    end)

    it(("stops a response when the client %s in its middle"):format(way), function()
      local done = {}
      app:answer(function(_, conn)
        conn:write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        local ok, sent = true, 0
        while ok and sent < 200 do
          ok = conn:write(t.http1.chunk(("x"):rep(65536)))
          sent = sent + 1
        end
        done.sent = sent
        return { raw = "", close = true }
      end)
      local conn = client:raw()
      conn:write("GET /stopped HTTP/1.1\r\nHost: a\r\n\r\n")
      conn:read_exactly(1000)
      leave(conn)
      t.wait_until(function()
        return done.sent
      end, "the backend to be stopped")
      assert.is_true(done.sent < 200)
      is_still_whole()
    end)
  end

  -- --- the backend ---------------------------------------------------------------

  local LENGTH = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
  local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    .. "5\r\n01234\r\n5\r\n56789\r\n0\r\nX-Sum: 1\r\n\r\n"

  -- What the client has of it must not look whole: an error, or an answer of the gateway's own.
  local function must_not_look_whole(response, what)
    local whole = response and response.status == 200 and not response.error
    assert.is_false(whole == true, what)
  end

  -- To HTTP/1.0 the end of the connection is the body's end: a cut must be a reset.
  local function was_reset()
    local conn = client:raw()
    conn:write("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    local data, err = "", nil
    while data do
      data, err = conn:read()
    end
    client:close()
    return err:find("reset", 1, true) ~= nil
  end

  for what, whole in pairs({ ["with a length"] = LENGTH, ["in chunks"] = CHUNKED }) do
    for _, version in ipairs({ "1.1", "1.0" }) do
      it(("passes a cut on, wherever an answer %s is cut, to HTTP/%s"):format(what, version),
        function()
          for cut = 1, #whole - 1 do
            app:answer({ raw = whole:sub(1, cut), close = true })
            local one = gateway:client()
            local response = one:request({ path = "/", version = version })
            one:close()
            local reset = version == "1.0" and response and response.until_close and was_reset()
            if not reset then
              must_not_look_whole(response, ("cut behind %d bytes"):format(cut))
            end
          end
          app:answer({ raw = whole, close = true })
          local response = client:request({ path = "/", version = version })
          assert.are.equal("0123456789", response.body)
          is_still_whole()
        end)
    end
  end

  it("passes a reset in the middle of an answer on", function()
    app:answer(function(_, conn)
      conn:write(LENGTH:sub(1, -5))
      mg.task.sleep("20ms")
      return { reset = true }
    end)
    must_not_look_whole(client:request({ path = "/" }))
    is_still_whole()
  end)

  it("takes no reset for the end of an answer that ends with its connection", function()
    for _ = 1, 20 do
      app:answer(function(_, conn)
        conn:write("HTTP/1.1 200 OK\r\n\r\nhalf")
        return { reset = true }
      end)
      must_not_look_whole(client:request({ path = "/" }))
    end
    is_still_whole()
  end)

  it("answers 502 when the backend resets before its answer", function()
    app:answer({ reset = true })
    assert.are.equal(502, client:post("/reset", "x").status)
    assert.are.equal(502, logged("/reset").status)
  end)

  for what, raw in pairs({
    ["is no HTTP"] = "SSH-2.0-OpenSSH\r\n\r\n",
    ["ends in its head"] = "HTTP/1.1 200 OK\r\nContent-Le",
    ["has two lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    ["has a list of lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nx",
    ["has a negative length"] = "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
    ["has a length that is no number"] = "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nx",
    ["has a length beyond 64 bits"] =
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx",
    ["has a length and chunks"] =
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ["has a coding that is not known"] =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, odd\r\n\r\n0\r\n\r\n",
    ["has a line that is no field"] = "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
    ["has a space before a colon"] = "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    ["has NUL in a field"] = "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    ["has a bare LF"] = "HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n\r\n",
    ["has a status of four digits"] = "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    ["switches protocols unasked"] =
      "HTTP/1.1 101 Sure\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ["has a head without end"] = "HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(200000) .. "\r\n\r\n",
    ["has fields without end"] = "HTTP/1.1 200 OK\r\n" .. ("X: y\r\n"):rep(5000) .. "\r\n",
  }) do
    it(("answers 502 when the answer %s"):format(what), function()
      app:answer({ raw = raw, close = true })
      assert.are.equal(502, client:get("/").status)
      is_still_whole()
    end)
  end

  for what, body in pairs({
    ["a size that is no number"] = "zz\r\nxx\r\n0\r\n\r\n",
    ["a size without end"] = ("f"):rep(40) .. "\r\nx",
    ["more bytes than its size"] = "2\r\nxxx\r\n0\r\n\r\n",
    ["no line end behind it"] = "2\r\nxx0\r\n\r\n",
    ["a negative size"] = "-2\r\nxx\r\n0\r\n\r\n",
    ["a trailer that is no field"] = "2\r\nxx\r\n0\r\nno field\r\n\r\n",
  }) do
    it(("cuts the answer when a chunk has %s"):format(what), function()
      app:answer({ raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. body,
        close = true })
      must_not_look_whole(client:request({ path = "/" }))
      is_still_whole()
    end)
  end

  it("uses no connection again on which more came than was asked for", function()
    app:answer({ raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"
      .. "Content-Length: 6\r\n\r\nforged" })
    assert.are.equal("ok", client:get("/").body)
    app:answer({ body = "true" })
    assert.are.equal("true", client:get("/").body)
    assert.are_not.equal(app:request(1).connection, app:request(2).connection)
  end)

  -- --- kept connections ------------------------------------------------------------

  -- The backend ends a kept connection when the next request comes, as one that had timed out does.
  local function answer_once()
    local seen = {}
    app:answer(function(request)
      local again = seen[request.connection]
      seen[request.connection] = true
      return again and { reset = true } or { body = "ok " .. request.body }
    end)
  end

  for _, method in ipairs({ "GET", "PUT", "DELETE" }) do
    it(("repeats %s that a kept connection did not take"):format(method), function()
      answer_once()
      for i = 1, 4 do
        local body = method == "PUT" and ("body %d"):format(i) or nil
        local response = client:request({ method = method, path = "/", body = body })
        assert.are.equal("ok " .. (body or ""), response.body)
      end
    end)
  end

  for _, method in ipairs({ "POST", "PATCH" }) do
    it(("repeats no %s, which may have had an effect"):format(method), function()
      answer_once()
      assert.are.equal(200, client:get("/").status)
      local response = client:request({ method = method, path = "/", body = "x" })
      assert.are.equal(502, response.status)
      local count = 0
      for _, request in ipairs(app.requests) do
        count = count + (request.method == method and 1 or 0)
      end
      assert.are.equal(1, count)
    end)
  end

  it("sends nothing on a kept connection that it has seen to end", function()
    for i = 1, 10 do
      app:answer({ raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", close = true })
      assert.are.equal(200, client:post("/", "x").status)
      t.wait_until(function()
        return app.open_count == 0
      end, "the backend to close")
      mg.task.sleep("5ms")
      assert.are.equal(i, #app.requests)
    end
  end)

  -- --- the client's body -------------------------------------------------------------

  local function never_whole(request)
    t.wait_until(function()
      return request.error
    end, "the backend to see the request cut")
    assert.is_false(request.complete == true)
  end

  for what, head in pairs({
    ["with a length"] = "PUT /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
    ["in chunks"] = "PUT /cut HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n",
  }) do
    for way, leave in pairs({
      ["closes"] = function(conn) conn:close() end,
      ["resets"] = function(conn) conn:reset() end,
    }) do
      it(("passes on that a body %s is cut, when the client %s"):format(what, way), function()
        local conn = client:raw()
        conn:write(head .. ("x"):rep(1000))
        local request = app:request(1)
        leave(conn)
        never_whole(request)
        assert.are.equal(1, #app.requests) -- half a request is not repeated
        is_still_whole()
      end)
    end
  end

  for what, chunk in pairs({
    ["no size"] = "zz\r\n",
    ["a size without end"] = ("f"):rep(40) .. "\r\n",
    ["a sign"] = "+2\r\nxx\r\n0\r\n\r\n",
    ["a bare LF"] = "2\nxx\r\n0\r\n\r\n",
    ["no line end behind it"] = "2\r\nxx0\r\n\r\n",
    ["a broken trailer"] = "0\r\nno field\r\n\r\n",
  }) do
    it(("refuses a chunk of a request with %s, and the backend sees a cut"):format(what), function()
      local conn = client:raw()
      conn:write("POST /broken HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. t.http1.chunk("whole"))
      local request = app:request(1)
      conn:write(chunk)
      local response = t.http1.read_response(conn)
      assert.are.equal(400, response.status)
      assert.are.equal("close", response:header("connection"))
      never_whole(request)
      is_still_whole()
    end)
  end

  for what, head in pairs({
    ["a length and chunks"] = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    ["two lengths"] = "Content-Length: 4\r\nContent-Length: 5\r\n",
    ["a list of lengths"] = "Content-Length: 4, 4\r\n",
    ["a signed length"] = "Content-Length: +4\r\n",
    ["a length in hexadecimal"] = "Content-Length: 0x4\r\n",
    ["chunks that are not last"] = "Transfer-Encoding: chunked, gzip\r\n",
    ["chunks twice"] = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ["a disguised coding"] = "Transfer-Encoding: xchunked\r\n", -- 501, RFC 9112 6.1
    ["a space before the colon"] = "Transfer-Encoding : chunked\r\n",
    ["a folded line"] = "Transfer-Encoding:\r\n chunked\r\n",
    ["a vertical tab"] = "Transfer-Encoding: \vchunked\r\n",
    ["a bare CR"] = "X: a\rContent-Length: 4\r\n",
  }) do
    it(("refuses a request with %s, whole"):format(what), function()
      local conn = client:raw()
      conn:write("POST / HTTP/1.1\r\nHost: a\r\n" .. head .. "\r\n0\r\n\r\n")
      local response = t.http1.read_response(conn)
      assert.are.equal(head:find("xchunked", 1, true) and 501 or 400, response.status)
      assert.are.equal("close", response:header("connection"))
      assert.are.equal(0, #app.requests)
    end)
  end
end)
