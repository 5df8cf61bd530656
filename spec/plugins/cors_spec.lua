-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

describe("the plugin cors", function()
  local function ask(conf, request)
    return t.plugin("cors", conf):request(request)
  end

  it("puts the fields on every response, asked for or not", function()
    local response = ask({})
    assert.equal("*", response.headers["access-control-allow-origin"])
    assert.equal("true", response.headers["access-control-allow-credentials"])
    assert.equal("1728000", response.headers["access-control-max-age"])
    assert.is_nil(response.headers["access-control-expose-headers"])
    assert.is_nil(response.headers.vary)
  end)

  it("answers a preflight", function()
    local h = t.plugin("cors", { methods = "GET", headers = "X-A", expose = "X-B", max_age = 5 })
    local response = h:request({ method = "OPTIONS", headers = { Origin = "https://a.test" } })
    assert.equal(204, response.status)
    assert.equal("", response.body)
    assert.equal("GET", response.headers["access-control-allow-methods"])
    assert.equal("X-A", response.headers["access-control-allow-headers"])
    assert.equal("X-B", response.headers["access-control-expose-headers"])
    assert.equal("5", response.headers["access-control-max-age"])
    assert.equal(0, #h.requests)
  end)

  local ORIGINS = { "https://a.test", "http://*.b.test:8080", "*.c.test" }
  for origin, is_allowed in pairs({
    ["https://a.test"] = true,
    ["HTTPS://A.test"] = true,
    ["http://a.test"] = false,
    ["https://a.test:8443"] = false,
    ["https://axtest"] = false,
    ["xhttps://a.test"] = false,
    ["https://a.test.evil"] = false,
    ["http://x.b.test:8080"] = true,
    ["http://x.y.b.test:8080"] = false,
    ["http://.b.test:8080"] = false,
    ["http://x.b.test"] = false,
    ["http://x.c.test"] = false,
    ["null"] = false,
  }) do
    it((is_allowed and "allows " or "does not allow ") .. origin, function()
      local h = t.plugin("cors", { origins = ORIGINS })
      local response = h:request({ headers = { Origin = origin } })
      assert.equal(is_allowed and origin or nil, response.headers["access-control-allow-origin"])
      assert.equal("Origin", response.headers.vary)
      h:request({ method = "OPTIONS", headers = { Origin = origin } })
      assert.equal(is_allowed and 1 or 2, #h.requests) -- a preflight of others goes on
    end)
  end

  it("replaces what the service says, where the origin is allowed", function()
    local h = t.plugin("cors", { origins = { "https://a.test" }, credentials = false })
      :upstream({ headers = { ["Access-Control-Allow-Origin"] = "*", Vary = "Accept, Origin" } })
    local response = h:request({ headers = { Origin = "https://a.test" } })
    assert.equal("https://a.test", response.headers["access-control-allow-origin"])
    assert.is_nil(response.headers["access-control-allow-credentials"])
    assert.equal("Accept, Origin", response.headers.vary)
    response = h:request({ headers = { Origin = "https://b.test" } })
    assert.equal("*", response.headers["access-control-allow-origin"])
  end)

  -- Vary of the service, and what the client gets.
  for vary, wanted in pairs({
    ["X-Origin"] = "X-Origin, Origin",
    ["Origin-Agent-Cluster"] = "Origin-Agent-Cluster, Origin",
    ["Accept , origin"] = "Accept , origin",
    ["*"] = "*",
  }) do
    it("makes of Vary: " .. vary .. ": " .. wanted, function()
      local h = t.plugin("cors", { origins = ORIGINS }):upstream({ headers = { Vary = vary } })
      assert.equal(wanted, h:request().headers.vary)
    end)
  end

  it("is on answers of the gateway, and before redirects", function()
    local h = t.plugins({ { "cors", {} }, { "redirect", { url = "/x" } } })
    local response = h:request()
    assert.equal(302, response.status)
    assert.equal("*", response.headers["access-control-allow-origin"])
    assert.equal(204, h:request({ method = "OPTIONS" }).status)
  end)
end)
