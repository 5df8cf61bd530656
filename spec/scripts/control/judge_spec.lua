-- SPDX-License-Identifier: Apache-2.0
local control = require("spec.support.control")

local judge = require("moongate.control.judge")
local mg = require("moongate")

local function plugin(definition)
  definition.access = definition.access or function() end
  return mg.plugin(definition)
end

local INGRESS = [[
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    moongate.dev/plugins: "limit"
    moongate.dev/config.limit: %s
spec:
  ingressClassName: nginx
  rules:
  - host: a.test
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: svc-a, port: {number: 80}}}}
      - {path: /b, pathType: Prefix, backend: {service: {name: svc-a, port: {number: 80}}}}
]]

local function judged(config, plugins)
  local text = control.services("svc-a")
  local _, lines = text:gsub("\n", "")
  local model = control.build(text .. INGRESS:format(config))
  judge.new(plugins):model(model)
  return model, lines
end

local function limit()
  local config = mg.schema.record({ n = mg.schema.integer():required() })
  return plugin({ name = "limit", config = config })
end

local function route(plugins, source)
  return { id = "r", path = { type = "prefix", value = "/" }, plugins = plugins, source = source }
end

local function model_of(routes)
  return { hosts = { ["a.test"] = { routes = routes } }, faults = {}, origins = {} }
end

describe("the judge of plugins", function()
  it("leaves a sound model as it is", function()
    local model = judged('"{n: 3}"', { limit() })
    assert.same({}, model.faults)
    assert.is_nil(model.hosts["a.test"].routes[1].fault)
  end)

  it("tells an object's fault once and closes all its routes", function()
    local model, lines = judged('"{m: 3, n: 1}"', { limit() })
    assert.equal(1, #model.faults)
    local fault = model.faults[1]
    assert.equal(
      'plugin limit: config.m: unknown field; did you mean "n"?; its routes answer 503',
      fault.message
    )
    assert.equal('annotations["moongate.dev/config.limit"]', fault.field)
    assert.equal("Ingress default/web", fault.object)
    assert.equal(lines + 7, fault.line)
    for _, one in ipairs(model.hosts["a.test"].routes) do
      assert.equal(fault.message, one.fault)
    end
    assert.is_nil(model.hosts["*"].routes[1].fault)
  end)

  it("finds the line within a text of several lines", function()
    local model, lines = judged("|\n      # why\n      n: x\n", { limit() })
    assert.equal(lines + 9, model.faults[1].line)
  end)

  it("never takes an unknown plugin for none", function()
    local model = judged('"{n: 3}"', {})
    assert.matches('unknown plugin "limit"', model.hosts["a.test"].routes[1].fault, 1, true)
    assert.equal('annotations["moongate.dev/config.limit"]', model.faults[1].field)
  end)

  it("takes an error of prepare for a fault", function()
    local broken = plugin({
      name = "broken",
      prepare = function()
        error("no such file", 0)
      end,
    })
    local source = { kind = "Script", file = "a.lua", line = 3 }
    local model = model_of({ route({ { name = "broken" } }, source) })
    judge.new({ broken }):model(model)
    local fault = model.faults[1]
    assert.equal("plugin broken: no such file; its routes answer 503", fault.message)
    assert.same({ "mg.route", "a.lua", 3 }, { fault.object, fault.file, fault.line })
  end)

  it("keeps from the snapshot what cannot be told there", function()
    local config = { n = function() end }
    local model = model_of({ route({ { name = "limit", config = config } }) })
    judge.new({ limit() }):model(model)
    local judged_route = model.hosts["a.test"].routes[1]
    assert.equal("plugin limit: config: a function cannot be told in JSON; its routes answer 503",
      judged_route.fault)
    assert.is_nil(judged_route.plugins)
  end)

  it("finds plugins that want to come after each other", function()
    local a = plugin({ name = "a", after = { "b" }, config = mg.schema.record({}) })
    local b = plugin({ name = "b", after = { "a" }, config = mg.schema.record({}) })
    local model = model_of({ route({ { name = "a" }, { name = "b" } }) })
    judge.new({ a, b }):model(model)
    assert.matches("each want to come after the other", model.hosts["a.test"].routes[1].fault)
  end)

  it("keeps tables that are judged again as they are", function()
    local routes = { route({ { name = "gone" } }) }
    local model = model_of(routes)
    judge.new({}):model(model)
    assert.is_string(model.hosts["a.test"].routes[1].fault)
    assert.is_nil(routes[1].fault)
    local again = model_of(routes)
    judge.new({ plugin({ name = "gone", config = mg.schema.record({}) }) }):model(again)
    assert.is_nil(again.hosts["a.test"].routes[1].fault)
  end)

  it("passes warnings on without closing anything", function()
    local old = plugin({
      name = "old",
      config = mg.schema.record({ a = mg.schema.integer():deprecated({ use = "b" }) }),
    })
    local model = model_of({ route({ { name = "old", config = { a = 1 } } }) })
    judge.new({ old }):model(model)
    assert.equal("warning", model.faults[1].severity)
    assert.is_nil(model.hosts["a.test"].routes[1].fault)
  end)
end)
