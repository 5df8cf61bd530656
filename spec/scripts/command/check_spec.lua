-- SPDX-License-Identifier: Apache-2.0
local certificates = require("spec.support.certificates")
local command = require("spec.support.command")
local json = require("dkjson")
local manifests = require("spec.support.manifests")

local CLASS = [[
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
]]

local CLASS_AND_SERVICE = CLASS .. [[
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.1]}]
---
]]

local function ingress(name, paths, more)
  local lines = {}
  for i, path in ipairs(paths) do
    lines[i] = ("      - {path: '%s', pathType: %s, backend: {service: {name: web, port: "
      .. "{number: 80}}}}"):format(path[1], path[2])
  end
  return ([[
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s%s}
spec:
  ingressClassName: nginx
  rules:
  - host: a.test
    http:
      paths:
%s
---
]]):format(name, more or "", table.concat(lines, "\n"))
end

local function check(files, ...)
  local folder = command.folder(files)
  finally(function()
    folder:remove()
  end)
  local output, code = command.run("check", folder.path, ...)
  return output:gsub(folder.path:gsub("%p", "%%%0"), "DIR"), code
end

local REGEX = ", annotations: {nginx.ingress.kubernetes.io/use-regex: 'true'}"
local CANARY = ", annotations: {nginx.ingress.kubernetes.io/canary: 'true', "
  .. "nginx.ingress.kubernetes.io/canary-weight: '10'}"

-- Files, what the output holds, and the exit code.
local CASES = {
  {
    "finds nothing wrong with sound manifests",
    { ["a.yaml"] = CLASS_AND_SERVICE .. ingress("web", { { "/", "Prefix" } }) },
    "^0 errors, 0 warnings in 1 file: ",
    0,
  },
  {
    "names the place and the way out of an unknown setting of a route",
    { ["a.lua"] = 'local mg = require("moongate")\nmg.route({ host = "a.test", too = "x" })\n' },
    'DIR/a%.lua:2:1: mg%.route: too: unknown field; did you mean "to"%?',
    1,
  },
  {
    "tells of settings without names",
    { ["a.lua"] = 'require("moongate").settings({ 5 })\n' },
    "DIR/a%.lua:1:1: script: mg%.settings takes a table of names and values; 1 is no name",
    1,
  },
  {
    "tells of a plugin of a route that is none, and goes on",
    { ["a.lua"] = 'local mg = require("moongate")\nmg.route({ plugins = { 5 } })\n'
      .. 'mg.route({ host = "b.test", to = "http://127.0.0.1:1" })\n' },
    "DIR/a%.lua:2:1: mg%.route: plugins%[1%]: must be a string.*1 error,.*2 routes of 2 hosts",
    1,
  },
  {
    "names the line of an error of syntax",
    { ["a.lua"] = "local x = 1\nlocal = 2\n" },
    "DIR/a%.lua:2:1: script: ",
    1,
  },
  {
    "tells of every script that cannot be compiled",
    { ["a.lua"] = "local = 2\n", ["b.lua"] = "x y\n" },
    "DIR/a%.lua:1:1: .-DIR/b%.lua:1:1: .*2 errors",
    1,
  },
  {
    "stops a script that does not come back",
    { ["a.lua"] = "local n = 0\nwhile true do n = n + 1 end\n" },
    "DIR/a%.lua:2:1: script: stopped: the script ran for more than 1000 ms without waiting",
    1,
  },
  {
    "refuses an unknown key of a plugin",
    { ["a.lua"] = 'return require("moongate").plugin({ acess = function() end })\n' },
    'DIR/a%.lua:1:1: script: mg%.plugin: unknown key "acess", did you mean "access"%?',
    1,
  },
  {
    "refuses a plugin with the name of one in the binary",
    { ["basic-auth.lua"] = 'return require("moongate").plugin({})\n' },
    "DIR/basic%-auth%.lua:1:1: script: plugin basic%-auth has the name of one in the binary",
    1,
  },
  {
    "warns of a route that another one hides",
    {
      ["a.lua"] = 'local mg = require("moongate")\n'
        .. 'mg.route({ host = "a.test", path = "/x", to = "http://127.0.0.1:1" })\n'
        .. 'mg.route({ host = "a.test", path = "/x", to = "http://127.0.0.1:2" })\n',
    },
    "DIR/a%.lua:3:1: warning: .* is never reached: .*DIR/a%.lua:2.* has the same host and path",
    0,
  },
  {
    "warns of a path that a pattern hides",
    {
      ["a.yaml"] = CLASS_AND_SERVICE .. ingress("web", {
        { "/b", "ImplementationSpecific" },
        { "/.*", "ImplementationSpecific" },
      }, REGEX),
    },
    "warning: Ingress default/web: route .*~/b\" is never reached: .*comes first for /b",
    0,
  },
  {
    "does not warn of routes that a method tells apart",
    {
      ["a.lua"] = 'local mg = require("moongate")\n'
        .. 'mg.route({ path = "/x", methods = { "GET" }, to = "http://127.0.0.1:1" })\n'
        .. 'mg.route({ path = "/x", methods = { "PUT" }, to = "http://127.0.0.1:2" })\n',
    },
    "^0 errors, 0 warnings",
    0,
  },
  {
    "warns of a pattern that may backtrack without bound",
    {
      ["a.yaml"] = CLASS_AND_SERVICE
        .. ingress("web", { { "/(a+)+$", "ImplementationSpecific" } }, REGEX),
    },
    'warning: Ingress default/web: path "/%(a%+%)%+%$" may backtrack without bound: a%+',
    0,
  },
  {
    "warns of a canary without a main Ingress",
    { ["a.yaml"] = CLASS_AND_SERVICE .. ingress("web", { { "/", "Prefix" } }, CANARY) },
    "warning: Ingress default/web: .*there is no main Ingress",
    0,
  },
  {
    "warns of an Ingress that nobody serves",
    {
      ["a.yaml"] = (CLASS_AND_SERVICE .. ingress("web", { { "/", "Prefix" } })):gsub(
        "  ingressClassName: nginx\n", ""),
    },
    "warning: Ingress default/web: it makes no route: it names no class",
    0,
  },
  {
    "warns of a service whose endpoints are not ready",
    {
      ["a.yaml"] = (CLASS_AND_SERVICE:gsub("%[10%.0%.0%.1%]", "%0, conditions: {ready: false}"))
        .. ingress("web", { { "/", "Prefix" } }),
    },
    "warning: Service default/web: no endpoint is ready",
    0,
  },
  {
    "tells of a certificate that cannot be read",
    {
      ["a.yaml"] = CLASS_AND_SERVICE
        .. "apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\ntype: kubernetes.io/tls\n"
        .. "stringData: {tls.crt: nonsense, tls.key: nonsense}\n---\n"
        .. ingress("web", { { "/", "Prefix" } }):gsub("  rules:",
          "  tls: [{hosts: [a.test], secretName: tls}]\n  rules:"),
    },
    "Ingress default/web: spec%.tls%[0%]%.secretName: ",
    1,
  },
  {
    "tells of YAML that cannot be read",
    { ["a.yaml"] = "a: [1\n" },
    "DIR/a%.yaml:%d+:%d+: ",
    1,
  },
}

describe("moongate check", function()
  for _, case in ipairs(CASES) do
    it(case[1], function()
      local output, code = check(case[2])
      assert.is_truthy(output:find(case[3]), output)
      assert.are.equal(case[4], code)
    end)
  end

  for _, name in ipairs({ "log-format-upstream", "log-format-stream" }) do
    it("warns of an unknown variable in " .. name, function()
      local output, code = check({ ["a.yaml"] = CLASS_AND_SERVICE }, "--set",
        name .. "=$status $sttaus")
      assert.is_truthy(output:find(name .. ": there is no variable $sttaus", 1, true), output)
      assert.are.equal(0, code)
    end)
  end

  local PORTS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tcp}\ndata:\n"

  -- entries, what the output holds, and the exit code
  local ENTRIES = {
    { '  5432: "default/web:80"\n', "^0 errors, 0 warnings .* 1 port of TCP and UDP", 0 },
    { '  5432: "default/web"\n', 'DIR/a%.yaml:%d+:9: ConfigMap default/tcp: data%["5432"%]: names '
      .. "no port of the Service; write .*1 error, 0 warnings", 1 },
    { '  5432: "default/web:81"\n', "Service default/web has no port 81 of TCP; .*1 error, 0 ", 1 },
    { '  5432: "default/idle:80"\n', "warning: Service default/idle: no endpoint is ready for port "
      .. "5432 of TCP; look at .*0 errors, 1 warning", 0 },
  }
  for _, row in ipairs(ENTRIES) do
    it("judges an entry of TCP services: " .. row[1]:match("%S.*"), function()
      local idle = "apiVersion: v1\nkind: Service\nmetadata: {name: idle}\n"
        .. "spec: {ports: [{port: 80}]}\n---\n"
      local output, code = check({ ["a.yaml"] = CLASS_AND_SERVICE .. idle .. PORTS .. row[1] },
        "--tcp-services-configmap", "default/tcp")
      assert.is_truthy(output:find(row[2]), output)
      assert.are.equal(row[3], code)
    end)
  end

  it("warns of a certificate three weeks before its end, as the gateway does", function()
    local made = certificates.make("soon", { san = "DNS:soon.test", days = 20 })
    local texts = manifests.join(CLASS_AND_SERVICE, manifests.secret("soon", made),
      manifests.ingress("soon", { host = "soon.test", service = "web", secret = "soon" }))
    local output, code = check({ ["a.yaml"] = texts }, "--default-ssl-certificate", "default/soon")
    assert.is_truthy(output:find("the certificate of soon.test ends on", 1, true), output)
    assert.is_truthy(output:find("the default certificate ends on", 1, true), output)
    assert.are.equal(0, code)
  end)

  it("knows canaries by the prefix of annotations, and all words for true", function()
    local more = ", annotations: {foo.io/canary: 'True', foo.io/canary-weight: '10'}"
    local other = CLASS_AND_SERVICE:sub(#CLASS + 1) .. ingress("next", { { "/", "Prefix" } }, more)
    local texts = CLASS_AND_SERVICE .. ingress("web", { { "/", "Prefix" } })
      .. other:gsub("name: web", "name: other")
    local output = check({ ["a.yaml"] = texts }, "--annotations-prefix", "foo.io")
    assert.is_truthy(output:find("^0 errors, 0 warnings"), output)
  end)

  local NO_CLASS = "warning: IngressClass nginx: is not among the manifests; `moongate run` serves "
    .. "the Ingresses that name it only where it is there: add it\n"
  local SITES = CLASS_AND_SERVICE .. ingress("web", { { "/", "Prefix" } })
    .. ingress("more", { { "/more", "Prefix" } })

  it("judges Ingresses by a class that is not there, and says so once", function()
    local output, code = check({ ["a.yaml"] = SITES:sub(#CLASS + 1) })
    assert.are.equal(NO_CLASS .. "0 errors, 1 warning in 1 file: 3 routes of 2 hosts\n", output)
    assert.are.equal(0, code)
  end)

  -- What is at hand, and flags.
  local JUDGED = {
    { "is among them", SITES },
    { "is among them as JSON", '{"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", '
      .. '"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}\n---\n'
      .. SITES:sub(#CLASS + 1) },
    { "is of no Ingress", CLASS_AND_SERVICE:sub(#CLASS + 1) },
    { "is another controller's", SITES:sub(#CLASS + 1), "--controller-class", "a.test/b" },
  }
  for _, row in ipairs(JUDGED) do
    it("says nothing of a class that " .. row[1], function()
      local output = check({ ["a.yaml"] = row[2] }, row[3], row[4])
      assert.is_nil(output:find("is not among the manifests", 1, true), output)
    end)
  end

  it("prints the same as JSON", function()
    local output, code = check({ ["a.lua"] = "local = 2\n" }, "-o", "json")
    local result = json.decode(output)
    assert.are.equal(1, result.errors)
    assert.are.equal("DIR/a.lua", result.faults[1].file)
    assert.are.equal(1, result.faults[1].line)
    assert.are.equal(1, code)
  end)

  it("takes a single file", function()
    local folder = command.folder({ ["a.lua"] = "return nil\n", ["b.lua"] = "local = 2\n" })
    local output, code = command.run("check", folder.path .. "/a.lua")
    folder:remove()
    assert.is_truthy(output:find("^0 errors, 0 warnings in 1 file"), output)
    assert.are.equal(0, code)
  end)

  for _, words in ipairs({ {}, { "/no/such/path" }, { ".", "-o", "xml" } }) do
    it("is a mistake of usage with " .. table.concat(words, " "), function()
      local _, code = command.run("check", unpack(words))
      assert.are.equal(2, code)
    end)
  end
end)
