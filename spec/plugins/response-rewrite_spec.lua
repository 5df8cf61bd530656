-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

describe("the plugin response-rewrite", function()
  local function answer(conf, headers, status)
    local h = t.plugin("response-rewrite", conf):upstream({ status = status, headers = headers })
    return h:request({ host = "a.test" }).headers
  end

  local LOCATION = { location = { from = "http://in.test/", to = "https://$host/" } }
  for location, wanted in pairs({
    ["http://in.test/x?y"] = "https://a.test/x?y",
    ["http://in.test"] = "http://in.test",
    ["https://in.test/x"] = "https://in.test/x",
    ["/x"] = "/x",
  }) do
    it("makes of Location " .. location .. ": " .. wanted, function()
      assert.equal(wanted, answer(LOCATION, { Location = location }, 302).location)
    end)
  end

  it("changes the URL of Refresh", function()
    local headers = answer(LOCATION, { Refresh = "5; URL=http://in.test/a" })
    assert.equal("5; URL=https://a.test/a", headers.refresh)
    assert.equal("5", answer(LOCATION, { Refresh = "5" }).refresh)
  end)

  local COOKIES = {
    cookie_path = { from = "/one/", to = "/" },
    cookie_domain = { from = "localhost", to = "b.test" },
  }
  for cookie, wanted in pairs({
    ["a=1; Path=/one/two; Domain=localhost"] = "a=1; Path=/two; Domain=b.test",
    ["a=1;path=/one/;domain=.LOCALHOST;Secure"] = "a=1;path=/;domain=b.test;Secure",
    ["a=/one/; Path=/two"] = "a=/one/; Path=/two",
    ["a=1; Domain=xlocalhost"] = "a=1; Domain=xlocalhost",
    ["a=1; Path=/two; Path=/one/; Domain=.localhost"] = "a=1; Path=/two; Path=/; Domain=b.test",
    ["a=1"] = "a=1",
  }) do
    it("makes of the cookie " .. cookie .. ": " .. wanted, function()
      assert.equal(wanted, answer(COOKIES, { ["Set-Cookie"] = cookie })["set-cookie"])
    end)
  end

  it("leaves answers of the gateway alone", function()
    local h = t.plugins({
      { "response-rewrite", LOCATION },
      { "redirect", { url = "http://in.test/" } },
    })
    assert.equal("http://in.test/", h:request().headers.location)
  end)
end)
