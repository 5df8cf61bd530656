-- SPDX-License-Identifier: Apache-2.0
--
-- Services behind unix sockets.
local t = require("moongate.test")

describe("a service behind a unix socket", function()
  local gateway, folder, path, server

  before_each(function()
    folder = t.folder({ note = "holds a socket" })
    path = folder.path .. "/app.sock"
    server = t.upstream({ body = "by socket" }, { address = "unix:" .. path })
  end)

  after_each(function()
    gateway:stop()
    server:close()
    folder:close()
  end)

  local function start(to, more)
    gateway = t.gateway({
      scripts = ([[
        local mg = require("moongate")
        mg.route({ path = "/", to = %q, name = "app" %s })
      ]]):format(to, more or ""),
    }):start()
    return gateway:client()
  end

  for _, form in ipairs({ "unix:%s", "http://unix:%s", "http://unix:%s:" }) do
    it("gets requests by " .. form:format("/path"), function()
      local client = start(form:format(path))
      for _ = 1, 3 do
        local response = client:get("/x")
        assert.equal(200, response.status)
        assert.equal("by socket", response.body)
      end
      assert.equal("/x", server:request(3).target)
      assert.equal(1, server.connections) -- it is kept
    end)
  end

  it("is named in the access log as nginx does", function()
    assert.equal(200, start("unix:" .. path):get("/").status)
    t.wait_until(function()
      return gateway:dump():find('"upstream_addr":"unix:' .. path .. '"', 1, true)
    end, "the line of the access log")
  end)

  it("is checked as any other", function()
    start("unix:" .. path, ', health = { path = "/healthz", interval = "100ms", unhealthy = 1 }')
    assert.equal("/healthz", server:request(1).target)
    server:answer({ status = 500 })
    assert.equal("unix:" .. path, gateway:wait_log("endpoint_unhealthy").endpoint)
  end)

  it("answers 502 when nobody listens there", function()
    assert.equal(502, start("unix:" .. folder.path .. "/nobody.sock"):get("/").status)
  end)
end)
