-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

local function status(conf, request)
  return t.plugin("ip-restriction", conf):request(request).status
end

describe("the plugin ip-restriction", function()
  local lists = {
    { { allow = { "10.0.0.0/8" } }, "10.255.0.1", 200 },
    { { allow = { "10.0.0.0/8" } }, "11.0.0.0", 403 },
    { { allow = { "10.0.0.0/8", "10.1.0.0/16", "9.0.0.0/8" } }, "10.200.0.1", 200 },
    { { deny = { "10.0.0.0/8" } }, "10.0.0.1", 403 },
    { { deny = { "10.0.0.0/8" } }, "9.255.255.255", 200 },
    { { allow = { "10.0.0.0/8" }, deny = { "10.6.6.6" } }, "10.6.6.6", 403 },
    { { allow = { "10.0.0.0/8" }, deny = { "10.6.6.6" } }, "10.6.6.7", 200 },
    { { allow = { "::ffff:10.0.0.0/104" } }, "10.1.2.3", 200 },
    { { allow = { "2001:db8::/32" } }, "2001:db8:ffff::1", 200 },
    { { allow = { "2001:db8::/32" } }, "2001:db9::", 403 },
    { { allow = {} }, "192.0.2.1", 403 },
    { { deny = {} }, "192.0.2.1", 200 },
    { { allow = { "0.0.0.0/0" } }, "192.0.2.1", 200 },
    { { allow = { "0.0.0.0/0" } }, "2001:db8::1", 403 },
  }
  for i, case in ipairs(lists) do
    it(("judges %s by list %d with %d"):format(case[2], i, case[3]), function()
      assert.equal(case[3], status(case[1], { client_ip = case[2] }))
    end)
  end

  it("knows values and patterns of User-Agent", function()
    local conf = { user_agents = { "BadBot/1", "~^curl/", "~*wget" } }
    for agent, wanted in pairs({
      ["badbot/1"] = 403, ["BadBot/12"] = 200, ["curl/8"] = 403, ["Curl/8"] = 200, ["a WGET"] = 403,
    }) do
      assert.equal(wanted, status(conf, { headers = { ["User-Agent"] = agent } }), agent)
    end
    assert.equal(200, status(conf, {}))
  end)

  it("knows Referer", function()
    local conf = { referers = { "~spam\\.test" } }
    assert.equal(403, status(conf, { headers = { Referer = "http://spam.test/" } }))
  end)

  it("answers as it is told", function()
    local h = t.plugin("ip-restriction", { allow = { "10.0.0.1" }, status = 404, message = "no\n" })
    local response = h:request()
    assert.equal(404, response.status)
    assert.equal("no\n", response.body)
    assert.equal(0, #h.requests)
  end)

  it("comes before whoever asks for a password, and after redirects", function()
    local h = t.plugins({
      { "basic-auth", { users = { "a:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=" } } },
      { "ip-restriction", { allow = { "10.0.0.1" } } },
    })
    assert.equal(403, h:request().status)
    h = t.plugins({
      { { name = "acme-auth", stage = "authenticate", access = function(ctx)
        return ctx:respond(401)
      end } },
      { "ip-restriction", { allow = { "10.0.0.1" } } },
    })
    assert.equal(403, h:request().status)
    h = t.plugins({
      { "ip-restriction", { allow = { "10.0.0.1" } } },
      { "redirect", { url = "/x" } },
    })
    assert.equal(302, h:request().status)
  end)

  it("refuses what is no network, and a pattern that is none", function()
    local ok, err = pcall(t.plugin, "ip-restriction", { allow = { "10.0.0.0/33" } })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("config.allow[0]: must be a network", 1, true), err)
    ok, err = pcall(t.plugin, "ip-restriction", { user_agents = { "~(" } })
    assert.is_false(ok)
    assert.truthy(tostring(err):find('user_agents: pattern "("', 1, true), err)
  end)
end)
