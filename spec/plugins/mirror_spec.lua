-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

describe("the plugin mirror", function()
  local function plugin(conf, others, options)
    conf.url = conf.url or "http://shadow.test/m"
    return t.plugins({ { "mirror", conf }, unpack(others or {}) }, options)
  end

  -- The copies, once there are as many.
  local function copies(number)
    t.wait_until(function()
      return #t.http.calls >= number
    end, number .. " copies")
    assert.equal(number, #t.http.calls)
    return t.http.calls
  end

  local METHODS = { "GET", "POST", "PUT", "DELETE" }

  before_each(function()
    for _, method in ipairs(METHODS) do
      t.http.stub(method .. " http://shadow.test/m", { status = 500, body = "nobody" })
    end
  end)

  it("copies method, fields and body, and shows the answer to nobody", function()
    local h = plugin({}):upstream({ body = "main" })
    local response = h:request({
      method = "PUT", path = "/x?y=1", host = "a.test", body = "hello",
      headers = { ["X-A"] = { "1", "2" }, Connection = "close, X-Hop", ["X-Hop"] = "1" },
    })
    assert.response(response).has.status(200).body("main")
    local copy = copies(1)[1]
    assert.equal("PUT", copy.method)
    assert.equal("hello", copy.body)
    assert.same({ "1", "2" }, copy.headers["x-a"])
    for _, name in ipairs({ "host", "connection", "content-length", "x-hop" }) do
      assert.is_nil(copy.headers[name], name)
    end
    assert.is_nil(copy.headers.Host)
  end)

  -- URL, and where the copy of /x?y=1 goes.
  for url, wanted in pairs({
    ["http://shadow.test/m"] = "http://shadow.test/m?y=1",
    ["http://shadow.test/m?z=2"] = "http://shadow.test/m?z=2&y=1",
    ["http://shadow.test/m$uri"] = "http://shadow.test/m/x",
    ["http://shadow.test$request_uri"] = "http://shadow.test/x?y=1",
  }) do
    it("sends to " .. url, function()
      t.http.stub("GET " .. wanted, {})
      plugin({ url = url }):request({ path = "/x?y=1" })
      assert.equal(wanted, copies(1)[1].url)
    end)
  end

  it("names another host, and leaves the body out, where it is told to", function()
    plugin({ host = "b.test", body = false }):request({ method = "POST", body = "hello" })
    local copy = copies(1)[1]
    assert.equal("b.test", copy.headers.Host)
    assert.is_nil(copy.body)
  end)

  it("copies a body of any framing whole, or not at all", function()
    local h = plugin({ max_body = 10 })
    assert.equal("abcdefgh", h:request({ method = "POST", chunks = { "abcd", "efgh" } }).body)
    assert.equal("abcdefgh", copies(1)[1].body)
    assert.equal(11, #h:request({ method = "POST", chunks = { "abcd", "efghijk" } }).body)
    assert.equal(11, #h:request({ method = "POST", body = "abcdefghijk" }).body)
    h:request({ method = "POST", body = "0123456789" })
    assert.equal("0123456789", copies(2)[2].body)
  end)

  it("does not copy what is refused, before it or after it", function()
    local refusals = {
      { "ip-restriction", { allow = { "10.0.0.1" } } },
      { { name = "late", stage = "sign", access = function(ctx)
        ctx:respond(401)
      end } },
    }
    for i, refusal in ipairs(refusals) do
      local h = plugin({}, { refusal })
      assert.equal(i == 1 and 403 or 401, h:request({ method = "POST", body = "x" }).status)
    end
    plugin({}):request({ method = "POST", body = "last" })
    assert.equal("last", copies(1)[1].body)
  end)

  it("does not wait for the copy, nor mind what becomes of it", function()
    local answered, ended = false, false
    t.http.stub("GET http://shadow.test/m", function()
      t.wait_until(function()
        return answered
      end, "the main answer")
      ended = true
      return { error = "nobody is there" }
    end)
    assert.equal(200, plugin({}):request().status)
    answered = true
    t.wait_until(function()
      return ended
    end, "the copy's end")
  end)

  it("bounds how many copies are under way", function()
    local free = false
    t.http.stub("GET http://shadow.test/m", function()
      t.wait_until(function()
        return free
      end, "the end")
      return {}
    end)
    local h = plugin({ max_copies = 2 })
    for _ = 1, 5 do
      assert.equal(200, h:request().status)
    end
    copies(2)
    free = true
    t.wait_until(function()
      h:request()
      return #t.http.calls > 2
    end, "another copy")
  end)

  it("does not count a copy whose body could not be kept", function()
    local has_failed = false
    local h = plugin({ max_copies = 1 }, {
      { { name = "breaks", stage = "transform", access = function(ctx)
        local methods = getmetatable(ctx.request)
        local keep_body = methods.keep_body
        methods.keep_body = not has_failed and function()
          methods.keep_body, has_failed = keep_body, true
          error("short of memory")
        end or keep_body
      end } },
    })
    h:request({ method = "POST", body = "lost" })
    assert.is_true(has_failed)
    t.wait_until(function()
      h:request({ method = "POST", body = "copied" })
      return #t.http.calls > 0
    end, "a copy")
    assert.equal("copied", t.http.calls[1].body)
  end)

  it("copies a share of the requests", function()
    local h = plugin({ sample = 0 })
    h:request()
    h = plugin({ sample = "100%" })
    h:request()
    copies(1)
  end)

  it("does not copy upgrades and calls of gRPC", function()
    local h = plugin({}):upstream({ status = 200 })
    h:request({ headers = { Connection = "upgrade", Upgrade = "websocket" } })
    h:request({ method = "POST", body = "x", headers = { ["Content-Type"] = "application/grpc" } })
    h:request()
    copies(1)
    assert.equal("GET", t.http.calls[1].method)
  end)

  it("copies what other plugins have made of the request", function()
    plugin({}, {
      { { name = "change", stage = "transform", access = function(ctx)
        ctx.upstream:set_body("changed")
        ctx.upstream:set_header("x-user", "eva")
      end } },
    }):request({ method = "PUT", body = "received" })
    local copy = copies(1)[1]
    assert.equal("changed", copy.body)
    assert.same({ "eva" }, copy.headers["x-user"])
  end)
end)
