-- SPDX-License-Identifier: Apache-2.0
--
-- What is spoken to backends, by the protocol of the service.
local t = require("moongate.test")

describe("a service of protocol auto", function()
  local backend

  -- A server that speaks TLS on one port, and HTTP on another.
  setup(function()
    backend = t.gateway({
      scripts = [[
        local mg = require("moongate")
        mg.route({ path = "/" })
        return mg.plugin({ access = function(ctx)
          return ctx:respond(200, ctx.request.scheme)
        end })
      ]],
    }):start()
  end)

  teardown(function()
    backend:stop()
  end)

  local function at(port)
    return t.plugin({ name = "none" }, nil, {
      service = {
        protocol = "auto",
        tls = { verify = false },
        endpoints = { { address = "127.0.0.1", port = port, weight = 1 } },
      },
      settings = { tries = 1 },
    })
  end

  it("gets what came by TLS by TLS", function()
    local response = at(backend.https_port):request({ tls = true })
    assert.equal(200, response.status)
    assert.equal("https", response.body)
  end)

  it("gets what came in clear in clear", function()
    local response = at(backend.port):request({ tls = false })
    assert.equal(200, response.status)
    assert.equal("http", response.body)
  end)

  it("tells requests of one endpoint apart, again and again", function()
    local h = at(backend.port)
    for _ = 1, 2 do
      assert.equal(200, h:request({ tls = false }).status)
      assert.equal(502, h:request({ tls = true }).status) -- TLS to a port that has none
    end
  end)
end)
