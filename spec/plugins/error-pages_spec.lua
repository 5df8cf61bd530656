-- SPDX-License-Identifier: Apache-2.0
local t = require("moongate.test")

describe("the plugin error-pages", function()
  local PAGE = "GET http://a.test/"

  local function plugin(conf)
    conf = conf or {}
    conf.service, conf.statuses = "errors", conf.statuses or { 404, 503, 403 }
    return t.plugin("error-pages", conf)
  end

  before_each(function()
    t.http.stub(PAGE, {
      status = 404,
      headers = { ["Content-Type"] = "text/html", ["X-Page"] = "1" },
      body = "<p>gone",
    })
  end)

  local REQUEST = { host = "a.test", path = "/miss?x=1", headers = { Accept = "text/html",
    Range = "bytes=0-1", ["X-Code"] = "200", ["X-Own"] = "o" } }

  it("replaces an answer as a whole, and tells the service what happened", function()
    local h = plugin({ headers = { ["X-Namespace"] = "n" } })
      :upstream({ status = 404, headers = { ["Set-Cookie"] = "a=1", ETag = "e" }, body = "no" })
    local response = h:request(REQUEST)
    assert.equal(404, response.status)
    assert.equal("<p>gone", response.body)
    assert.equal("1", response.headers["x-page"])
    assert.is_nil(response.headers["set-cookie"])
    assert.is_nil(response.headers.etag)
    local question = t.http.calls[1]
    assert.equal("http://a.test/?x=1", question.url)
    local headers = question.headers
    assert.equal("404", headers["X-Code"])
    assert.equal("text/html", headers["X-Format"])
    assert.equal("/miss?x=1", headers["X-Original-URI"])
    assert.equal("n", headers["X-Namespace"])
    assert.same({ "o" }, headers["x-own"])
    assert.is_nil(headers.range)
    assert.is_nil(headers["x-code"])
  end)

  for _, name in ipairs({ "X-Namespace", "x-namespace" }) do
    it(("tells the service %s as configured, whatever the client says"):format(name), function()
      local h = plugin({ headers = { [name] = "n" } }):upstream({ status = 404, body = "no" })
      local request = { host = "a.test", headers = { ["x-namespace"] = "evil" } }
      assert.equal("<p>gone", h:request(request).body)
      local told = {}
      for field, value in pairs(t.http.calls[1].headers) do
        if field:lower() == "x-namespace" then
          table.insert(told, value)
        end
      end
      assert.same({ "n" }, told)
    end)
  end

  it("keeps what a page says of its coding", function()
    local headers = { ["Content-Encoding"] = "gzip", ETag = '"p"' }
    t.http.stub(PAGE, { headers = headers, body = "\31\139" })
    local response = plugin():upstream({ status = 404, body = "no" }):request(REQUEST)
    assert.equal("\31\139", response.body)
    assert.equal("gzip", response.headers["content-encoding"])
    assert.equal('"p"', response.headers.etag)
    assert.equal("2", response.headers["content-length"])
  end)

  it("has pages for clients that name no host", function()
    local gateway = t.gateway({
      upstreams = {
        app = { status = 404, body = "no" },
        pages = { status = 404, body = "a page" },
      },
      scripts = [[
        local mg = require("moongate")
        mg.route({ host = "pages.test", path = "/", to = "${pages}" })
        mg.route({ path = "/", to = "${app}", plugins = {
          { name = "error-pages", config = { service = "script-1", statuses = { 404 } } },
        } })
      ]],
    }):start()
    local connection = gateway:connect()
    connection:write("GET / HTTP/1.0\r\n\r\n")
    connection:read_until("\r\n\r\n")
    assert.equal("a page", connection:read())
    connection:close()
    gateway:stop()
  end)

  it("leaves other statuses alone", function()
    assert.equal("no", plugin():upstream({ status = 500, body = "no" }):request(REQUEST).body)
    assert.equal(0, #t.http.calls)
  end)

  it("leaves answers of services alone where it is told to", function()
    local h = plugin({ only_own = true }):upstream({ status = 404, body = "no" })
    assert.equal("no", h:request(REQUEST).body)
  end)

  it("never hides who was not let in", function()
    local h = t.plugins({
      { "error-pages", { service = "errors", statuses = { 403, 503 } } },
      { "ip-restriction", { deny = { "0.0.0.0/0" } } },
    })
    assert.equal(403, h:request(REQUEST).status)
    assert.equal(0, #t.http.calls)
  end)

  it("lets the answer stand where there is no page", function()
    t.http.stub(PAGE, { error = "nobody is there" })
    local response = plugin():upstream({ status = 404, body = "no" }):request(REQUEST)
    assert.equal(404, response.status)
    assert.equal("no", response.body)
  end)

  it("refuses a timeout beyond what a hook may wait", function()
    local ok, err = pcall(plugin, { timeout = "6s" })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("config.timeout", 1, true), err)
    plugin({ timeout = "5s" })
  end)
end)
