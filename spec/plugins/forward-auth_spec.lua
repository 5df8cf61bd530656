-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")
local t = require("moongate.test")

describe("the plugin forward-auth", function()
  -- What the service answers, by path.
  local ANSWERS = {
    ["/ok"] = { headers = { ["X-User"] = "eva", ["X-Group"] = { "a", "b" } } },
    ["/cookie"] = { status = 202, headers = { ["Set-Cookie"] = "s=1" } },
    ["/who"] = { status = 401, headers = { ["WWW-Authenticate"] = "Bearer" } },
    ["/no"] = { status = 403 },
    ["/elsewhere"] = { status = 302, headers = { Location = "/" } },
    ["/broken"] = { status = 500 },
    ["/nobody"] = { error = "nobody is there" },
  }

  before_each(function()
    for path, answer in pairs(ANSWERS) do
      t.http.stub("GET http://auth.test" .. path, answer)
    end
  end)

  local function plugin(path, conf)
    conf = conf or {}
    conf.url = "http://auth.test" .. path
    return t.plugin("forward-auth", conf)
  end

  for path, status in pairs({ ["/ok"] = 200, ["/cookie"] = 200, ["/who"] = 401, ["/no"] = 403,
    ["/elsewhere"] = 500, ["/broken"] = 500, ["/nobody"] = 500 }) do
    it(("answers %d where the service says %s"):format(status, path), function()
      local h = plugin(path)
      local response = h:request()
      assert.equal(status, response.status)
      assert.equal(status == 200 and 1 or 0, #h.requests)
      assert.equal(status == 401 and "Bearer" or nil, response.headers["www-authenticate"])
    end)
  end

  it("tells the service of the request, without its body", function()
    local headers = { { name = "X-Realm", value = "$host" } }
    plugin("/ok", { tells_uri = true, headers = headers }):request({
      method = "POST", host = "a.test", path = "/x?y=1", body = "secret",
      headers = { Authorization = "Bearer t", ["X-Original-URL"] = "http://evil", TE = "trailers",
        ["X-Request-ID"] = "evil", ["X-Realm"] = "evil" },
    })
    local question = t.http.calls[1]
    assert.equal("GET", question.method)
    assert.is_nil(question.body)
    assert.equal("http://a.test/x?y=1", question.headers["X-Original-URL"])
    assert.equal("POST", question.headers["X-Original-Method"])
    assert.equal("/x?y=1", question.headers["X-Auth-Request-Redirect"])
    assert.equal("/x?y=1", question.headers["X-Original-URI"])
    assert.same({ "Bearer t" }, question.headers.authorization)
    assert.equal("a.test", question.headers["X-Realm"])
    for _, name in ipairs({
      "x-original-url", "x-realm", "x-request-id", "te", "content-length", "host",
    }) do
      assert.is_nil(question.headers[name], name)
    end
  end)

  it("copies fields of the answer, and never those of the client", function()
    local h = plugin("/ok", { response_headers = { "X-User", "X-Group", "X-Missing" } })
    h:request({ headers = { ["X-User"] = "root", ["X-Missing"] = "spoof" } })
    local request = h.requests[1]
    assert.equal("eva", request.headers["x-user"])
    assert.is_nil(request.headers["x-missing"])
  end)

  it("never copies fields of the client where another check lets it pass", function()
    local h = t.plugins({
      { "ip-restriction", { allow = { "10.0.0.0/8" }, alternative = "more" } },
      { "forward-auth", { url = "http://auth.test/who", response_headers = { "X-User" },
        alternative = "last" } },
    })
    h:request({ client_ip = "10.0.0.1", headers = { ["X-User"] = "root", ["X-Other"] = "o" } })
    assert.is_nil(h.requests[1].headers["x-user"])
    assert.equal("o", h.requests[1].headers["x-other"])
  end)

  it("keeps what an earlier instance has copied, of several of which one is enough", function()
    local function conf(path, alternative)
      return { url = "http://auth.test" .. path, response_headers = { "X-User" },
        alternative = alternative }
    end
    local h = t.plugins({
      { "forward-auth", conf("/ok", "more"), id = "1" },
      { "forward-auth", conf("/who", "last"), id = "2" },
    })
    assert.equal(200, h:request({ headers = { ["X-User"] = "root" } }).status)
    assert.equal("eva", h.requests[1].headers["x-user"])
  end)

  it("sends a browser to sign in, telling where it came from", function()
    for signin, location in pairs({
      ["https://login.test/start"] = "https://login.test/start?rd=http://a.test%2Fp%3Fa%3Db",
      ["https://login.test/?x=1"] = "https://login.test/?x=1&rd=http://a.test%2Fp%3Fa%3Db",
      ["https://login.test/?rd=/"] = "https://login.test/?rd=/",
      ["http://$host/in"] = "http://a.test/in?rd=http://a.test%2Fp%3Fa%3Db",
    }) do
      local h = plugin("/who", { signin = signin })
      local response = h:request({ host = "a.test", path = "/p?a=b" })
      assert.equal(302, response.status)
      assert.equal(location, response.headers.location)
    end
    assert.equal(403, plugin("/no", { signin = "https://login.test/" }):request().status)
  end)

  it("passes cookies on, with errors only where it is told to", function()
    local function cookie_of(conf, status)
      local h = plugin("/cookie", conf):upstream({ status = status })
      return h:request().headers["set-cookie"]
    end
    assert.equal("s=1", cookie_of({}, 200))
    assert.is_nil(cookie_of({}, 503))
    assert.equal("s=1", cookie_of({ always_set_cookie = true }, 503))
  end)

  it("remembers answers without cookies, by key and scope", function()
    local cache = { key = "$http_x_key", scope = tostring(mg.time.monotonic()) }
    local h = plugin("/ok", { cache = cache, response_headers = { "X-User" } })
    for _ = 1, 3 do
      h:request({ headers = { ["X-Key"] = "1" } })
    end
    assert.equal(1, #t.http.calls)
    assert.equal("eva", h.requests[3].headers["x-user"])
    h:request({ headers = { ["X-Key"] = "2" } })
    assert.equal(2, #t.http.calls)
    local other = plugin("/cookie", { cache = cache })
    other:request({ headers = { ["X-Key"] = "3" } })
    other:request({ headers = { ["X-Key"] = "3" } })
    assert.equal(4, #t.http.calls)
  end)

  it("does not take a request with further fields for the one that it remembers", function()
    for name, template in pairs({ ["X-Key"] = "$http_x_key", Cookie = "$http_cookie" }) do
      local cache = { key = template, scope = name .. mg.time.monotonic() }
      local h, before = plugin("/ok", { cache = cache }), #t.http.calls
      h:request({ headers = { [name] = "a=1" } })
      h:request({ headers = { [name] = { "a=1", "b=2" } } })
      assert.equal(2, #t.http.calls - before, name)
    end
    local h = plugin("/ok", { cache = { key = "$cookie_b", scope = "b" .. mg.time.monotonic() } })
    local before = #t.http.calls
    for i = 1, 2 do
      h:request({ headers = { Cookie = { "a=1", "b=" .. i } } })
    end
    assert.equal(2, #t.http.calls - before)
  end)

  it("remembers fields of any bytes", function()
    t.http.stub("GET http://auth.test/latin", { headers = { ["X-User"] = "J\246rg" } })
    local cache = { key = "fixed", scope = "latin" .. mg.time.monotonic() }
    local h = plugin("/latin", { cache = cache, response_headers = { "X-User" } })
    for i = 1, 2 do
      assert.equal(200, h:request().status)
      assert.equal("J\246rg", h.requests[i].headers["x-user"])
    end
    assert.equal(1, #t.http.calls)
  end)

  -- What differs from { url = "/ok", cache = … } in whoever asks next, and whether they share.
  for what, case in pairs({
    ["nothing"] = { {}, true },
    ["the URL"] = { { url = "http://auth.test/no" }, false },
    ["the method"] = { { method = "POST" }, false },
    ["the service"] = { { service = "other" }, false },
    ["what is told"] = { { headers = { { name = "X-Realm", value = "$host" } } }, false },
    ["what is copied"] = { { response_headers = { "X-User" } }, false },
    ["the page to sign in at"] = { { signin = "/in" }, true },
  }) do
    local verb = case[2] and "shares" or "does not share"
    it(("%s answers where %s differs"):format(verb, what), function()
      t.http.stub("POST http://auth.test/ok", {})
      local key = tostring(mg.time.monotonic()) .. what:gsub(" ", "-")
      local function ask(changes)
        local conf = { url = "http://auth.test/ok", cache = { key = key } }
        for name, value in pairs(changes) do
          conf[name] = value
        end
        return t.plugin("forward-auth", conf):request().status
      end
      assert.equal(200, ask({}))
      assert.equal(case[1].url and 403 or 200, ask(case[1]))
      assert.equal(case[2] and 1 or 2, #t.http.calls)
    end)
  end

  it("is one of several checks of which one is enough", function()
    local conf = { url = "http://auth.test/who", alternative = "last" }
    local h = t.plugins({
      { "ip-restriction", { allow = { "10.0.0.0/8" }, alternative = "more" } },
      { "forward-auth", conf },
    })
    assert.equal(401, h:request({ client_ip = "192.0.2.1" }).status)
    assert.equal(200, h:request({ client_ip = "10.0.0.1" }).status)
  end)

  it("refuses a timeout beyond what a hook may wait", function()
    local ok, err = pcall(t.plugin, "forward-auth", { url = "http://auth.test/", timeout = "6s" })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("config.timeout", 1, true), err)
    t.plugin("forward-auth", { url = "http://auth.test/", timeout = "5s" })
  end)
end)
