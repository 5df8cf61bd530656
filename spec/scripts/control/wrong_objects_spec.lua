-- SPDX-License-Identifier: Apache-2.0
--
-- Objects whose shape is wrong: what there was before goes on; where there was nothing, no path is
-- open that would not be if they were right.
local control = require("spec.support.control")

local build = require("moongate.control")
local memory = require("moongate.control.translate.memory")
local x509 = require("spec.support.certificates")

-- What a gateway is told one after the other. Returns a function that takes the next text.
local function gateway()
  local kept, known, before = memory.new(), {}, nil
  return function(text, options)
    options = options or {}
    options.memory = kept
    local model
    model, before =
      build.build_files(control.reader({ { "a.yaml", text } }), options, known, before)
    return model
  end
end

local SERVICES = control.services("one", "two")
local AUTH = { ["auth-type"] = "basic", ["auth-secret"] = "users" }
local SITE = control.ingress("site", "a.test", { { "/", "Prefix", "one" } })

local function admin(more, path)
  local text = control.ingress("admin", "a.test", { { path or "/admin", "Prefix", "two" } }, AUTH)
  return (text:gsub("    example.com/note: none\n", "%0" .. (more or "")))
end

local UNQUOTED = admin("    nginx.ingress.kubernetes.io/proxy-body-size: 8\n")

local function admin_route(model)
  return control.route(model, "a.test", "prefix", "/admin")
end

describe("an Ingress of wrong shape", function()
  it("is what it was before, and says so", function()
    local is_now = gateway()
    local before = admin_route(is_now(SERVICES .. SITE .. admin()))
    local model = is_now(SERVICES .. SITE .. UNQUOTED)
    assert.equal(before, admin_route(model))
    local fault = control.fault(model, "must be a string, not a number")
    assert.matches("; the version before stays in force$", fault.message)
    assert.equal("error", fault.severity)
    assert.equal(before, admin_route(is_now(SERVICES .. SITE .. UNQUOTED .. "# again\n")))
  end)

  it("is gone when it is removed, and new when it is right", function()
    local is_now = gateway()
    is_now(SERVICES .. SITE .. admin())
    is_now(SERVICES .. SITE .. UNQUOTED)
    assert.is_nil(admin_route(is_now(SERVICES .. SITE)))
    assert.equal("the Ingress is not right; see its own fault",
      admin_route(is_now(SERVICES .. SITE .. UNQUOTED)).fault)
    local model = is_now(SERVICES .. SITE .. admin("    nginx.ingress.kubernetes.io/"
      .. "proxy-body-size: '8'\n"))
    assert.equal(8, admin_route(model).settings.body_limit_bytes)
    assert.is_nil(control.fault(model, "stays in force"))
  end)

  local PATHS = { "{path: /admin, pathType: Prefix, backend: {service: {name: two}}}",
    "{path: /admin, backend: {service: {name: two, port: {number: 80}}}}",
    "{path: /admin, pathType: prefix, backend: {service: {name: two, port: {number: '80'}}}}",
    "{path: /admin, pathType: Prefix}", "{path: admin, pathType: Exact}, {path: /admin}" }
  for _, written in ipairs(PATHS) do
    it("without a version before answers 503 at " .. written, function()
      local text = admin():gsub("%- {path.-\n", function()
        return "- " .. written:gsub("}, {", "}\n      - {") .. "\n"
      end)
      local model = gateway()(SERVICES .. SITE .. text)
      assert.equal("the Ingress is not right; see its own fault", admin_route(model).fault)
      assert.is_nil(admin_route(model).service)
      assert.is_nil(control.route(model, "a.test", "prefix", "/").fault)
      assert.truthy(control.fault(model, "; its paths answer 503 until it is right"))
    end)
  end

  it("answers 503 where its TLS would be the service's own", function()
    local text = admin("    nginx.ingress.kubernetes.io/ssl-passthrough: true\n", "/")
    local model = gateway()(SERVICES .. text, { flags = { ["enable-ssl-passthrough"] = true } })
    assert.is_nil(model.passthroughs)
    assert.truthy(control.route(model, "a.test", "prefix", "/").fault)
  end)

  it("answers 503 where a wrong annotation would leave it out", function()
    local text = admin("    nginx.ingress.kubernetes.io/permanent-redirect: 8\n")
    assert.truthy(admin_route(gateway()(SERVICES .. SITE .. text)).fault)
  end)

  it("serves nothing as the alternative of another", function()
    local canary = control.ingress("z", "a.test", { { "/", "Prefix", "two" } })
      :gsub("    example.com/note: none\n", "%0    nginx.ingress.kubernetes.io/canary: true\n")
    local route = control.route(gateway()(SERVICES .. SITE .. canary), "a.test", "prefix", "/")
    assert.is_nil(route.fault)
    assert.is_nil(control.plugin(route, "canary"))
    assert.equal("default/one:80", route.service)
  end)

  for _, rules in ipairs({ "rules: {a: b}", "rules: [{host: 5}]", "rules: [x]", "{}" }) do
    it("without rules that can be read is left out: " .. rules, function()
      local text = UNQUOTED:gsub("rules:.*", rules .. "\n")
      local model = gateway()(SERVICES .. SITE .. text)
      assert.is_nil(admin_route(model))
      assert.is_nil(control.route(model, "a.test", "prefix", "/").fault)
      assert.is_nil(control.route(model, "*", "prefix", "/").fault)
    end)
  end

  it("has no part in lines of a log with a name of several lines", function()
    local text = UNQUOTED:gsub("name: admin", 'name: "ad\\nmin"')
    local model = gateway()(SERVICES .. SITE .. text)
    assert.is_nil(admin_route(model))
  end)

  it("stands back where one of its name is right", function()
    local is_now = gateway()
    is_now(SERVICES .. SITE .. admin())
    local model = is_now(SERVICES .. SITE .. UNQUOTED .. admin(nil, "/other"))
    assert.is_nil(admin_route(model))
    assert.truthy(control.route(model, "a.test", "prefix", "/other").service)
  end)
end)

describe("another object of wrong shape", function()
  it("is what it was before, slices too", function()
    local is_now = gateway()
    is_now(SERVICES .. SITE)
    local text = SERVICES:gsub("clusterIP: 10.96.0.%d", "clusterIP: 5")
      :gsub("addressType: IPv4", "addressType: 4")
    local model = is_now(text .. SITE)
    assert.equal("10.0.1.1", model.services["default/one:80"].endpoints[1].address)
    assert.equal(4, #model.faults)
  end)

  it("closes what it would guard, as a Namespace without a version before", function()
    local namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, annotations: "
      .. "{moongate.dev/plugins: key, x: %s}}\n"
    local is_now = gateway()
    local route = control.route(is_now(SERVICES .. SITE .. namespace:format("5")), "a.test",
      "prefix", "/")
    assert.equal("Namespace default is not right; see its own fault", route.fault)
    route = control.route(is_now(SERVICES .. SITE .. namespace:format("a")), "a.test", "prefix",
      "/")
    assert.is_nil(route.fault)
    assert.equal("key", route.plugins[#route.plugins].name)
  end)
end)

describe("a ConfigMap with a value that is no text", function()
  local SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ingress-nginx-controller, "
    .. "namespace: ingress-nginx}\ndata: {%s}\n"

  local function settings_of(data, is_now)
    local model = (is_now or gateway())(SETTINGS:format(data))
    return model.typed_settings, model
  end

  it("loses that key alone, and names it", function()
    local settings, model = settings_of('keep-alive: 30, block-cidrs: 10.0.0.0/8, '
      .. 'proxy-read-timeout: "7"')
    assert.same({ "10.0.0.0/8" }, settings["block-cidrs"])
    assert.equal(7000, settings["proxy-read-timeout"])
    assert.equal(75000, settings["keep-alive"])
    assert.equal('data["keep-alive"]', model.faults[1].field)
    assert.equal(1, #model.faults)
  end)

  it("acts on access as far as it can be read", function()
    assert.same({ "255.255.255.255" },
      (settings_of("whitelist-source-range: 5"))["whitelist-source-range"])
    assert.same({ "10.0.0.0/8", "10.1.0.0/16" },
      (settings_of("block-cidrs: [10.0.0.0/8, 10.1.0.0/16, x]"))["block-cidrs"])
  end)

  it("is told to whoever asks for a setting before there is anything else", function()
    local reader = control.reader({ { "a.yaml", SETTINGS:format("bind-address: 5") } })
    local _, wrong = build.settings_of_files(reader, {})
    assert.equal('data["bind-address"]', wrong["bind-address"].field)
  end)

  it("is read whatever its annotations are", function()
    local text = SETTINGS:format("block-cidrs: 10.0.0.0/8")
      :gsub("{name", "{annotations: {x: 5}, name")
    assert.same({ "10.0.0.0/8" }, gateway()(text).typed_settings["block-cidrs"])
  end)

  it("is what it was before where it cannot be read at all", function()
    local is_now = gateway()
    settings_of("block-cidrs: 10.0.0.0/8", is_now)
    local model = is_now((SETTINGS:format(""):gsub("data: {}", "data: [x]")))
    assert.same({ "10.0.0.0/8" }, model.typed_settings["block-cidrs"])
    assert.truthy(control.fault(model, "the version before stays in force"))
  end)

  it("denies paths that get fields from it", function()
    local text = control.ingress("site", "a.test", { { "/", "Prefix", "one" } },
      { ["custom-headers"] = "fields" })
    local fields = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fields}\ndata: {X-A: 5}\n"
    local route = control.route(gateway()(SERVICES .. text .. fields), "a.test", "prefix", "/")
    assert.equal("key X-A of ConfigMap default/fields is not right; see its own fault", route.fault)
  end)

  it("opens the other ports of TCP services", function()
    local ports = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tcp}\n"
      .. "data: {'9000': default/one:80, '9001': 5}\n"
    local model = gateway()(SERVICES .. ports,
      { flags = { ["tcp-services-configmap"] = "default/tcp" } })
    assert.equal(1, #model.ports)
    assert.equal(9000, model.ports[1].port)
  end)
end)

describe("a Secret that holds no certificate any more", function()
  local secure = control.ingress("site", "a.test", { { "/", "Prefix", "one" } }, nil,
    "  tls: [{hosts: [a.test], secretName: tls}]")
  local first, second
  local loaded = function(pair)
    return pair.key == "bad" and "no key" or nil
  end

  setup(function()
    first = x509.make("before", { san = "DNS:a.test" })
    second = x509.make("after", { san = "DNS:a.test" })
  end)

  local function secret(certificate, key)
    return ("apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\nstringData:\n"
      .. "  tls.crt: %q\n  tls.key: %q\n"):format(certificate, key):gsub("\\\n", "\\n")
  end

  local function served(model)
    local entry = model.certificates[1]
    return entry and entry.certificate
  end

  local function start(options)
    local is_now = gateway()
    local function serve(text)
      return is_now(SERVICES .. secure .. text, options or { loads = loaded })
    end
    assert.equal(first.certificate, served(serve(secret(first.certificate, first.key))))
    return serve
  end

  local WRONG = {
    ["with a key that does not load"] = function()
      return secret(second.certificate, "bad")
    end,
    ["without a certificate"] = function()
      return secret("AAAA", "good")
    end,
    ["that is empty"] = function()
      return secret("", "")
    end,
  }
  for what, text in pairs(WRONG) do
    it("keeps the one before: " .. what, function()
      local serve = start()
      for _ = 1, 2 do
        local model = serve(text())
        assert.equal(first.certificate, served(model))
        assert.same({ "a.test" }, model.certificates[1].names)
        local fault = control.fault(model, "; the certificate before stays in use")
        assert.equal("Ingress default/site", fault.object)
        assert.equal("spec.tls[0].secretName", fault.field)
      end
      local model = serve(secret(second.certificate, second.key))
      assert.equal(second.certificate, served(model))
      assert.same({}, model.faults)
    end)
  end

  it("keeps it where it is no base64, and where other settings come", function()
    local serve = start()
    local model = serve("apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\n"
      .. "data: {tls.crt: '!!'}\n")
    assert.equal(first.certificate, served(model))
    assert.truthy(control.fault(model, "; the version before stays in force"))
    model = serve(WRONG["that is empty"]() .. "---\napiVersion: v1\nkind: ConfigMap\nmetadata: "
      .. "{name: ingress-nginx-controller, namespace: ingress-nginx}\ndata: {keep-alive: '5'}\n")
    assert.equal(first.certificate, served(model))
  end)

  it("loses it with the Secret", function()
    local serve = start()
    assert.is_nil(served(serve("")))
    local model = serve(WRONG["that is empty"]())
    assert.is_nil(served(model))
    assert.truthy(control.fault(model, "the default certificate is used"))
  end)

  it("keeps it as the default one", function()
    local serve = start({ loads = loaded, flags = { ["default-ssl-certificate"] = "default/tls" } })
    local model = serve(WRONG["with a key that does not load"]())
    assert.equal(first.certificate, model.default_certificate.certificate)
    assert.equal("cannot be used: no key; the certificate before stays in use",
      control.fault(model, "stays in use").message:gsub("^Secret default/tls ", ""))
  end)
end)

describe("who needs an object that is not right", function()
  local NEEDS = control.ingress("site", "a.test", { { "/", "Prefix", "mute" } }, {
    ["auth-type"] = "basic", ["auth-secret"] = "users", ["default-backend"] = "mute",
    ["custom-http-errors"] = "404",
  }, "  tls: [{hosts: [a.test], secretName: users}]")
  local SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: mute}\nspec: %s\n---\n"
  local SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: users}\ndata: {auth: %s}\n"

  local function messages(model, title)
    local found = {}
    for _, fault in ipairs(model.faults) do
      if fault.object ~= title and fault.message:find(title .. " ", 1, true) then
        found[#found + 1] = fault.message:match(title .. " ([^;,]+)")
      end
    end
    return found
  end

  it("is not told that there is none", function()
    local is_now = gateway()
    for _, wrong in ipairs({ false, true, false }) do
      local model = is_now(SERVICES .. NEEDS
        .. (wrong and SERVICE:format("{ports: 5}") .. SECRET:format("'!!'") or ""))
      for _, title in ipairs({ "Service default/mute", "Secret default/users" }) do
        local said = wrong and "is not right" or "does not exist"
        assert.same({ said, said }, messages(model, title))
      end
    end
  end)
end)
