-- SPDX-License-Identifier: Apache-2.0
--
-- What is wrong with one object, file or script is told of it, and holds nothing else up.
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local nobody = require("spec.support.nobody")
local t = require("moongate.test")

local GOOD = manifests.join(manifests.CLASS, manifests.service("web", { "${app.port}" }))

local function with_ingress(name, text)
  return manifests.ingress(name, { host = name .. ".test", service = "web" }) .. (text or "")
end

describe("while something else is wrong, the gateway", function()
  local gateway

  local function start(options)
    options.upstreams = { app = true }
    gateway = t.gateway(options):start()
  end

  after_each(function()
    gateway:stop()
  end)

  local function status(host, headers)
    headers = headers or {}
    headers.Host = host .. ".test"
    return gateway:client():get("/", headers).status
  end

  local function faults()
    local page = mg.json.decode(gateway:admin():get("/snapshot").body)
    local found = {}
    for i, fault in ipairs(page.faults) do
      found[i] = ("%s: %s: %s"):format(fault.file:match("[^/]*$"), fault.field, fault.message)
    end
    return table.concat(found, "\n")
  end

  for what, case in pairs({
    ["a size of 320 digits"] = {
      manifests.ingress("bad", { host = "bad.test", service = "web",
        annotations = manifests.annotations({ ["proxy-body-size"] = ("9"):rep(320) .. "m" }) }),
      "must be less than 2%^53 bytes" },
    ["a path that is a number"] = {
      (with_ingress("bad"):gsub("{path: /,", "{path: 8080,")),
      "spec%.rules%[0%]%.http%.paths%[0%]%.path: must be a string, not a number" },
    ["rules that are a number"] = {
      (with_ingress("bad"):gsub("rules:.*", "rules: 1\n")),
      "spec%.rules: must be a list, not a number" },
    ["a text that is too long to be told whole"] = {
      (with_ingress("bad"):gsub("{path: /,", '{path: "/x' .. ("\195\169"):rep(301) .. '",')),
      "\195\169 \226\128\166 \195\169" },
  }) do
    it("serves what is right, beside " .. what, function()
      start({ manifests = { ["a.yaml"] = GOOD, ["bad.yaml"] = "", ["good.yaml"] = "" } })
      gateway:write({ ["bad.yaml"] = case[1], ["good.yaml"] = with_ingress("good") })
      gateway:reload()
      assert.equal(200, status("good"))
      assert.matches("bad.yaml: .*" .. case[2], faults())
      assert.same({}, gateway:logs("refresh_failed"))
    end)
  end

  it("loads scripts whose bytes are not UTF-8", function()
    start({ scripts = { ["a.lua"] = 'require("moongate").route({ to = "${app}" })\n' } })
    gateway:write({ ["a.lua"] = [[
      local mg = require("moongate") -- gr]] .. "\252\223" .. [[e
      mg.route({ to = "${app}" })
      return mg.plugin({ name = "greets", access = function(ctx)
        ctx:respond(200, "gr]] .. "\252\223" .. [[e")
      end })
    ]] })
    gateway:wait_log("published", 2)
    t.wait_until(function()
      return gateway:client():get("/").body == "gr\252\223e"
    end, "the new script")
  end)

  it("takes Secrets as bytes: passwords and what stands before a certificate", function()
    local authority = certificates.make("wrong-objects-ca", { ca = true })
    local before = "  Issuer: Z\252rich\n"
    start({ manifests = { ["a.yaml"] = manifests.join(GOOD,
      manifests.ingress("users", { host = "users.test", service = "web",
        annotations = manifests.annotations({ ["auth-type"] = "basic", ["auth-secret"] = "users" })
      }),
      ([[
apiVersion: v1
kind: Secret
metadata: {name: users}
data: {auth: %s}
]]):format(mg.base64.encode("bob:{SHA}abc\255\na:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")),
      manifests.service("nobody", { nobody.port() }),
      manifests.ingress("tls", { host = "tls.test", service = "nobody",
        annotations = manifests.annotations({ ["backend-protocol"] = "HTTPS",
          ["proxy-ssl-secret"] = "default/authority", ["proxy-ssl-verify"] = "on" }) }),
      ([[
apiVersion: v1
kind: Secret
metadata: {name: authority}
data: {ca.crt: %s}
]]):format(mg.base64.encode(before .. authority.certificate))) } })
    assert.equal(401, status("users"))
    local known = "Basic " .. mg.base64.encode("a:password")
    assert.equal(200, status("users", { Authorization = known }))
    assert.equal(502, status("tls")) -- nobody is there
    assert.same({}, gateway:logs("script_failed"))
    local explained = gateway:admin():get("/explain?url=http://users.test/%25ff")
    assert.equal(200, explained.status)
    assert.truthy(mg.json.decode(explained.body))
    local refused = gateway:admin():get("/explain?url=http://users.test/&client=garbage")
    assert.same({ 400, 'client "garbage": it is no IP address\n' },
      { refused.status, refused.body })
    refused = gateway:admin():get("/explain?url=http://users.test/&header=foo")
    assert.same({ 400, 'header "foo": write Name: value\n' }, { refused.status, refused.body })
  end)

  it("serves nothing before the ConfigMap of its settings has been right once", function()
    local function settings(data)
      return ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: gateway}\ndata: %s\n"):format(data)
    end
    gateway = t.gateway({ args = { "--configmap=default/gateway" }, upstreams = { app = true },
      manifests = { ["a.yaml"] = GOOD .. "---\n" .. with_ingress("good"),
        ["b.yaml"] = settings("[block-cidrs]") } }):start("settings_unknown")
    assert.equal(503, status("good"))
    gateway:write({ ["b.yaml"] = settings('{block-cidrs: "127.0.0.0/8"}') })
    gateway:wait_log("serving")
    assert.equal(403, status("good"))
    gateway:write({ ["b.yaml"] = settings("[block-cidrs]") })
    gateway:reload()
    assert.equal(403, status("good"))
  end)

  it("tells where a script says a wrong setting", function()
    start({ args = { "--set", "keep-alive=5s" }, scripts = { ["a.lua"] = [[
      local mg = require("moongate")
      mg.route({ to = "${app}" })
      mg.settings({ proxy_read_timout = "5s", keep_alive = "never" })
    ]] } })
    assert.equal(1, #gateway:logs("fault"))
    assert.matches("a%.lua:3:%d*:? ?mg%.settings: proxy%-read%-timout: unknown setting",
      gateway:logs("fault")[1].fault)
  end)

  it("tells of flags that name nothing", function()
    start({ args = { "--configmap=edge", "--default-backend-service=edge",
      "--tcp-services-configmap=edge/none" }, manifests = { ["a.yaml"] = GOOD } })
    local said = {}
    for i, entry in ipairs(gateway:logs("fault")) do
      said[i] = entry.fault
    end
    table.sort(said)
    assert.matches('^%-%-configmap: "edge" is no namespace/name .*; all settings have', said[1])
    assert.matches('^%-%-default%-backend%-service: "edge" is no namespace/name', said[2])
    assert.matches("^%-%-tcp%-services%-configmap: ConfigMap edge/none does not exist", said[3])
  end)

  it("believes fewer proxies where one entry of the list is wrong, never all", function()
    start({ args = { "--configmap=default/gateway" }, manifests = { ["a.yaml"] =
      manifests.join(GOOD, [[
apiVersion: v1
kind: ConfigMap
metadata: {name: gateway}
data:
  use-forwarded-headers: "true"
  proxy-real-ip-cidr: "10.0.0.0/8, 10.1.0.0/33"
]], manifests.ingress("inner", { host = "inner.test", service = "web",
        annotations = manifests.annotations({ ["whitelist-source-range"] = "10.9.9.9/32" }) })) } })
    assert.equal(403, status("inner", { ["X-Forwarded-For"] = "10.9.9.9" }))
    assert.matches("10%.1%.0%.0/33", faults())
  end)
end)
