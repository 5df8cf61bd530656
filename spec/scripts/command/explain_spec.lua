-- SPDX-License-Identifier: Apache-2.0
local command = require("spec.support.command")
local json = require("dkjson")

local SCRIPT = [[
local mg = require("moongate")
mg.route({ host = "a.test", path = "/v1/", to = { "http://10.0.0.1:80", "http://10.0.0.2:80" } })
mg.route({ host = "a.test", path = "/v1", match = "exact",
  headers = { { name = "X", value = "1" } }, to = "http://10.0.0.3:80" })
mg.route({ host = "a.test", path = "/nowhere" })
return mg.plugin({ name = "late", stage = "observe", access = function() end })
]]

local OTHER = [[
return require("moongate").plugin({ name = "early", stage = "edge", access = function() end,
  log = function() end })
]]

describe("moongate explain", function()
  local folder

  setup(function()
    folder = command.folder({ ["a.lua"] = SCRIPT, ["b.lua"] = OTHER })
  end)

  teardown(function()
    folder:remove()
  end)

  local function explain(...)
    local output, code = command.run("explain", "--scripts", folder.path, "-o", "json", ...)
    assert.are.equal(0, code, output)
    return json.decode(output)
  end

  it("tells the host, the candidates and why each lost", function()
    local explained = explain("GET", "http://a.test/v1")
    assert.are.same({ { name = "a.test", taken = true } }, explained.hosts)
    assert.are.equal('header x is not "1"', explained.candidates[1].lost)
    assert.is_nil(explained.candidates[2].lost)
    assert.are.equal(2, explained.route.source.line)
  end)

  it("takes fields of the request", function()
    local explained = explain("GET", "http://a.test/v1", "-H", "X: 1")
    assert.are.equal("goes to 10.0.0.3:80", explained.outcome)
  end)

  it("takes the host from the field Host", function()
    local explained = explain("GET", "/v1/x", "-H", "Host: A.test")
    assert.are.equal("a.test", explained.request.host)
    assert.are.equal(2, explained.route.source.line)
  end)

  it("normalises the path as for a request that is served", function()
    assert.are.equal("/v1/x", explain("GET", "http://a.test/v1//b/../x?y=1").request.path)
  end)

  it("lists plugins in their order", function()
    local plugins = explain("GET", "http://a.test/v1").plugins
    assert.are.same({ "early", "late" }, { plugins[1].name, plugins[2].name })
    assert.are.same({ "access", "log" }, plugins[1].hooks)
  end)

  it("lists the endpoints of the service", function()
    local service = explain("GET", "http://a.test/v1").service
    assert.are.same({
      { address = "10.0.0.1:80", weight = 1 },
      { address = "10.0.0.2:80", weight = 1 },
    }, service.endpoints)
    assert.are.equal("round_robin", service.balance.algorithm)
  end)

  local OUTCOMES = {
    { "http://b.test/", "404, unless a plugin answers" },
    { "http://a.test/nowhere", "404, unless a plugin answers" },
  }
  for _, case in ipairs(OUTCOMES) do
    it(("says of %s: %s"):format(case[1], case[2]), function()
      local explained = explain("GET", case[1])
      assert.are.equal(case[2], explained.outcome)
    end)
  end

  it("prints lines for people", function()
    local output, code =
      command.run("explain", "--scripts", folder.path, "GET", "https://a.test/v1")
    assert.are.equal(0, code)
    assert.is_truthy(output:find("^request     GET a%.test/v1 from 127%.0%.0%.1, https\n"), output)
    assert.is_truthy(output:find("\noutcome     goes to 10%.0%.0%.%d:80\n$"), output)
  end)

  it("refuses what could not be a request", function()
    local output, code = command.run("explain", "--scripts", folder.path, "G T", "http://a.test/")
    assert.are.equal(1, code)
    assert.is_truthy(output:find("not valid HTTP", 1, true), output)
  end)

  for _, words in ipairs({ { "GET" }, { "GET", "/" }, { "--admin", "x" } }) do
    it("is a mistake of usage with " .. table.concat(words, " "), function()
      local _, code = command.run("explain", unpack(words))
      assert.are.equal(2, code)
    end)
  end
end)
