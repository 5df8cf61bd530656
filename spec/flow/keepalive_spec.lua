-- SPDX-License-Identifier: Apache-2.0
--
-- How long connections live, on either side, by settings.
local t = require("moongate.test")

describe("a client's connection", function()
  local gateway

  local function start(settings)
    gateway = t.gateway({
      proxy = "${app}",
      upstreams = { app = true },
      settings = settings,
    }):start()
    return gateway:client()
  end

  -- What the responses of so many requests say of the connection.
  local function said(client, count)
    local list = {}
    for i = 1, count do
      local response = client:get("/")
      assert.equal(200, response.status)
      list[i] = response.headers.connection or "kept"
    end
    return list
  end

  after_each(function()
    gateway:stop()
  end)

  it("ends after so many requests, which the last response says", function()
    local client = start({ ["keep-alive-requests"] = 3 })
    assert.same({ "kept", "kept", "close", "kept", "kept", "close", "kept" }, said(client, 7))
    assert.equal(3, client.connections)
  end)

  it("serves one request with keep-alive 0", function()
    local client = start({ ["keep-alive"] = 0 })
    assert.same({ "close", "close" }, said(client, 2))
    assert.equal(2, client.connections)
  end)

  it("serves one request with keep-alive-requests 0", function()
    assert.same({ "close", "close" }, said(start({ ["keep-alive-requests"] = 0 }), 2))
  end)

  it("is otherwise kept", function()
    local client = start({})
    assert.same({ "kept", "kept", "kept" }, said(client, 3))
    assert.equal(1, client.connections)
  end)

  it("does not lose requests that are sent ahead", function()
    start({ ["keep-alive-requests"] = 2 })
    local conn = gateway:connect()
    conn:write(("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"):rep(3))
    local text = ""
    local piece = conn:read()
    while piece do
      text = text .. piece
      piece = conn:read()
    end
    conn:close()
    local _, responses = text:gsub("HTTP/1.1 200", "")
    assert.equal(2, responses) -- the third is the client's to send again
    assert.truthy(text:lower():find("connection: close", 1, true))
    assert.equal(2, #gateway:upstream("app").requests)
  end)
end)

describe("a connection to a service", function()
  local gateway

  -- Which connection each of five requests came by.
  local function connections(settings, answer)
    gateway = t.gateway({
      proxy = "${app}",
      upstreams = { app = answer or true },
      settings = settings,
    }):start()
    local client = gateway:client()
    local list = {}
    for i = 1, 5 do
      assert.equal(200, client:get("/").status)
      list[i] = gateway:upstream("app"):request(i).connection
    end
    return list
  end

  after_each(function()
    gateway:stop()
  end)

  it("has so many requests", function()
    assert.same({ 1, 1, 2, 2, 3 }, connections({ ["upstream-keepalive-requests"] = 2 }))
  end)

  it("has no further request when its time is over", function()
    local list = connections({ ["upstream-keepalive-time"] = "5ms" }, { delay = "20ms" })
    assert.same({ 1, 2, 3, 4, 5 }, list)
  end)

  it("is not kept where none may be", function()
    assert.same({ 1, 2, 3, 4, 5 }, connections({ ["upstream-keepalive-connections"] = 0 }))
  end)

  it("is otherwise kept", function()
    assert.same({ 1, 1, 1, 1, 1 }, connections({}))
  end)
end)
