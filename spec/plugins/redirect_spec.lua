-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

local function location(conf, request)
  local response = t.plugin("redirect", conf):request(request)
  return response.status, response.headers.location
end

local function redirects(conf, request, status, target)
  local got_status, got_target = location(conf, request)
  assert.equal(status, got_status)
  assert.equal(target, got_target)
end

describe("the plugin redirect", function()
  local plain = { path = "/a/b/?x=1", host = "a.test" }
  local cases = {
    { "goes to a fixed URL", { url = "https://b.test/x" }, plain, 302, "https://b.test/x" },
    { "with the status that is wanted", { url = "/x", code = 301 }, plain, 301, "/x" },
    { "goes to the root of an application", { app_root = "/app$is_args$args" }, plain, 302,
      "http://a.test/app?x=1" },
    { "adds a slash before the query", { slash = {} }, { path = "/a%20b?x=1", host = "a.test" },
      301, "http://a.test/a%20b/?x=1" },
    { "adds a slash, relative to the host", { slash = { relative = true } },
      { path = "/d", host = "a.test" }, 301, "/d/" },
    { "goes to another host with port and target", { host = { name = "b.test" } }, plain, 308,
      "http://b.test:80/a/b/?x=1" },
    { "cuts one slash at the end for another host", { host = { name = "b.test" } },
      { path = "/a//", host = "a.test" }, 308, "http://b.test:80/a/" },
    { "goes to https without port", { https = {} }, { path = "/a/", host = "A.test:8080" }, 308,
      "https://a.test/a" },
    { "keeps the slash when told to", { https = { keep_slash = true, port = 443, code = 307 } },
      { path = "/a/", host = "a.test" }, 307, "https://a.test:443/a/" },
    { "prefers a fixed URL to https", { url = "/x", https = {} }, plain, 302, "/x" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      redirects(case[2], case[3], case[4], case[5])
    end)
  end

  it("lets secure requests pass", function()
    local h = t.plugin("redirect", { https = {} })
    assert.equal(200, h:request({ path = "/", host = "a.test", tls = true }).status)
    assert.equal(1, #h.requests)
  end)

  it("sends nothing to the service", function()
    local h = t.plugin("redirect", { url = "/x" })
    h:request({ path = "/" })
    assert.equal(0, #h.requests)
  end)

  it("wants to be told where to", function()
    assert.has_error(function()
      t.plugin("redirect", { code = 301 })
    end, 'plugin redirect: config: one of "app_root" or "url" or "slash" or "host" or "https" is '
      .. "required")
  end)
end)
