-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

describe("the plugin headers", function()
  it("sets, adds and removes fields of the request", function()
    local h = t.plugin("headers", {
      request = {
        set = { ["X-Client"] = "$remote_addr", ["X-Tier"] = "gold" },
        add = { ["X-Seen"] = "b" },
        remove = { "X-Debug" },
        host = "inner.test",
      },
    })
    h:request({
      host = "a.test",
      headers = { ["X-Tier"] = "none", ["X-Seen"] = "a", ["X-Debug"] = "1" },
    })
    local request = h.requests[1]
    assert.equal("127.0.0.1", request.headers["x-client"])
    assert.equal("gold", request.headers["x-tier"])
    assert.equal("inner.test", request.headers.host)
    assert.is_nil(request.headers["x-debug"])
    local seen = {}
    for _, field in ipairs(request.fields) do
      if field[1]:lower() == "x-seen" then
        seen[#seen + 1] = field[2]
      end
    end
    assert.same({ "a", "b" }, seen)
  end)

  it("takes a value of a list as it stands", function()
    local set = { { name = "X-Price", value = "5 $host" }, { name = "X-Host", template = "$host" } }
    local h = t.plugin("headers", { response = { set = set } })
    local response = h:request({ host = "a.test" })
    assert.equal("5 $host", response.headers["x-price"])
    assert.equal("a.test", response.headers["x-host"])
  end)

  it("hides before it sets", function()
    local h = t.plugin("headers", {
      response = { hide = { "X-A", "X-B" }, set = { ["X-B"] = "ours" } },
    }):upstream({ headers = { ["X-A"] = "1", ["X-B"] = "theirs" } })
    local response = h:request()
    assert.is_nil(response.headers["x-a"])
    assert.equal("ours", response.headers["x-b"])
  end)

  it("is there for answers of the gateway too", function()
    local h = t.plugins({
      { "headers", { response = { set = { ["X-A"] = "1" } } } },
      { "redirect", { url = "/x" } },
    })
    local response = h:request()
    assert.equal(302, response.status)
    assert.equal("1", response.headers["x-a"])
  end)

  it("tells hosts to stay with https over TLS only", function()
    local h = t.plugin("headers", { hsts = "max-age=1" })
      :upstream({ headers = { ["Strict-Transport-Security"] = "max-age=9" } })
    assert.equal("max-age=1", h:request({ tls = true }).headers["strict-transport-security"])
    assert.equal("max-age=9", h:request().headers["strict-transport-security"])
  end)

  local refused = {
    { { request = { set = { ["a b"] = "x" } } }, "config.request.set.a b: must be the name" },
    { { request = { set = { ["X-A"] = "$nothing" } } }, "there is no variable $nothing" },
    { { response = { set = { { name = "X-A" } } } },
      'config.response.set[0]: exactly one of "value" or "template" is required' },
    { { response = { set = { { name = "X-A", value = "a\nb" } } } },
      "config.response.set[0].value: must not hold control characters" },
    { { reponse = {} }, 'config.reponse: unknown field; did you mean "response"?' },
  }
  for _, case in ipairs(refused) do
    it("refuses a configuration: " .. case[2], function()
      local ok, err = pcall(t.plugin, "headers", case[1])
      assert.is_false(ok)
      assert.truthy(tostring(err):find(case[2], 1, true), err)
    end)
  end
end)
