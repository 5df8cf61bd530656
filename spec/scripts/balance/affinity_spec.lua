-- SPDX-License-Identifier: Apache-2.0
local services = require("spec.support.services")
local traffic = require("spec.support.traffic")

local cookie = require("moongate.balance.cookie")

describe("affinity", function()
  local bed

  before_each(function()
    bed = services.bed({ random = services.random(9) })
  end)

  after_each(function()
    bed:close()
  end)

  local function serve(count, affinity, balance)
    return bed:serve({
      endpoints = services.endpoints(count),
      affinity = affinity or { mode = "balanced" },
      balance = balance,
    })
  end

  local function request(value, name)
    local field = value and ("%s=%s"):format(name or "INGRESSCOOKIE", value)
    return traffic.request({ headers = { cookie = field and { field } or nil } })
  end

  -- Endpoint and value of a new session.
  local function begin(balancer)
    local endpoint, value = balancer:pick(request(), 1)
    return endpoint, assert(value)
  end

  for _, mode in ipairs({ "balanced", "persistent" }) do
    describe(mode, function()
      it("begins a session with a cookie of key and backend", function()
        local _, value = begin(serve(3, { mode = mode }))
        assert.matches("^[%w.]+|%x+$", value)
        assert.are.equal(cookie.backend_key("s"), value:match("|(.*)"))
        assert.are.equal(32, #value:match("|(.*)"))
      end)

      it("keeps a session on its endpoint, without another cookie", function()
        local balancer = serve(5, { mode = mode })
        for _ = 1, 20 do
          local endpoint, value = begin(balancer)
          local again, new_value = balancer:pick(request(value), 1)
          assert.are.equal(endpoint, again)
          assert.is_nil(new_value)
        end
      end)

      it("spreads new sessions", function()
        local times = services.tally(serve(4, { mode = mode }), 400, function()
          return request()
        end)
        for number = 1, 4 do
          assert.are.near(100, times[number], 45)
        end
      end)

      it("comes before hash", function()
        local balancer = serve(4, { mode = mode }, { algorithm = "hash" })
        local seen = {}
        for _ = 1, 40 do
          seen[balancer:pick(request(), 1, nil, "one key").name] = true
        end
        assert.is_not_nil(next(seen, next(seen)))
      end)

      it("stays where it is when a try fails, unless told otherwise", function()
        local balancer = serve(3, { mode = mode })
        local endpoint, value = begin(balancer)
        assert.are.equal(endpoint, (balancer:pick(request(value), 1, { [endpoint] = true })))
      end)

      it("moves with change_on_failure when a try fails, and with a cookie", function()
        local balancer = serve(3, { mode = mode, change_on_failure = true })
        for _ = 1, 20 do
          local endpoint, value = begin(balancer)
          local other, new_value = balancer:pick(request(value), 1, { [endpoint] = true })
          assert.are_not.equal(endpoint, other)
          assert.are.equal(other, (balancer:pick(request(new_value), 1)))
        end
      end)

      it("avoids what was tried when there is no session yet", function()
        local balancer = serve(2, { mode = mode })
        local first = begin(balancer)
        for _ = 1, 10 do
          assert.are_not.equal(first, (balancer:pick(request(), 1, { [first] = true })))
        end
      end)

      it("knows its own sessions from those of another service", function()
        local balancer = serve(2, { mode = mode })
        local _, value = begin(balancer)
        assert.is_true(balancer:is_own_session(request(value), 1))
        assert.is_false(balancer:is_own_session(request("x|" .. ("0"):rep(32)), 1))
        assert.is_false(balancer:is_own_session(request("x"), 1))
        assert.is_false(balancer:is_own_session(request(), 1))
      end)

      it("moves the session when its endpoint goes", function()
        local balancer = serve(3, { mode = mode })
        local endpoint, value
        repeat
          endpoint, value = begin(balancer)
        until endpoint.address == "10.0.0.3"
        local other = serve(2, { mode = mode }):pick(request(value), 1)
        assert.are_not.equal("10.0.0.3", other.address)
      end)
    end)
  end

  it("takes an unknown key for a session when balanced", function()
    local balancer = serve(3)
    local endpoint, value = balancer:pick(request("forged"), 1)
    assert.is_nil(value)
    assert.are.equal(endpoint, (balancer:pick(request("forged"), 1)))
  end)

  it("gives a new cookie for an unknown key when persistent", function()
    local _, value = serve(3, { mode = "persistent" }):pick(request("forged"), 1)
    assert.is_not_nil(value)
    assert.is_nil(value:find("forged", 1, true))
  end)

  it("moves no persistent session when endpoints come", function()
    local balancer = serve(2, { mode = "persistent" })
    local values = {}
    for i = 1, 20 do
      local endpoint, value = begin(balancer)
      values[i] = { endpoint.name, value }
    end
    balancer = serve(6, { mode = "persistent" })
    for _, session in ipairs(values) do
      assert.are.equal(session[1], balancer:pick(request(session[2]), 1).name)
    end
  end)

  it("serves a persistent session elsewhere while its endpoint is down", function()
    local balancer = serve(3, { mode = "persistent" })
    local endpoint, value = begin(balancer)
    bed.registry:mark_endpoint(endpoint, false)
    local guest_of, new_value = balancer:pick(request(value), 1)
    assert.are_not.equal(endpoint, guest_of)
    assert.is_nil(new_value)
    bed.registry:mark_endpoint(endpoint, true)
    assert.are.equal(endpoint, (balancer:pick(request(value), 1)))
  end)

  it("finds its cookie among others and in any of the fields", function()
    local balancer = serve(3, { cookie = "c" })
    local _, value = begin(balancer)
    local with = traffic.request({
      headers = { cookie = { "a=b; xc=1", ("d=e;c=%s; f="):format(value) } },
    })
    local endpoint, new_value = balancer:pick(with, 1)
    assert.is_nil(new_value)
    assert.are.equal(balancer:pick(request(value, "c"), 1), endpoint)
  end)

  for _, value in ipairs({ "", "|", "|x" }) do
    it(("does not fail for the cookie %q"):format(value), function()
      assert.is_not_nil(serve(3):pick(request(value), 1))
    end)
  end

  describe("Set-Cookie", function()
    local MOJAVE = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_4) AppleWebKit/605.1.15 "
      .. "(KHTML, like Gecko) Version/12.1 Safari/605.1.15"
    local CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
      .. "(KHTML, like Gecko) Chrome/%d.0 Safari/537.36"
    local IOS = "Mozilla/5.0 (iPhone; CPU iPhone OS %s like Mac OS X) AppleWebKit/605.1.15"
    local UC = "Mozilla/5.0 (Linux; U; Android 10) AppleWebKit/537.36 "
      .. "Chrome/57.0 UCBrowser/%s Mobile"
    local NONE = "; Path=/; HttpOnly; SameSite=None"

    local function conditional(agent)
      return { samesite = "None", conditional_samesite_none = true }, { user_agent = agent }
    end

    local CASES = {
      { "has a path and HttpOnly", {}, { path = "/foo" }, "; Path=/foo; HttpOnly" },
      { "prefers its own path", { path = "/x" }, { path = "/foo" }, "; Path=/x; HttpOnly" },
      { "is secure on https", {}, { secure = true }, "; Path=/; Secure; HttpOnly" },
      { "is secure when told so", { secure = true }, {}, "; Path=/; Secure; HttpOnly" },
      {
        "is secure on https all the same",
        { secure = false },
        { secure = true },
        "; Path=/; Secure; HttpOnly",
      },
      {
        "has what it is told to have",
        { expires = 60, max_age = 3600, domain = "a.test", samesite = "Lax" },
        {},
        "; Expires=Sun, 06-Nov-94 08:50:37 GMT; Max-Age=3600; Domain=a.test; Path=/"
          .. "; HttpOnly; SameSite=Lax",
      },
      { "may be for all sites", { samesite = "None" }, {}, "; Path=/; HttpOnly; SameSite=None" },
      { "says None to browsers that know it", "", CHROME:format(80), NONE },
      { "says None to no browser at all", "", nil, "; Path=/; HttpOnly; SameSite=None" },
      { "omits None for Chrome 60", "", CHROME:format(60), "; Path=/; HttpOnly" },
      { "omits None for Safari of macOS 10.14", "", MOJAVE, "; Path=/; HttpOnly" },
      { "omits None for iOS 12", "", IOS:format("12_1"), "; Path=/; HttpOnly" },
      { "says None to iOS 13", "", IOS:format("13_1"), "; Path=/; HttpOnly; SameSite=None" },
      { "omits None for UC Browser 12.13.1", "", UC:format("12.13.1"), "; Path=/; HttpOnly" },
      { "says None to UC Browser 12.13.2", "", UC:format("12.13.2"), NONE },
    }
    for _, case in ipairs(CASES) do
      it(case[1], function()
        local affinity, context = case[2], case[3]
        if affinity == "" then
          affinity, context = conditional(context)
        end
        affinity.mode = "balanced"
        local balancer = serve(1, affinity)
        assert.are.equal("INGRESSCOOKIE=v" .. case[4], balancer:set_cookie("v", context))
      end)
    end
  end)
end)
