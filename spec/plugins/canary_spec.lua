-- SPDX-License-Identifier: Apache-2.0
--
-- Two services, so the running gateway.
local t = require("moongate.test")

local SCRIPT = [[
local mg = require("moongate")
mg.route({ host = "a.test", path = "/", to = "${main}", name = "main", plugins = {
  { name = "canary", config = %s },
} })
mg.route({ host = "next.test", path = "/", to = "${next}", name = "next" })
]]

describe("the plugin canary", function()
  local gateway

  local function start(config, workers)
    gateway = t.gateway({
      scripts = { ["canary.lua"] = SCRIPT:format(config) },
      upstreams = { main = "main", next = "next" },
      settings = { hsts = false },
      workers = workers,
    }):start()
    return gateway:client()
  end

  local function side(client, headers)
    return client:request({ path = "/", host = "a.test", headers = headers }).body
  end

  local function count(client, requests, headers)
    local found = 0
    for i = 1, requests do
      local got = side(client, type(headers) == "function" and headers(i) or headers)
      found = found + (got == "next" and 1 or 0)
    end
    return found
  end

  after_each(function()
    gateway:stop()
  end)

  it("asks the header, then the cookie, then the weight", function()
    local client = start(
      '{ main = "main", alternative = "next", header = "x-c", cookie = "c", weight = 100 }'
    )
    local cases = {
      { { ["X-C"] = "always" }, "next" },
      { { ["X-C"] = "never", Cookie = "c=always" }, "main" },
      { { ["X-C"] = "Always", Cookie = "c=never" }, "main" },
      { { Cookie = "b=1; c=never" }, "main" },
      { { ["X-C"] = "x", Cookie = "c=x" }, "next" },
    }
    for i, case in ipairs(cases) do
      assert.equal(case[2], side(client, case[1]), "case " .. i)
    end
  end)

  it("knows a value or a pattern of the header", function()
    local client = start('{ alternative = "next", header = "x-c", header_pattern = "^v[0-9]+" }')
    assert.equal("next", side(client, { ["X-C"] = "v12-beta" }))
    assert.equal("main", side(client, { ["X-C"] = "always" }))
    gateway:stop()
    client = start('{ alternative = "next", header = "x-c", header_value = "beta" }')
    assert.equal("next", side(client, { ["X-C"] = "beta" }))
    assert.equal("main", side(client, { ["X-C"] = "always" }))
  end)

  it("sends everybody with the header to main when the pattern is none, and warns", function()
    local client =
      start('{ alternative = "next", header = "x-c", header_pattern = "(", weight = 100 }')
    assert.equal("main", side(client, { ["X-C"] = "x" }))
    assert.equal("next", side(client))
    assert.matches("header_pattern", gateway:logs("fault")[1].fault)
  end)

  it("deals out the exact share, over all workers", function()
    start('{ main = "main", alternative = "next", weight = 7, weight_total = 20 }', 2)
    local found, total = 0, 0
    for _ = 1, 10 do
      -- Each connection is some worker's.
      local client = gateway:client()
      found = found + count(client, 20)
      total = total + 20
      client:close()
      assert.equal(total * 7 / 20, found)
    end
  end)

  it("keeps a client on its side, and a new weight moves only the difference", function()
    local function header(i)
      return { ["X-User"] = "user-" .. i }
    end
    local function sides(weight)
      local client = start(
        ('{ alternative = "next", sticky_by = "$http_x_user", weight = %d }'):format(weight)
      )
      local list = {}
      for i = 1, 100 do
        list[i] = side(client, header(i))
        assert.equal(list[i], side(client, header(i)))
      end
      return list
    end
    local before = sides(20)
    gateway:stop()
    local after = sides(50)
    local grown = 0
    for i = 1, 100 do
      assert.is_true(before[i] == "main" or after[i] == "next")
      grown = grown + (before[i] ~= after[i] and 1 or 0)
    end
    assert.is_true(grown > 10)
  end)

  it("leaves everything to main when the alternative is not there", function()
    local client = start('{ main = "main", alternative = "gone", weight = 100 }')
    assert.equal("main", side(client))
  end)
end)
