-- SPDX-License-Identifier: Apache-2.0
local h2_upstream = require("spec.support.h2_upstream")
local mg = require("moongate")
local t = require("moongate.test")

describe("mg.http", function()
  local server

  before_each(function()
    server = t.upstream()
  end)

  after_each(function()
    server:close()
  end)

  it("sends no method that is none", function()
    for _, method in ipairs({ "", "GET / HTTP/1.1\r\nX: y\r\n\r\nGET", "A B" }) do
      local response, err, code = mg.http.request({ url = server:url() .. "/", method = method })
      assert.is_nil(response)
      assert.are.equal("bad_field", code, err)
    end
    assert.are.equal(0, #server.requests)
  end)

  it("sends a request and gives the whole response", function()
    local headers = { ["X-A"] = { "1", "2" } }
    server:answer({ status = 201, headers = headers, chunks = { "one ", "two" } })
    local response = mg.http.request({
      url = server:url() .. "/path?a=b",
      method = "PUT",
      headers = { ["X-Key"] = "k", Host = "named.test" },
      body = "what is sent",
      query = { ["c d"] = "e&f" },
    })
    assert.are.equal(201, response.status)
    assert.are.equal("1, 2", response.headers["x-a"])
    assert.are.same({ "1", "2" }, response:header_values("X-A"))
    assert.are.equal("one two", response:text())
    local request = server:request(1)
    assert.are.equal("PUT /path?a=b&c%20d=e%26f HTTP/1.1", request.line)
    assert.are.equal("k", request:header("x-key"))
    assert.are.same({ "named.test" }, request:header_values("host"))
    assert.are.equal("what is sent", request.body)
  end)

  it("gives the fields behind a body, of HTTP/1.1 and of HTTP/2", function()
    local answer = { chunks = { "body" }, trailers = { ["X-Sum"] = "1" } }
    server:answer(answer)
    local second = h2_upstream.new(answer)
    for _, url in ipairs({ server:url(), "h2c://127.0.0.1:" .. second.port }) do
      local response = mg.http.get(url)
      assert.are.same({ ["x-sum"] = "1" }, response.trailers)
      assert.is_nil(response.headers["x-sum"])
    end
    second:close()
    server:answer({ body = "none" })
    assert.are.same({}, mg.http.get(server:url()).trailers)
  end)

  it("speaks JSON both ways", function()
    server:answer(function(request)
      return { body = request.body }
    end)
    local response = mg.http.post(server:url(), { a = { 1, 2 } })
    assert.are.same({ 1, 2 }, { unpack(response:json().a) })
    assert.are.equal("application/json", server:request(1):header("content-type"))
  end)

  it("keeps its connections", function()
    for _ = 1, 3 do
      assert.are.equal(200, mg.http.get(server:url()).status)
    end
    assert.are.equal(1, server.connections)
  end)

  it("repeats what may be repeated when a kept connection has died", function()
    mg.http.get(server:url())
    server:answer({ { reset = true }, { body = "again" } })
    assert.are.equal("again", mg.http.get(server:url()).body)
    server:answer({ { reset = true }, { body = "again" } })
    assert.are.equal("upstream_closed", select(3, mg.http.post(server:url(), "x")))
  end)

  it("ends when its time is over, and lets the connection go", function()
    server:answer({ hold = true })
    local _, _, code = mg.http.get(server:url(), { timeout = "30ms" })
    assert.are.equal("timeout", code)
    t.wait_until(function()
      return server:request(1).abandoned
    end, "the connection's end")
  end)

  it("takes no more of a body than it may", function()
    server:answer({ body = ("x"):rep(3000) })
    assert.are.equal(3000, #mg.http.get(server:url(), { max_body = 3000 }).body)
    local _, _, code = mg.http.get(server:url(), { max_body = 2999 })
    assert.are.equal("body_too_large", code)
  end)

  it("reads answers without a body, and past interim ones", function()
    server:answer({ status = 204 })
    assert.are.equal("", mg.http.delete(server:url()).body)
    server:answer({ body = "not sent" })
    assert.are.equal("", mg.http.request({ method = "HEAD", url = server:url() }).body)
    server:answer({ interim = { 103 }, body = "final" })
    assert.are.equal("final", mg.http.get(server:url()).body)
  end)

  it("tells what went wrong", function()
    local gone = server:url()
    server:close()
    assert.are.equal("connect", select(3, mg.http.get(gone)))
    assert.are.equal("invalid", select(3, mg.http.get("ftp://a.test/")))
    assert.are.equal("bad_field", select(3, mg.http.get(gone, { headers = { a = "b\r\nc: d" } })))
    assert.has_error(function()
      mg.http.request({})
    end)
  end)

  it("tells what is no HTTP", function()
    server:answer({ raw = "SSH-2.0-x\r\n\r\n", close = true })
    assert.are.equal("upstream_protocol", select(3, mg.http.get(server:url())))
  end)

  it("sends many at once without mixing them up", function()
    server:answer(function(request)
      return { body = request.path, delay = "5ms" }
    end)
    local waiting = {}
    for i = 1, 30 do
      waiting[i] = mg.task.spawn(function()
        return mg.http.get(server:url() .. "/" .. i).body
      end)
    end
    for i, body in ipairs((mg.task.join(waiting))) do
      assert.are.equal("/" .. i, body)
    end
  end)
end)

describe("t.http", function()
  it("answers for others, in turn, and keeps what was asked", function()
    t.http.stub("GET http://keys.test/a", { { json = { key = 1 } }, { error = "refused" } })
    assert.are.equal(1, mg.http.get("http://keys.test/a?x=1"):json().key)
    assert.are.equal("connect", select(3, mg.http.get("http://keys.test/a")))
    assert.http_stub("GET http://keys.test/a").was.called(2)
    assert.are.equal("http://keys.test/a?x=1", t.http.calls[1].url)
  end)

  it("answers a plugin's requests", function()
    t.http.stub("POST http://auth.test/", function(request)
      return { status = request.body == "good" and 200 or 403 }
    end)
    local h = t.plugin({
      stage = "authenticate",
      access = function(ctx)
        local response = mg.http.post("http://auth.test/", ctx.request:header("x-token") or "")
        if response.status ~= 200 then
          ctx:respond(response.status)
        end
      end,
    })
    assert.response(h:request()).has.status(403)
    assert.response(h:request({ headers = { ["x-token"] = "good" } })).has.status(200)
  end)
end)
