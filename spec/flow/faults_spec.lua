-- SPDX-License-Identifier: Apache-2.0
--
-- One object is wrong: it alone answers 503, it is named once, and mending its file mends it.
local certificates = require("spec.support.certificates")
local json = require("moongate.api.json")
local manifests = require("spec.support.manifests")
local t = require("moongate.test")

local PLUGIN = [[
local mg = require("moongate")
return mg.plugin({
  name = "tag",
  config = mg.schema.record({ text = mg.schema.string():required() }),
  response = function(ctx, conf) ctx.response:set_header("x-tag", conf.text) end,
})
]]

local function ingress(annotations, secret)
  return manifests.ingress("probed", { host = "probed.test", service = "web", secret = secret,
    annotations = annotations })
end

local function tagged(config)
  return ingress({ ["moongate.dev/plugins"] = "tag", ["moongate.dev/config.tag"] = config })
end

describe("one object that is wrong", function()
  local gateway, client, base

  setup(function()
    gateway = t.gateway({ workers = 2 })
    local app = gateway:upstream("app", true)
    gateway.options.scripts = { ["tag.lua"] = PLUGIN }
    base = manifests.join(
      manifests.CLASS,
      manifests.service("web", { app.port }),
      manifests.ingress("good", { host = "good.test", service = "web" }),
      manifests.ingress("plain", { host = "plain.test", service = "web" })
    )
    gateway.options.manifests = { ["base.yaml"] = base, ["probed.yaml"] = ingress() }
    gateway:start()
    client = gateway:client()
  end)

  teardown(function()
    gateway:stop()
  end)

  local function status(host, path)
    return client:request({ host = host, path = path or "/" }).status
  end

  local function snapshot()
    local admin = gateway:admin()
    local page = json.decode(admin:get("/snapshot").body)
    admin:close()
    return page
  end

  local function count_logs(text)
    local count = 0
    for _, entry in ipairs(gateway:logs("fault")) do
      count = count + (entry.fault:find(text, 1, true) and 1 or 0)
    end
    return count
  end

  -- Writes probed.yaml, and waits until that is what is published.
  local function write(text, file)
    local before = #gateway:logs("published")
    gateway:write({ [file or "probed.yaml"] = text })
    gateway:wait_log("published", before + 1)
    local number = tonumber(gateway:logs("published")[before + 1].snapshot)
    t.wait_until(function()
      for _, served in ipairs(snapshot().serves) do
        if served < number then
          return false
        end
      end
      return true
    end, "all workers to serve it")
  end

  before_each(function()
    if status("probed.test") ~= 200 then
      write(ingress())
    end
    assert.are.equal(200, status("probed.test"))
  end)

  for what, case in pairs({
    ["an annotation that guards it with a wrong value"] = {
      text = ingress({ ["nginx.ingress.kubernetes.io/whitelist-source-range"] = "10.0.0.0/99" }),
      named = "whitelist-source-range",
    },
    ["an annotation that is refused"] = {
      text = ingress({ ["nginx.ingress.kubernetes.io/configuration-snippet"] = "return 200;" }),
      named = "configuration-snippet",
    },
    ["an unknown plugin"] = {
      text = ingress({ ["moongate.dev/plugins"] = "tags" }),
      named = 'unknown plugin "tags"',
    },
    ["a misspelt annotation that would name a plugin"] = {
      text = ingress({ ["moongate.dev/plugin"] = "tag" }),
      named = "did you mean moongate.dev/plugins?",
    },
    ["the configuration of a plugin that it does not name"] = {
      text = ingress({ ["moongate.dev/config.tag"] = "{text: a}" }),
      named = "does not name the plugin tag",
    },
    ["a plugin's configuration with an unknown field"] = {
      text = tagged("{text: a, txet: b}"),
      named = "txet",
    },
    ["a plugin's configuration without what it needs"] = {
      text = tagged("{}"),
      named = "config.text: is required",
    },
    ["a plugin's configuration that is no YAML"] = {
      text = tagged("{text: "),
      named = "did not find expected node content",
    },
    ["a pattern that is wrong"] = {
      text = manifests.ingress("probed", { host = "probed.test", service = "web", paths = { "/(" },
        annotations = { ["nginx.ingress.kubernetes.io/use-regex"] = "true" } }),
      named = "/(",
      absent = true, -- a pattern that matches nothing has no request to answer
    },
  }) do
    it(("has %s"):format(what), function()
      write(case.text)
      if not case.absent then
        assert.are.equal(503, status("probed.test"))
      end
      assert.are.equal(200, status("good.test"))
      assert.are.equal(1, count_logs(case.named))
      assert.truthy(gateway:wait_log("fault", #gateway:logs("fault")).fault:find("probed", 1, true))
      local page = snapshot()
      assert.is_true(page.errors >= 1)
      assert.truthy(json.encode(page.faults):find("probed", 1, true))
      assert.is_true(gateway:metrics("moongate_config_faults", { severity = "error" }) >= 1)
      -- Another change says nothing of it again.
      write(PLUGIN .. "\n", "tag.lua")
      assert.are.equal(1, count_logs(case.named))
      write(PLUGIN, "tag.lua")
      -- Mended without a restart.
      write(ingress())
      assert.are.equal(200, status("probed.test"))
      assert.are.equal(0, snapshot().errors)
      assert.are.equal(0, gateway:metrics("moongate_config_faults", { severity = "error" }))
    end)
  end

  it("has a value that is no time: the default holds, as in ingress-nginx; a warning", function()
    write(ingress({ ["nginx.ingress.kubernetes.io/proxy-read-timeout"] = "soon" }))
    assert.are.equal(200, status("probed.test"))
    assert.are.equal(1, snapshot().warnings)
    assert.are.equal(1, count_logs("proxy-read-timeout"))
    write(ingress())
    assert.are.equal(0, snapshot().warnings)
  end)

  it("is a file that is no YAML any more: what it held goes on", function()
    write("apiVersion: v1\nkind: [unclosed\n")
    assert.are.equal(200, status("good.test"))
    assert.are.equal(200, status("probed.test"))
    assert.are.equal(1, snapshot().errors)
    assert.truthy(json.encode(snapshot().faults):find("probed.yaml", 1, true))
    write("kind: [unclosed\n", "base.yaml")
    assert.are.equal(200, status("good.test"))
    write(ingress())
    write(base, "base.yaml")
    assert.are.equal(200, status("probed.test"))
    assert.are.equal(0, snapshot().errors)
  end)

  it("is a bad document in a file of good ones", function()
    write(manifests.join(ingress(), "apiVersion: v1\nkind: Service\nmetadata: nothing\n"))
    assert.are.equal(200, status("good.test"))
    assert.are.equal(200, status("probed.test"))
    assert.is_true(snapshot().errors >= 1)
    write(ingress())
    assert.are.equal(0, snapshot().errors)
  end)

  it("has no quotes where it guards a path: the version before stays in force", function()
    local guarded = manifests.ingress("guard", { host = "probed.test", service = "web",
      paths = { "/admin" }, annotations = { ["moongate.dev/plugins"] = "none-such", x = "a" } })
    write(manifests.join(ingress(), guarded))
    assert.are.equal(503, status("probed.test", "/admin"))
    write(manifests.join(ingress(), (guarded:gsub('x: "a"', "x: 8"))))
    assert.are.equal(503, status("probed.test", "/admin"))
    assert.are.equal(200, status("probed.test"))
    assert.are.equal(1, count_logs("stays in force"))
    gateway:reload() -- what is kept is kept
    assert.are.equal(503, status("probed.test", "/admin"))
    write(ingress())
    assert.are.equal(200, status("probed.test", "/admin"))
  end)

  it("is there twice: one of them serves, and that is told", function()
    write(manifests.join(ingress(), ingress()))
    assert.are.equal(200, status("probed.test"))
    assert.are.equal(200, status("good.test"))
    local page = snapshot()
    assert.is_true(page.errors + page.warnings >= 1)
    assert.truthy(json.encode(page.faults):find("probed", 1, true))
    write(ingress())
    page = snapshot()
    assert.are.equal(0, page.errors)
  end)

  it("is a certificate beside a good one: only that name has the default one", function()
    local made = certificates.make("faults", { cn = "good-cn", san = "DNS:good.test" })
    local function served(name)
      local pipe = io.popen(("openssl s_client -connect 127.0.0.1:%d -servername %s </dev/null "
        .. "2>/dev/null | openssl x509 -noout -subject"):format(gateway.https_port, name))
      local text = pipe:read("*a")
      pipe:close()
      return text
    end
    local good = manifests.join(
      manifests.secret("good", made),
      manifests.ingress("secured", { host = "good.test", service = "web", secret = "good",
        paths = { "/secured" } })
    )
    for _, broken in ipairs({
      { certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        key = made.key },
      { certificate = made.certificate, key = "no key\n" },
      { certificate = made.certificate,
        key = certificates.make("faults-other", { cn = "other" }).key },
    }) do
      write(manifests.join(good, manifests.secret("bad", broken), ingress(nil, "bad")))
      assert.truthy(served("good.test"):find("good%-cn"))
      assert.is_nil(served("probed.test"):find("good%-cn"))
      assert.are.equal(200, status("plain.test"))
      local page = snapshot()
      assert.is_true(page.errors >= 1)
      assert.truthy(json.encode(page.faults):find("bad", 1, true))
    end
    local mended = certificates.make("faults-new", { cn = "mended-cn", san = "DNS:probed.test" })
    write(manifests.join(good, manifests.secret("bad", mended), ingress(nil, "bad")))
    assert.truthy(served("probed.test"):find("mended%-cn"))
    assert.are.equal(0, snapshot().errors)
    -- Broken again, the name has what it had, for as long as there is the Secret.
    local other = { certificate = mended.certificate, key = made.key }
    write(manifests.join(good, manifests.secret("bad", other), ingress(nil, "bad")))
    assert.truthy(served("probed.test"):find("mended%-cn"))
    assert.truthy(json.encode(snapshot().faults):find("certificate before stays in use", 1, true))
    write(manifests.join(good, ingress(nil, "bad")))
    assert.is_nil(served("probed.test"):find("mended%-cn"))
    write(ingress())
  end)
end)
