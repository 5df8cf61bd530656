-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")
local t = require("moongate.test")

describe("the plugin rate-limit", function()
  it("counts for itself what differs in the last digit", function()
    for i = 1, 2 do
      local rate = 0.00012345 + i * 1e-10
      assert.equal(200, t.plugin("rate-limit", { rate = rate }):request().status)
    end
  end)

  local function plugin(conf, more)
    return t.plugins({ { "rate-limit", conf }, unpack(more or {}) })
  end

  local function statuses(h, number, request)
    local list = {}
    for i = 1, number do
      list[i] = h:request(request).status
    end
    return list
  end

  before_each(function()
    t.clock.freeze()
  end)

  it("lets a burst pass at once, and then what the rate gives", function()
    local h = plugin({ rate = 2, burst = 2 })
    assert.same({ 200, 200, 200, 429, 429 }, statuses(h, 5))
    assert.equal(3, #h.requests)
    t.clock.advance("500ms")
    assert.same({ 200, 429 }, statuses(h, 2))
    t.clock.advance("1h") -- what is not used is kept up to the burst
    assert.same({ 200, 200, 200, 429 }, statuses(h, 4))
  end)

  it("counts in other times than seconds", function()
    local h = plugin({ rate = 2, per = "1m" })
    assert.same({ 200, 429 }, statuses(h, 2))
    t.clock.advance("29s")
    assert.same({ 429 }, statuses(h, 1))
    t.clock.advance("1s")
    assert.same({ 200, 429 }, statuses(h, 2))
  end)

  it("counts each client for itself", function()
    local h = plugin({ rate = 1 })
    assert.same({ 200, 429 }, statuses(h, 2, { client_ip = "192.0.2.1" }))
    assert.same({ 200, 429 }, statuses(h, 2, { client_ip = "192.0.2.2" }))
  end)

  for prefix, wanted in pairs({ [64] = 429, [128] = 200 }) do
    it(("takes the first %d bits of an IPv6 address for a client"):format(prefix), function()
      local h = plugin({ rate = 1, ipv6_prefix = prefix })
      assert.same({ 200, 429 }, statuses(h, 2, { client_ip = "2001:db8::1" }))
      assert.same({ wanted }, statuses(h, 1, { client_ip = "2001:db8::2" }))
      assert.same({ 200 }, statuses(h, 1, { client_ip = "2001:db8:0:1::1" }))
    end)
  end

  it("counts by any text with variables, however long a client makes it", function()
    local h = plugin({ rate = 1, key = "$http_x_key-$request_method" })
    for _, key in ipairs({ "a", "b", ("c"):rep(5000), ("c"):rep(4999) .. "d" }) do
      assert.same({ 200, 429 }, statuses(h, 2, { headers = { ["X-Key"] = key } }))
    end
    assert.same({ 200 }, statuses(h, 1, { method = "PUT", headers = { ["X-Key"] = "a" } }))
  end)

  it("shares a count within a scope, and else among equal limits", function()
    local scope = "shared " .. tostring(mg.time.monotonic())
    assert.same({ 200, 429 }, statuses(plugin({ rate = 1, scope = scope }), 2))
    assert.same({ 429 }, statuses(plugin({ rate = 1, scope = scope }), 1))
    local rate = 1 + math.random()
    local function own(burst)
      return t.plugin("rate-limit", { rate = rate, burst = burst })
    end
    assert.same({ 200, 429 }, statuses(own(0), 2))
    assert.same({ 429 }, statuses(own(0), 1))
    assert.same({ 200, 200, 429 }, statuses(own(1), 3))
  end)

  it("leaves exempt addresses alone", function()
    local h = plugin({ rate = 1, exempt = { "10.0.0.0/8", "2001:db8::/32" } })
    assert.same({ 200, 200 }, statuses(h, 2, { client_ip = "10.1.2.3" }))
    assert.same({ 200, 200 }, statuses(h, 2, { client_ip = "2001:db8::1" }))
    assert.same({ 200, 429 }, statuses(h, 2, { client_ip = "11.0.0.1" }))
  end)

  it("answers as it is told", function()
    local h = plugin({ rate = 1, status = 503 })
    h:request()
    local response = h:request()
    assert.equal("503 Service Temporarily Unavailable\n", response.body)
    assert.is_nil(response.headers["retry-after"])
    assert.is_nil(response.headers["ratelimit-limit"])
    h = plugin({ rate = 1, status = 420, message = "slowly\n" })
    h:request()
    assert.response(h:request()).has.status(420).body("slowly\n")
  end)

  it("tells clients what is left, of several limits of the closest", function()
    local h = plugin({ rate = 6, per = "1m", burst = 1, headers = true }, {
      { "rate-limit", { rate = 100, burst = 99, headers = true, scope = "wide" }, id = "wide" },
    })
    local response = h:request()
    assert.equal("2", response.headers["ratelimit-limit"])
    assert.equal("1", response.headers["ratelimit-remaining"])
    assert.equal("10", response.headers["ratelimit-reset"])
    h:request()
    response = h:request()
    assert.equal(429, response.status)
    assert.equal("0", response.headers["ratelimit-remaining"])
    assert.equal("20", response.headers["ratelimit-reset"])
    assert.equal("10", response.headers["retry-after"])
  end)

  it("counts who is refused for another reason, but not whom a redirect sends away", function()
    local h = plugin({ rate = 1 }, { { "ip-restriction", { allow = { "10.0.0.1" } } } })
    assert.same({ 403, 429 }, statuses(h, 2))
    h = plugin({ rate = 1 }, { { "redirect", { url = "/x" } } })
    assert.same({ 302, 302 }, statuses(h, 2))
  end)

  it("comes before whatever authenticates: passwords cannot be tried without end", function()
    local h = plugin({ rate = 1 }, {
      { { name = "acme-auth", stage = "authenticate", access = function(ctx)
        return ctx:respond(401)
      end } },
    })
    assert.same({ 401, 429 }, statuses(h, 2))
  end)

  it("does not count a preflight", function()
    local h = plugin({ rate = 1 }, { { "cors", {} } })
    assert.same({ 204, 204 }, statuses(h, 2, { method = "OPTIONS" }))
  end)

  it("refuses a prefix that is no number of bytes", function()
    local ok, err = pcall(plugin, { rate = 1, ipv6_prefix = 60 })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("ipv6_prefix: must be a multiple of 8", 1, true), err)
  end)
end)
