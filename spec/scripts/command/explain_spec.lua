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

local ELSE = ", unless early or late answers or chooses another service"

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
    assert.are.equal("goes to 10.0.0.3:80" .. ELSE, explained.outcome)
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
    { "http://b.test/", "404: there is no service, unless early or late answers or chooses one" },
    { "http://a.test/nowhere",
      "404: there is no service, unless early or late answers or chooses one" },
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
    assert.is_truthy(output:find("\noutcome     goes to 10%.0%.0%.%d:80" .. ELSE .. "\n$"), output)
  end)

  it("tells of scripts that cannot be loaded", function()
    local broken = command.folder({ ["a.lua"] = "local = 1\n" })
    local output, code = command.run("explain", "--scripts", broken.path, "GET", "http://a.test/")
    broken:remove()
    assert.are.equal(0, code)
    assert.is_truthy(output:find("explain: .-/a%.lua:1:1: script: .*\noutcome     404"), output)
  end)

  -- words, what is said of them
  local REFUSED = {
    { { "G T", "http://a.test/" }, 'method "G T": ' },
    { { "get", "http://a.test/" }, 'method "get": it is none that is known here; write GET' },
    { { "GET", "/x" }, "url: there is no host; write http://host/path, or give a header Host: " },
    { { "GET", "http://a.test/%zz" }, 'url: "/%zz" cannot be a path' },
    { { "GET", "http://a b/" }, 'url: "a b" cannot be a host' },
    { { "GET", "ftp://a.test/" }, 'url "ftp://a.test/": the scheme is http or https' },
    { { "GET", "http://a.test:x/" }, 'url "http://a.test:x/": what follows the host is no port' },
    { { "GET", "/", "-H", "Host: a.test", "-H", "foo" }, 'header "foo": write Name: value' },
    { { "GET", "/", "-H", "Host: a b" }, 'header "Host: a b": ' },
    { { "GET", "/", "-H", "Host: a", "-H", "Host: b" }, "the request is not valid HTTP" },
    { { "GET", "http://a.test/", "--client", "x" }, 'client "x": it is no IP address' },
    { { "GET", "http://a.test/", "--client", "10.0.0.0/8" }, 'client "10.0.0.0/8": it is no IP' },
  }
  for _, row in ipairs(REFUSED) do
    it("refuses " .. table.concat(row[1], " "), function()
      local output, code = command.run("explain", "--scripts", folder.path, unpack(row[1]))
      assert.are.equal(1, code)
      assert.is_truthy(output:find(row[2], 1, true), output)
    end)
  end

  for _, words in ipairs({ { "GET" }, { "GET", "/" }, { "--admin", "x" } }) do
    it("is a mistake of usage with " .. table.concat(words, " "), function()
      local _, code = command.run("explain", unpack(words))
      assert.are.equal(2, code)
    end)
  end
end)

describe("moongate explain of Ingresses", function()
  local INGRESS = [[
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {ingressClassName: nginx, defaultBackend: {service: {name: web, port: {number: 80}}}}
]]

  it("tells of a class that is not there, and judges as if it were", function()
    local folder = command.folder({ ["a.yaml"] = INGRESS })
    local output, code =
      command.run("explain", "--manifests", folder.path, "GET", "http://a.test/")
    folder:remove()
    assert.are.equal(0, code)
    local _, count = output:gsub("warning: IngressClass nginx: is not among the manifests", "")
    assert.are.equal(1, count, output)
    assert.truthy(output:find("\nroute       Ingress default/web", 1, true), output)
  end)
end)

describe("moongate explain of plugins with secrets", function()
  local NAMED = [[
local mg = require("moongate")
mg.route({ host = "a.test", path = "/", to = "http://10.0.0.1:80",
  plugins = { { name = "%s", config = %s } } })
]]
  -- Every route has the plugin headers of the gateway's own settings too.
  local function config_of(explained, name)
    for _, plugin in ipairs(explained.plugins) do
      local config = plugin.config
      if plugin.name == name and not (type(config) == "table" and config.hsts) then
        return config
      end
    end
  end

  -- plugin, its configuration as a script writes it, and what is shown
  local ROWS = {
    { "basic-auth", '{ realm = "R", users = { "ali:{PLAIN}hunter2" } }',
      { realm = "R", users = "…" } },
    { "headers", '{ request = { set = { X = "hunter2" }, add = { Y = "hunter2" } },'
      .. ' response = { set = { Z = "1" } } }',
      { request = { set = { X = "…" }, add = { Y = "…" } }, response = { set = { Z = "1" } } } },
    { "headers", '{ request = { set = { { name = "X", value = "hunter2" } } } }',
      { request = { set = { { name = "X", value = "…" } } } } },
    { "forward-auth", '{ url = "http://a.test/", headers = { { name = "X", value = "hunter2" } } }',
      { url = "http://a.test/", headers = { { name = "X", value = "…" } } } },
    { "error-pages", '{ service = "s", statuses = { 500 }, headers = { X = "hunter2" } }',
      { service = "s", statuses = { 500 }, headers = { X = "…" } } },
    { "basic-auth", '{ user = { "ali:{PLAIN}hunter2" } }', { user = "…" } },
    { "nobody-knows", '{ users = { "hunter2" } }', "…" },
  }
  for i, row in ipairs(ROWS) do
    it(("shows none of %s (%d)"):format(row[1], i), function()
      local folder = command.folder({ ["a.lua"] = NAMED:format(row[1], row[2]) })
      local output = command.run("explain", "--scripts", folder.path, "-o", "json",
        "GET", "http://a.test/")
      folder:remove()
      assert.is_nil(output:find("hunter2", 1, true), output)
      assert.are.same(row[3], config_of(json.decode(output), row[1]))
    end)
  end
end)

describe("moongate explain of plugins that may answer", function()
  local ROUTE = [[
local mg = require("moongate")
mg.route({ host = "a.test", path = "/", to = "http://10.0.0.1:80", plugins = { %s } })
]]
  local WORDS = [[
return require("moongate").plugin({ stage = "edge", access = function() end,
  config = require("moongate").schema.any(), decides = function(conf) return conf.says end })
]]
  -- plugins, and those that are named
  local ROWS = {
    { '{ name = "ip-restriction", config = { allow = { "10.0.0.0/8" } } }', { "ip-restriction" } },
    { '{ name = "redirect", config = { url = "http://b.test/" } }', { "redirect" } },
    { '{ name = "basic-auth", config = { users = { "a:b" } } }', { "basic-auth" } },
    { '{ name = "canary", config = { alternative = "x" } }, { name = "cors" }',
      { "cors", "canary" } },
    { '{ name = "rewrite", config = { pattern = "/", replacement = "/a" } }', {} },
    { '{ name = "rewrite", config = { pattern = "/", redirect = true, '
      .. 'replacement = "http://b.test/" } }', { "rewrite" } },
    { '{ name = "throttle", config = { rate = 1 } }, { name = "response-rewrite", '
      .. 'config = { cookie_path = { from = "/", to = "/a" } } }', {} },
    { '{ name = "mirror", config = { url = "http://b.test/" } }, { name = "opentelemetry", '
      .. 'config = { endpoint = "http://b.test/" } }', {} },
    { '{ name = "error-pages", config = { service = "s", statuses = { 500 } } }', {} },
    { '{ name = "error-pages", config = { service = "s", stands_in_for = "t" } }',
      { "error-pages" } },
    { '{ name = "words", config = { says = true } }', { "words" } },
    { '{ name = "words", config = { says = false } }', {} },
  }
  for i, row in ipairs(ROWS) do
    it(("names %s (%d)"):format(row[2][1] and table.concat(row[2], ", ") or "none", i), function()
      local folder = command.folder({ ["a.lua"] = ROUTE:format(row[1]), ["words.lua"] = WORDS })
      local output = command.run("explain", "--scripts", folder.path, "-o", "json",
        "GET", "http://a.test/")
      folder:remove()
      local explained = json.decode(output)
      local named = table.concat(row[2], " or ")
      local other = named ~= "" and ", unless " .. named .. " answers or chooses another service"
      assert.are.same(row[2], explained.unless)
      assert.are.equal("goes to 10.0.0.1:80" .. (other or ""), explained.outcome)
    end)
  end
end)

describe("moongate explain of a port", function()
  local MANIFESTS = [[
apiVersion: v1
kind: ConfigMap
metadata: {name: ports}
data: {5432: "default/db:pg:PROXY:PROXY", 5433: "default/none:80"}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{name: pg, port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: pg, port: 5432}]
endpoints: [{addresses: [10.0.0.1]}]
]]

  -- words, what the output holds
  local ROWS = {
    { "TCP", ":5432", "^port%s+tcp 5432, with a PROXY header of the client, with a PROXY header "
      .. "for the service  %(.*a%.yaml:4%)\n" },
    { "TCP", "db.test:5432", "service%s+tcp:default/db:pg %(tcp, algorithm round_robin%)\n" },
    { "TCP", "5432", "endpoints [^\n]*\noutcome%s+goes to 10%.0%.0%.1:5432\n$" },
    { "TCP", ":5433", "faults%s+error: data%[\"5433\"%]: Service default/none does not exist.*"
      .. "outcome%s+closed at once: the service has no endpoint" },
    { "UDP", ":5432", "outcome%s+refused: no entry of the ConfigMap of UDP services" },
  }
  for _, row in ipairs(ROWS) do
    it(("tells where %s %s leads"):format(row[1], row[2]), function()
      local folder = command.folder({ ["a.yaml"] = MANIFESTS })
      local output, code = command.run("explain", "--manifests", folder.path,
        "--tcp-services-configmap", "default/ports", row[1], row[2])
      folder:remove()
      assert.are.equal(0, code, output)
      assert.is_truthy(output:find(row[3]), output)
    end)
  end

  it("asks for a port", function()
    local folder = command.folder({ ["a.yaml"] = MANIFESTS })
    local output, code = command.run("explain", "--manifests", folder.path, "TCP", "/x")
    folder:remove()
    assert.are.equal(1, code)
    assert.is_truthy(output:find("/x: name a port", 1, true), output)
  end)
end)
