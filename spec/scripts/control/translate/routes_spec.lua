-- SPDX-License-Identifier: Apache-2.0
-- Rules that one golden file does not show well: orders, collisions, equalities, size.
local control = require("spec.support.control")

local SERVICES = control.services("svc-a", "svc-b", "svc-c")
local ingress = control.ingress

local function build(...)
  return control.build(SERVICES .. table.concat({ ... }))
end

local function ids(model, host)
  local list = {}
  for index, route in ipairs(model.hosts[host].routes) do
    list[index] = route.id
  end
  return list
end

describe("routes", function()
  it("has an id of its own for each route of a host", function()
    local model = build(ingress("a", "foo.test", { { "/foo", "Prefix", "svc-a" },
      { "/foo", "Exact", "svc-b" }, { "/foo/", "Prefix", "svc-c" }, { "/", "Exact", "svc-a" } }),
      ingress("b", "foo.test", { { "/x.*", "ImplementationSpecific", "svc-b" },
        { "/foo", "Prefix", "svc-c" } }, { ["use-regex"] = "true" }))
    local seen = {}
    for _, id in ipairs(ids(model, "foo.test")) do
      assert.is_nil(seen[id], id)
      seen[id] = true
    end
  end)

  it("puts the longer path first, then the greater text", function()
    local model = build(ingress("a", "foo.test", { { "/a[a-z]", "ImplementationSpecific", "svc-a" },
      { "/[a-z]b", "ImplementationSpecific", "svc-b" },
      { "/longer-one", "ImplementationSpecific", "svc-a" } }, { ["use-regex"] = "true" }))
    local paths = {}
    for index, route in ipairs(model.hosts["foo.test"].routes) do
      paths[index] = route.path.value
    end
    assert.same({ "/longer-one", "/a[a-z]", "/[a-z]b", "/" }, paths)
  end)

  it("takes the older Ingress, and of equal age the greater name", function()
    local model = build(ingress("aaa", "foo.test", { { "/", "Prefix", "svc-a" } }),
      ingress("zzz", "foo.test", { { "/", "Prefix", "svc-b" } }))
    assert.equal("default/svc-b:80", model.hosts["foo.test"].routes[1].service)
  end)

  it("says by what an Ingress comes before another", function()
    local function said(first, second)
      local function one(name, day)
        local time = day and ('  creationTimestamp: "2026-01-%02dT00:00:00Z"\n'):format(day) or ""
        return (ingress(name, "foo.test", { { "/", "Prefix", "svc-a" } })
          :gsub("  annotations:\n", time .. "%0"))
      end
      local message = build(one("b", first), one("a", second)).faults[1].message
      return message:match("belong to Ingress default/b, (.*); remove one$")
    end
    assert.equal("which is older", said(1, 2))
    assert.equal("which comes first by name: both are of one age", said(1, 1))
    assert.equal("which comes first by name: neither has a creationTimestamp", said())
    assert.equal("which counts as older without a creationTimestamp", said(nil, 2))
  end)

  it("does not let one host's patterns touch another", function()
    local model = build(ingress("a", "r1.test", { { "/x.*", "ImplementationSpecific", "svc-a" } },
      { ["use-regex"] = "true" }), ingress("b", "r2.test", { { "/y", "Exact", "svc-b" } }))
    assert.equal("regex", model.hosts["r1.test"].routes[1].path.type)
    assert.equal("exact", model.hosts["r2.test"].routes[1].path.type)
  end)

  it("turns a host into patterns where the target equals the path", function()
    local model = build(ingress("a", "foo.test", { { "/foo", "Prefix", "svc-a" } },
      { ["rewrite-target"] = "/foo" }))
    local below = control.route(model, "foo.test", "regex", "/foo/")
    local itself = control.route(model, "foo.test", "regex", "/foo")
    assert.equal("/foo", control.plugin(below, "rewrite").replacement)
    assert.is_nil(control.plugin(itself, "rewrite"))
  end)

  it("sends a URL as rewrite-target as a redirect", function()
    local model = build(ingress("a", "foo.test", { { "/old(.*)", "ImplementationSpecific",
      "svc-a" } }, { ["rewrite-target"] = "https://new.test$1" }))
    local route = control.route(model, "foo.test", "regex", "/old(.*)")
    assert.is_true(control.plugin(route, "rewrite").redirect)
  end)

  it("neither rewrites nor redirects the catch-all of an Ingress without rules", function()
    local text = ingress("all", "x", {}, { ["rewrite-target"] = "/x",
      ["permanent-redirect"] = "https://x.test", ["whitelist-source-range"] = "10.0.0.0/8" },
      "  defaultBackend: {service: {name: svc-a, port: {number: 80}}}")
    local model = build((text:gsub("  rules:.*$", "")))
    local route = model.hosts["*"].routes[1]
    assert.equal("default/svc-a:80", route.service)
    assert.equal("prefix", route.path.type)
    assert.is_nil(control.plugin(route, "redirect"))
    assert.is_not_nil(control.plugin(route, "ip-restriction"))
  end)

  it("gives an app-root precedence over an Exact /", function()
    local model = build(ingress("a", "foo.test", { { "/", "Exact", "svc-a" } },
      { ["app-root"] = "/app" }))
    local route = model.hosts["foo.test"].routes[1]
    assert.equal(1, route.priority)
    assert.same({ { text = "/app" } }, control.plugin(route, "redirect").app_root)
  end)

  it("adds no www host where it has a rule of its own", function()
    local model = build(ingress("a", "foo.test", { { "/", "Prefix", "svc-a" } },
      { ["from-to-www-redirect"] = "true" }),
      ingress("b", "www.foo.test", { { "/", "Prefix", "svc-b" } }))
    assert.equal("default/svc-b:80", model.hosts["www.foo.test"].routes[1].service)
  end)

  it("redirects to https below a wildcard host that has a certificate", function()
    local model = build(ingress("w", "*.foo.test", { { "/", "Prefix", "svc-a" } }, {},
      '  tls: [{hosts: ["*.foo.test"]}]'),
      ingress("a", "a.foo.test", { { "/", "Prefix", "svc-b" } }),
      ingress("b", "a.b.foo.test", { { "/", "Prefix", "svc-b" } }))
    local function https(host)
      return control.plugin(model.hosts[host].routes[1], "redirect")
    end
    assert.is_not_nil(https("a.foo.test"))
    assert.is_nil(https("a.b.foo.test"))
  end)

  it("shares one service among Ingresses that want it alike", function()
    local sticky = { affinity = "cookie" }
    local model = build(ingress("a", "a.test", { { "/", "Prefix", "svc-a" } }, sticky),
      ingress("b", "b.test", { { "/", "Prefix", "svc-a" } }, sticky))
    assert.equal(model.hosts["a.test"].routes[1].service, model.hosts["b.test"].routes[1].service)
  end)

  it("denies a verified backend without the CA to verify it with", function()
    local model = build(ingress("a", "a.test", { { "/", "Prefix", "svc-a" } },
      { ["backend-protocol"] = "HTTPS", ["proxy-ssl-verify"] = "on" }))
    assert.is_string(model.hosts["a.test"].routes[1].fault)
  end)

  it("shares tables of settings among the routes of an Ingress", function()
    local model = build(ingress("a", "a.test", { { "/a", "Prefix", "svc-a" },
      { "/b", "Prefix", "svc-b" } }))
    local routes = model.hosts["a.test"].routes
    assert.equal(routes[1].settings, routes[2].settings)
  end)

  it("serves only watched namespaces", function()
    local text = SERVICES .. ingress("a", "a.test", { { "/", "Prefix", "svc-a" } })
    local model = control.build(text, { flags = { ["watch-namespace"] = "other" } })
    assert.is_nil(model.hosts["a.test"])
  end)

  it("lets the caller's settings win over the ConfigMap, and judges them", function()
    local text = "apiVersion: v1\nkind: ConfigMap\n"
      .. "metadata: {namespace: ingress-nginx, name: ingress-nginx-controller}\n"
      .. 'data: {proxy-read-timeout: "10", hsts: "false"}\n'
    local model = control.build(text,
      { settings = { proxy_read_timeout = "20", nonsense = "1" } })
    assert.equal(20000, model.hosts["*"].routes[1].settings.read_timeout_ms)
    assert.is_nil(model.hosts["*"].routes[1].plugins[1].config.hsts)
    assert.same({ hsts = "false", ["proxy-read-timeout"] = "20" }, model.settings)
    assert.equal("--set nonsense", model.faults[1].object)
  end)

  it("sends unknown hosts to --default-backend-service", function()
    local model = control.build(SERVICES,
      { flags = { ["default-backend-service"] = "default/svc-a" } })
    assert.equal("default/svc-a:80", model.hosts["*"].routes[1].service)
  end)

  it("tells of a --default-backend-service that is missing", function()
    local model = control.build(SERVICES,
      { flags = { ["default-backend-service"] = "default/gone" } })
    assert.equal("--default-backend-service", control.fault(model, "does not exist").field)
  end)

  it("denies FCGI instead of speaking HTTP to it", function()
    local model = build(ingress("a", "a.test", { { "/", "Prefix", "svc-a" } },
      { ["backend-protocol"] = "FCGI" }))
    assert.truthy(model.hosts["a.test"].routes[1].fault:find("FCGI", 1, true))
  end)

  it("warns where the headers of every peer are believed", function()
    for _, name in ipairs({ "use-forwarded-headers", "enable-real-ip" }) do
      local model = control.build("", { settings = { [name] = "true" } })
      assert.equal("warning", control.fault(model, "proxy-real-ip-cidr").severity)
      model = control.build("", { settings = { [name] = "true",
        ["proxy-real-ip-cidr"] = "10.0.0.0/8" } })
      assert.same({}, model.faults)
    end
  end)

  it("takes an empty host for any host", function()
    local model = build(ingress("a", "", { { "/x", "Prefix", "svc-a" } }))
    assert.is_not_nil(control.route(model, "*", "prefix", "/x"))
    assert.is_nil(model.hosts[""])
  end)

  it("translates a host of 4,000 paths in time that grows with them", function()
    local function seconds(count)
      local paths = {}
      for index = 1, count do
        paths[index] = { "/p" .. index, "Prefix", "svc-a" }
      end
      local text = SERVICES .. ingress("big", "big.test", paths)
      local began = os.clock()
      local model = control.build(text)
      assert.equal(count + 1, #model.hosts["big.test"].routes)
      return os.clock() - began
    end
    local small, large = seconds(1000), seconds(4000)
    -- Linear is 4 times; a search through a list would be 16 times.
    assert.is_true(large < 10 * small + 0.1, ("%.3f s, then %.3f s"):format(small, large))
  end)
end)
