-- SPDX-License-Identifier: Apache-2.0
--
-- A set of manifests as they come from a cluster: chart of the controller, ConfigMap, Ingresses of
-- several teams.
local command = require("spec.support.command")
local json = require("dkjson")

local CONTROLLER = [[
apiVersion: apps/v1
kind: Deployment
metadata: {name: ingress-nginx-controller, namespace: edge}
spec:
  template:
    spec:
      containers:
      - name: controller
        image: registry.k8s.io/ingress-nginx/controller:v1.11.2
        args:
        - /nginx-ingress-controller
        - --publish-service=$(POD_NAMESPACE)/ingress-nginx-controller
        - --election-id=ingress-nginx-leader
        - --controller-class=k8s.io/ingress-nginx
        - --ingress-class=public
        - --configmap=$(POD_NAMESPACE)/settings
        - --enable-metrics=true
        - --watch-ingress-without-class=true
        - --shutdown-grace-period=10
        - --no-such-flag=1
        - --tcp-services-configmap=$(POD_NAMESPACE)/tcp-services
---
apiVersion: v1
kind: ConfigMap
metadata: {name: tcp-services, namespace: edge}
data:
  5432: "shop/web:80"
  5433: "shop/gone:80:PROXY"
  5434: "web"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: edge}
data:
  proxy-body-size: 20m
  hsts: "false"
  otel-service-name: shop
  server-tokens: "true"
  worker-cpu-affinity: auto
  http-snippet: |
    map $http_upgrade $x { default 1; }
  no-such-key: x
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: public, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: k8s.io/ingress-nginx}
]]

local PREFIX = "    nginx.ingress.kubernetes.io/"

local function ingress(name, class, annotations)
  local lines = {}
  for key, value in pairs(annotations) do
    lines[#lines + 1] = ("%s%s: %q"):format(PREFIX, key, value)
  end
  table.sort(lines)
  return ([[
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: %s
  namespace: shop
  annotations:
    team: shop
%s
spec:
  ingressClassName: %s
  tls: [{hosts: [%s.test]}]
  rules:
  - host: %s.test
    http:
      paths:
      - path: /
        pathType: ImplementationSpecific
        backend: {service: {name: web, port: {number: 80}}}
]]):format(name, table.concat(lines, "\n"), class, name, name)
end

local SERVICES = [[
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: shop}
stringData: {auth: "eva:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="}
]]

local PLAIN = ingress("plain", "public", {
  ["limit-rps"] = "10",
  ["rewrite-target"] = "/",
  ["auth-type"] = "basic",
  ["auth-secret"] = "users",
  ["whitelist-source-range"] = "10.0.0.0/8",
})

local HARD = ingress("hard", "public", {
  ["configuration-snippet"] = "more_set_headers X;",
  ["fastcgi-index"] = "index.php",
  ["permanent-redirect"] = "ftp://x",
})

local ODD = ingress("odd", "public", {
  affinity = "cookie",
  ["proxy-buffers-number"] = "8",
  ["secure-backends"] = "true",
  ["ssl-redirct"] = "true",
  ["proxy-read-timeout"] = "50s",
  ["auth-tls-secret"] = "shop/ca",
})

local OTHER = ingress("other", "internal", {})
  .. "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: internal}\n"
  .. "spec: {controller: example.com/other}\n"

describe("moongate migrate", function()
  local folder

  local function run(texts, ...)
    folder = command.folder(texts)
    return command.run("migrate", folder.path, ...)
  end

  -- The report of some manifests: entries by object and name, and all of it.
  local function report(texts, ...)
    local output, code = run(texts, "--json", ...)
    local decoded = assert(json.decode(output), output)
    local by_object = {}
    for _, group in ipairs(decoded.objects) do
      by_object[group.object] = {}
      for _, entry in ipairs(group.entries) do
        by_object[group.object][entry.name or "object"] = entry
      end
    end
    return by_object, decoded, code
  end

  after_each(function()
    if folder then
      folder:remove()
      folder = nil
    end
  end)

  it("has nothing to be done by hand where everything carries over", function()
    local output, code = run({ ["a.yaml"] = PLAIN:gsub("public", "nginx") .. SERVICES })
    assert.truthy(output:find("carries over  auth-secret, auth-type, limit-rps, rewrite-target, "
      .. "whitelist-source-range\n", 1, true), output)
    assert.truthy(output:find("0 by hand\n$"), output)
    assert.equal(0, code)
  end)

  -- What becomes of each annotation of the three Ingresses.
  local ANNOTATIONS = {
    ["Ingress shop/plain"] = { ["limit-rps"] = "same", ["auth-type"] = "same" },
    ["Ingress shop/hard"] = {
      ["configuration-snippet"] = "hand",
      ["fastcgi-index"] = "hand",
      ["permanent-redirect"] = "hand",
    },
    ["Ingress shop/odd"] = {
      affinity = "changes",
      ["proxy-buffers-number"] = "idle",
      ["secure-backends"] = "idle",
      ["ssl-redirct"] = "idle",
      ["proxy-read-timeout"] = "idle",
      ["auth-tls-secret"] = "look",
    },
    ["ConfigMap edge/settings"] = {
      ["proxy-body-size"] = "same",
      hsts = "same",
      ["otel-service-name"] = "same",
      ["server-tokens"] = "same",
      ["worker-cpu-affinity"] = "idle",
      ["http-snippet"] = "hand",
      ["no-such-key"] = "idle",
    },
    ["ConfigMap edge/tcp-services"] = {
      ["5432"] = "same",
      ["5433"] = "look",
      ["5434"] = "hand",
    },
    ["Deployment edge/ingress-nginx-controller"] = {
      ["--tcp-services-configmap"] = "same",
      ["--ingress-class"] = "same",
      ["--configmap"] = "same",
      ["--watch-ingress-without-class"] = "same",
      ["--election-id"] = "idle",
      ["--publish-service"] = "hand",
      ["--shutdown-grace-period"] = "same",
      ["--no-such-flag"] = "hand",
    },
  }

  it("says of each annotation, setting and argument what becomes of it", function()
    local all = CONTROLLER .. PLAIN .. HARD .. ODD .. SERVICES
    local found, whole, code = report({ ["a.yaml"] = all })
    for object, wanted in pairs(ANNOTATIONS) do
      for name, verdict in pairs(wanted) do
        local entry = assert(found[object], object)[name]
        assert.equal(verdict, entry and entry.verdict, object .. " " .. name)
        assert.truthy(verdict == "same" or verdict == "idle" or entry.message, name)
      end
    end
    assert.is_nil(found["Ingress shop/plain"].team)
    assert.equal(3, whole.ingresses)
    assert.equal(1, code)
  end)

  it("names the way out and the line", function()
    local output = run({ ["a.yaml"] = CONTROLLER .. HARD .. SERVICES })
    assert.truthy(output:find("BY HAND%s+configuration%-snippet: is never run here; its paths "
      .. "answer 503; use the plugins headers .- `access` and `response` hooks %(line %d+%)"),
      output)
    assert.truthy(output:find("BY HAND%s+http%-snippet: snippets are never run; use a global "
      .. "plugin"), output)
  end)

  it("reads arguments whose values are words of their own", function()
    local controller = CONTROLLER:gsub("image: %S+", "image: mirror.test/ingress:1")
      :gsub("%- %-%-ingress%-class=public", "- --ingress-class\n        - public")
      :gsub("%- /nginx%-ingress%-controller", "- dumb-init\n        - --\n        %0")
      :gsub("%- %-%-no%-such%-flag=1", "- --watch-namespace")
    local found, whole = report({ ["a.yaml"] = controller .. PLAIN .. SERVICES })
    local entries = found["Deployment edge/ingress-nginx-controller"]
    assert.equal("same", entries["--ingress-class"].verdict)
    assert.equal("hand", entries["--watch-namespace"].verdict)
    assert.equal("has no value", entries["--watch-namespace"].message)
    controller = CONTROLLER:gsub("%- %-%-no%-such%-flag=1",
      "- -v=2\n        - --enable-metrics=maybe")
    entries = report({ ["a.yaml"] = controller .. PLAIN .. SERVICES })[
      "Deployment edge/ingress-nginx-controller"]
    assert.equal("idle", entries["--v"].verdict)
    assert.equal("must be true or false, not maybe", entries["--enable-metrics"].message)
    assert.equal(1, whole.ingresses)
  end)

  it("raises for no words of a controller", function()
    local words = { "--", "--=", "--=x", "---", "--annotations-prefix", "--configmap=", "" }
    for _, word in ipairs(words) do
      local controller = CONTROLLER:gsub("%-%-no%-such%-flag=1", "'" .. word .. "'")
        :gsub("namespace: edge", "namespace: e%%%%1")
      local _, whole = report({ ["a.yaml"] = controller .. PLAIN .. SERVICES })
      assert.equal(1, whole.ingresses, word)
      folder:remove()
    end
    folder = nil
  end)

  it("reads the Ingresses as the controller's arguments say, unless others are given", function()
    local _, whole = report({ ["a.yaml"] = CONTROLLER .. PLAIN .. OTHER .. SERVICES })
    assert.equal(1, whole.ingresses)
    assert.same({ "Ingress shop/other" }, whole.others)
    folder:remove()
    _, whole = report({ ["a.yaml"] = CONTROLLER .. PLAIN .. OTHER .. SERVICES },
      "--controller-class", "example.com/other")
    assert.equal(1, whole.ingresses)
    assert.same({ "Ingress shop/plain" }, whole.others)
  end)

  it("does not hide an Ingress whose class is not among the manifests", function()
    local found = report({ ["a.yaml"] = CONTROLLER .. ingress("lost", "gone", {}) .. SERVICES })
    assert.equal("look", found["Ingress shop/lost"]["spec.ingressClassName"].verdict)
  end)

  it("asks to look for the class that ingress-nginx has unless told otherwise", function()
    local found = report({ ["a.yaml"] = ingress("web", "nginx", {}) .. SERVICES })
    local entries = found["IngressClass nginx"]
    local _, entry = next(entries)
    assert.equal("look", entry.verdict)
    assert.truthy(entry.message:find("is not among the manifests", 1, true), entry.message)
  end)

  it("tells of files that cannot be read", function()
    local output, code = run({ ["a.yaml"] = PLAIN .. SERVICES, ["b.yaml"] = "a: [1\n" })
    assert.truthy(output:find("b%.yaml:%d+%)\n  BY HAND"), output)
    assert.equal(1, code)
  end)

  local function content(name)
    local file = assert(io.open(folder.path .. "/out/" .. name))
    local text = file:read("*a")
    file:close()
    return text
  end

  it("writes class, settings and arguments, with which this gateway finds nothing wrong", function()
    local made = command.folder({ ["a.yaml"] = CONTROLLER .. PLAIN .. SERVICES })
    folder = made
    local _, code = command.run("migrate", made.path, "--out", made.path .. "/out")
    assert.equal(1, code)
    local arguments = content("arguments.yaml")
    for _, text in ipairs({ '"--ingress-class=public"', '"--configmap=edge/settings"',
      '"--shutdown-grace-period=10"', '"--tcp-services-configmap=edge/tcp-services"',
      '"--watch-ingress-without-class=true"' }) do
      assert.truthy(arguments:find(text, 1, true), text)
    end
    assert.is_nil(arguments:find("publish", 1, true))
    assert.truthy(content("ingressclass.yaml"):find('is-default-class: "true"', 1, true))
    local settings = content("configmap.yaml")
    assert.truthy(settings:find('\n  "proxy-body-size": "20m"\n', 1, true), settings)
    assert.is_nil(settings:find("\n%s*\"?http%-snippet"), settings)
    -- Judged again without what was before.
    os.remove(made.path .. "/a.yaml")
    local output, wrong = command.run("check", made.path .. "/out/configmap.yaml",
      made.path .. "/out/ingressclass.yaml", "--configmap", "edge/settings")
    assert.equal(0, wrong, output)
  end)

  for _, words in ipairs({ {}, { "/no/such/path" }, { ".", "--no-such-option" } }) do
    it("is a mistake of usage with " .. table.concat(words, " "), function()
      local _, code = command.run("migrate", unpack(words))
      assert.equal(2, code)
    end)
  end

  it("says so where nothing can be written", function()
    local output, code = run({ ["a.yaml"] = PLAIN .. SERVICES }, "--out", "/proc/none")
    assert.truthy(output:find("--out /proc/none: ", 1, true), output)
    assert.equal(2, code)
  end)
end)
