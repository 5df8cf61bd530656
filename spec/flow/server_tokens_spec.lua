-- SPDX-License-Identifier: Apache-2.0
--
-- Who a response says it is from: server-tokens and allow-backend-server-header.
local h2 = require("spec.support.h2")
local manifests = require("spec.support.manifests")
local t = require("moongate.test")

local OURS = "moongate/" .. require("moongate.version")

local SCRIPTS = {
  ["hooks.lua"] = [[
local mg = require("moongate")
mg.route { host = "c.test", path = "/", to = "${app}" }
return mg.plugin {
  response = function(ctx)
    if ctx.request.path == "/named" then ctx.response:set_header("Server", "a plugin") end
  end,
}
]],
}

-- Settings, and Server of: a backend that says who it is, one that does not, the gateway's own
-- answer, a hook's word, and a request that cannot be read.
local CASES = {
  ["nothing"] = { {}, nil, nil, nil, "a plugin", nil },
  ["server-tokens"] = { { ["server-tokens"] = true }, OURS, OURS, OURS, "a plugin", OURS },
  ["allow-backend-server-header"] = { { ["allow-backend-server-header"] = true },
    "their/1", nil, nil, "a plugin", nil },
  ["both"] = { { ["server-tokens"] = true, ["allow-backend-server-header"] = true },
    "their/1", OURS, OURS, "a plugin", OURS },
}

for what, case in pairs(CASES) do
  describe("Server of a response, with " .. what .. ",", function()
    local gateway

    setup(function()
      gateway = t.gateway({
        settings = case[1],
        scripts = SCRIPTS,
        upstreams = { app = function(request)
          return { headers = { Server = request.path == "/" and "their/1" or nil } }
        end },
        manifests = manifests.join(manifests.CLASS, manifests.service("app", { "${app.port}" }),
          manifests.ingress("app", { host = "a.test", service = "app" })),
      }):start()
    end)

    teardown(function()
      gateway:stop()
    end)

    local function server_of(host, path)
      return gateway:client():get(path, { Host = host }):header("server")
    end

    it("of a backend that says who it is", function()
      assert.equal(case[2], server_of("a.test", "/"))
    end)

    it("of a backend that does not", function()
      assert.equal(case[3], server_of("a.test", "/x"))
    end)

    it("of the gateway itself", function()
      assert.equal(case[4], server_of("b.test", "/"))
    end)

    it("of a hook of a route", function()
      assert.equal(case[5], server_of("c.test", "/named"))
    end)

    it("to a request that cannot be read", function()
      local conn = gateway:connect()
      conn:write("GET / HTTP/1.1\r\nno colon\r\n\r\n")
      local response = t.http1.read_response(conn)
      conn:close()
      assert.equal(400, response.status)
      assert.equal(case[6], response.headers.server)
    end)

    it("over HTTP/2", function()
      local conn = h2.connect(gateway)
      assert.equal(case[2], conn:exchange({ path = "/", authority = "a.test" }).headers.server)
      assert.equal(case[4], conn:exchange({ path = "/", authority = "b.test" }).headers.server)
      conn:close()
    end)
  end)
end
