-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

local function target(conf, path)
  local h = t.plugin("rewrite", conf)
  assert.equal(200, h:request({ path = path }).status)
  return h.requests[1].target, h.requests[1]
end

describe("the plugin rewrite", function()
  local cases = {
    { "puts groups together", "^/something(/|$)(.*)", "/$2", "/something/new?x=1", "/new?x=1" },
    { "leaves out groups that took no part", "/a(b)?", "/x$1", "/a", "/x" },
    { "ignores case", "/api/(.*)", "/v/$1", "/aPI/Users", "/v/Users" },
    { "searches anywhere", "b/(.)", "/$1", "/a/b/c", "/c" },
    { "leaves what does not match", "^/x", "/y", "/a?b", "/a?b" },
    { "keeps an encoded question mark as data", "/s/(.*)", "/$1", "/s/a%3Fb", "/a%3Fb" },
    { "decodes an encoded slash", "/s/(.*)", "/$1", "/s/a%2Fb", "/a/b" },
    { "begins with a slash always", "/s/(.*)", "$1", "/s/a", "/a" },
    { "takes other dollars for themselves", "/a", "/$x/$", "/a", "/$x/$" },
    { "brings a query, before the client's", "/a/(.*)", "/b?p=$1", "/a/c%26d?x=1",
      "/b?p=c%26d&x=1" },
    { "drops the query when the replacement ends so", "/a", "/b?", "/a?x=1", "/b" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      assert.equal(case[5], (target({ pattern = case[2], replacement = case[3] }, case[4])))
    end)
  end

  it("tells the prefix when it rewrote, and only then", function()
    local conf = { pattern = "^/api/(.*)", replacement = "/$1", forwarded_prefix = "/api" }
    local _, request = target(conf, "/api/v1")
    assert.equal("/api", request.headers["x-forwarded-prefix"])
    _, request = target(conf, "/other")
    assert.is_nil(request.headers["x-forwarded-prefix"])
  end)

  it("redirects to a URL, and nothing in the path can leave it", function()
    local conf = { pattern = "(?s)^/o/(.*)", replacement = "https://b.test/$1", redirect = true }
    local h = t.plugin("rewrite", conf)
    local response = h:request({ path = "/o/x%0d%0aSet-Cookie:a?q=1" })
    assert.equal(302, response.status)
    assert.equal("https://b.test/x%0D%0ASet-Cookie:a?q=1", response.headers.location)
    assert.is_nil(response.headers["set-cookie"])
  end)

  it("comes before the redirect to https, which tells the path that was asked for", function()
    local h = t.plugins({
      { "rewrite", { pattern = "^/api/(.*)", replacement = "/$1" } },
      { "redirect", { https = {} } },
    })
    local response = h:request({ path = "/api/v1?x=1", host = "a.test" })
    assert.equal("https://a.test/api/v1?x=1", response.headers.location)
  end)

  it("answers 500 to a path that a pattern cannot cope with", function()
    local h = t.plugin("rewrite", { pattern = "^/(a+)+$", replacement = "/" })
    local response = h:request({ path = "/" .. ("a"):rep(64) .. "b" })
    assert.equal(500, response.status)
    assert.equal(0, #h.requests)
  end)

  it("refuses a pattern that is none", function()
    local ok, err = pcall(t.plugin, "rewrite", { pattern = "(", replacement = "/" })
    assert.is_false(ok)
    assert.matches("config.pattern: is no pattern", tostring(err), 1, true)
  end)
end)
