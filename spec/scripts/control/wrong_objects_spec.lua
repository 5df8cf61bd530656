-- SPDX-License-Identifier: Apache-2.0
--
-- Objects whose shape is wrong: what there was before goes on; where there was nothing, no path is
-- open that would not be if they were right.
local control = require("spec.support.control")

local build = require("moongate.control")
local memory = require("moongate.control.translate.memory")

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
    local fault = control.fault(model, "must be a string, not the number 8")
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
