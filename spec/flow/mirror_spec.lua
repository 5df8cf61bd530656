-- SPDX-License-Identifier: Apache-2.0
--
-- Copies of requests on real connections: the request itself is as without them.
local t = require("moongate.test")

local SCRIPT = [[
local mg = require("moongate")
for path, buffer in pairs({ ["/"] = true, ["/stream"] = false }) do
  mg.route({ host = "*", path = path, to = "${app}", settings = { buffer_request = buffer },
    plugins = { { name = "mirror", config = { url = "${shadow}", max_body = "8m" } } } })
end
]]

local COPIES = "moongate_mirror_copies_total"

describe("a mirror", function()
  local gateway

  local function start(shadow)
    gateway = t.gateway({
      scripts = { ["a.lua"] = SCRIPT },
      upstreams = { app = true, shadow = shadow },
    }):start()
    return gateway:client()
  end

  after_each(function()
    gateway:stop()
  end)

  local function copy(number)
    local shadow = gateway:upstream("shadow")
    t.wait_until(function()
      return shadow:request(number)
    end, "copy " .. number)
    return shadow:request(number)
  end

  it("gets large bodies whole, buffered or not, of a length or in chunks", function()
    local client = start(true)
    local body = ("0123456789"):rep(300000)
    for i, request in ipairs({
      { path = "/", body = body },
      { path = "/stream", body = body },
      { path = "/stream", chunks = { body:sub(1, 1000000), body:sub(1000001) } },
    }) do
      request.method = "POST"
      local response = assert(client:request(request))
      assert.equal(#body, #response.body)
      local main = gateway:upstream("app"):request(i)
      assert.equal(request.body and tostring(#body) or nil, main.headers["content-length"])
      t.wait_until(function()
        return gateway:metrics(COPIES, { result = "answered" }) == i
      end, "the answer to copy " .. i)
      assert.is_true(copy(i).body == body)
    end
  end)

  it("gets no body without one, and no Content-Length", function()
    local client = start(true)
    assert.equal(200, client:get("/x").status)
    local got = copy(1)
    assert.equal("", got.body)
    assert.is_nil(got.headers["content-length"])
    assert.is_nil(got.headers["transfer-encoding"])
  end)

  it("that never answers holds nothing up", function()
    local client = start({ hold = true })
    for i = 1, 20 do
      assert.equal(200, client:post("/", "hello").status)
      copy(i)
    end
    assert.equal(1, client.connections)
  end)

  it("that is not there is a count, and nothing else", function()
    local client = start({ reset = true })
    assert.equal(200, client:get("/").status)
    t.wait_until(function()
      return gateway:metrics(COPIES, { result = "failed" }) == 1
    end, "the copy's end")
    assert.is_nil(gateway:logs("plugin_failed")[1])
  end)

  it("gets no copy of a body that the client breaks off", function()
    local client = start(true)
    local connection = gateway:connect()
    connection:write("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
    t.wait_until(function()
      return gateway:metrics("moongate_requests_in_flight") == 1
    end, "the request")
    connection:close()
    t.wait_until(function()
      return gateway:metrics(COPIES, { result = "skipped" }) == 1
    end, "its end")
    assert.equal(200, client:get("/whole").status)
    assert.equal("GET", copy(1).method)
  end)
end)
