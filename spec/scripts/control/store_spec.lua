-- SPDX-License-Identifier: Apache-2.0
local control = require("spec.support.control")
local files = require("moongate.control.source.files")
local store = require("moongate.control.store")

local function fill(text)
  local held = store.new()
  for _, object in ipairs(files.read(control.reader({ { "a.yaml", text } }))) do
    store.add(held, object)
  end
  return held
end

local SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\n%s\n"

describe("store", function()
  it("puts objects without a namespace into default", function()
    local held = fill(SECRET:format("a", ""))
    assert.equal("Secret default/a", store.get(held, "Secret", "default/a").title)
  end)

  it("decodes data and lets stringData win", function()
    local held = fill(SECRET:format("a", "data: {x: Zm9v, y: YmFyCg==}\nstringData: {x: text}"))
    assert.same({ x = "text", y = "bar\n" }, store.get(held, "Secret", "default/a").data)
  end)

  it("leaves a Secret out whose data is not base64", function()
    local held = fill(SECRET:format("a", "data: {x: '***'}"))
    assert.is_nil(store.get(held, "Secret", "default/a"))
    assert.equal("data.x", held.faults[1].field)
  end)

  it("reports the later one of two objects with one name", function()
    local held = fill(SECRET:format("a", "") .. "---\n" .. SECRET:format("a", ""))
    assert.equal(1, #held.faults)
    assert.equal(8, held.faults[1].line)
    assert.truthy(held.faults[1].message:find("first in a.yaml:1", 1, true))
  end)

  it("counts kinds that it does not read, without a fault", function()
    local held = fill("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\n"
      .. "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: x}\n")
    assert.same({}, held.faults)
    assert.same({ ["apps/v1 Deployment"] = 1, ["serving.knative.dev/v1 Service"] = 1 },
      held.ignored)
  end)

  it("names the right version of a kind that it reads", function()
    local held = fill("apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: x}\n")
    assert.equal("extensions/v1beta1 is not read; write networking.k8s.io/v1",
      held.faults[1].message)
  end)

  local WRONG = {
    { "metadata: {name: Upper}", "metadata.name" },
    { "metadata: {name: off}", "metadata.name" },
    { "metadata: {namespace: b}", "metadata.name" },
    { "metadata: {name: a, namespace: b/c}", "metadata.namespace" },
    { "metadata: {name: a, annotations: {x: true}}", "annotations.x" },
    { "metadata: {name: a}\ndata: {'../x': ''}", 'data["../x"]' },
    { "metadata: {name: a}\ndata: [x]", "data" },
    { "spec: {}", "metadata" },
  }
  for _, case in ipairs(WRONG) do
    it("refuses a Secret with " .. case[1]:gsub("\n", " "), function()
      local held = fill("apiVersion: v1\nkind: Secret\n" .. case[1] .. "\n")
      assert.same({}, held.objects.Secret)
      assert.equal(case[2], held.faults[1].field)
      assert.equal("error", held.faults[1].severity)
    end)
  end

  local INGRESS = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec: %s\n"
  local PATHS = "{rules: [{%s, http: {paths: [{path: /, pathType: %s, backend: %s}]}}]}"
  local SPECS = {
    { "{}", "spec.rules" },
    { PATHS:format("host: '*.*.test'", "Prefix", "{service: {name: a, port: {number: 1}}}"),
      "spec.rules[0].host" },
    { PATHS:format("host: 10.0.0.1", "Prefix", "{service: {name: a, port: {number: 1}}}"),
      "spec.rules[0].host" },
    { PATHS:format("host: a.test", "Regex", "{service: {name: a, port: {number: 1}}}"),
      "spec.rules[0].http.paths[0].pathType" },
    { PATHS:format("host: a.test", "Prefix", "{service: {name: a, port: {number: 70000}}}"),
      "spec.rules[0].http.paths[0].backend.service.port.number" },
    { PATHS:format("host: a.test", "Prefix", "{service: {name: a, port: {}}}"),
      "spec.rules[0].http.paths[0].backend.service.port.number" },
    { PATHS:format("host: a.test", "Prefix", "{service: {name: a}}"),
      "spec.rules[0].http.paths[0].backend.service.port" },
    { PATHS:format("host: a.test", "Prefix", "{}"),
      "spec.rules[0].http.paths[0].backend.service" },
  }
  for _, case in ipairs(SPECS) do
    it("refuses an Ingress with " .. case[1], function()
      local held = fill(INGRESS:format(case[1]))
      assert.same({}, held.objects.Ingress)
      assert.equal(case[2], held.faults[1].field)
    end)
  end

  it("only warns of an unknown field and names the nearest", function()
    local text = PATHS:format("hots: x, host: a.test", "Prefix",
      "{service: {name: a, port: {number: 1}}}")
    local held = fill(INGRESS:format(text))
    assert.is_not_nil(held.objects.Ingress["default/a"])
    assert.equal("warning", held.faults[1].severity)
    assert.equal('unknown field; did you mean "host"?', held.faults[1].message)
  end)

  it("finds the slices of a Service by their label", function()
    local slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
      .. "metadata: {name: %s, namespace: team, labels: {kubernetes.io/service-name: web}}\n"
      .. "addressType: IPv4\nendpoints: []\n---\n"
    local held = fill(slice:format("one") .. slice:format("two"))
    assert.equal(2, #held.slices["team/web"])
  end)
end)
