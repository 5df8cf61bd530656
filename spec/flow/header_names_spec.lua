-- SPDX-License-Identifier: Apache-2.0
--
-- Request headers with odd names, in either version of HTTP: ignore-invalid-headers and
-- enable-underscores-in-headers.
local h2 = require("spec.support.h2")
local t = require("moongate.test")

local ROUTES = [[require("moongate").route { path = "/", to = "${app}" }]]

-- Settings, and the names of NAMES that reach the backend.
local CASES = {
  { {}, { "x-a" } },
  { { ["enable-underscores-in-headers"] = true }, { "x-a", "x_a" } },
  { { ["ignore-invalid-headers"] = false }, { "x!a", "x-a", "x.a", "x_a" } },
  { { ["ignore-invalid-headers"] = false, ["enable-underscores-in-headers"] = true },
    { "x!a", "x-a", "x.a", "x_a" } },
}
local NAMES = { "x-a", "x_a", "x.a", "x!a" }

local function told(settings)
  local list = {}
  for name, value in pairs(settings) do
    list[#list + 1] = name .. " " .. tostring(value)
  end
  table.sort(list)
  return list[1] and table.concat(list, ", ") or "no settings"
end

for _, case in ipairs(CASES) do
  describe("a header with an odd name, with " .. told(case[1]) .. ",", function()
    local gateway, app

    setup(function()
      gateway = t.gateway({ scripts = { ["r.lua"] = ROUTES }, settings = case[1],
        upstreams = { app = true } }):start()
      app = gateway:upstream("app")
    end)

    before_each(function()
      app.requests = {}
    end)

    teardown(function()
      gateway:stop()
    end)

    local function seen()
      local list = {}
      for _, name in ipairs(NAMES) do
        list[#list + 1] = app:request(1).headers[name] and name
      end
      table.sort(list)
      return list
    end

    -- The fields of the gateway itself, and of its own plugins, have names that always pass.
    local function has_the_gateways_own()
      assert.equal("127.0.0.1", app:request(1).headers["x-forwarded-for"])
      assert.is_string(app:request(1).headers["x-request-id"])
    end

    it("reaches the backend or is dropped, over HTTP/1.1", function()
      local headers = {}
      for _, name in ipairs(NAMES) do
        headers[name] = "1"
      end
      assert.equal(200, gateway:client():get("/", headers).status)
      assert.same(case[2], seen())
      has_the_gateways_own()
    end)

    it("reaches the backend or is dropped, over HTTP/2", function()
      local conn, headers = h2.connect(gateway), {}
      for i, name in ipairs(NAMES) do
        headers[i] = { name, "1" }
      end
      assert.equal(200, conn:exchange({ path = "/", authority = "a.test",
        headers = headers }).status)
      conn:close()
      assert.same(case[2], seen())
      has_the_gateways_own()
    end)

    it("is refused where its name is no token", function()
      local conn = gateway:connect()
      conn:write("GET / HTTP/1.1\r\nHost: a.test\r\nx@a: 1\r\n\r\n")
      assert.matches("^HTTP/1.1 400 ", conn:read())
      conn:close()
      assert.equal(0, #app.requests)
    end)
  end)
end
