-- SPDX-License-Identifier: Apache-2.0
--
-- What mg.route may say, and what becomes of it in the model.
require("spec.support.control")

local routes = require("moongate.control.routes")
local vocabulary = require("moongate.settings")

local function empty_model(settings)
  local model = { hosts = {}, services = {}, faults = {} }
  model.typed_settings, model.settings = vocabulary.read(settings or {})
  return model
end

local function model_of(value, settings)
  local model = empty_model(settings)
  routes.add(model, { { value = value, file = "a.lua", line = 3 } }, function()
    return { "192.0.2.1" }
  end)
  return model
end

local function service_of(value)
  local model = model_of(value)
  assert.same({}, model.faults)
  return (select(2, next(model.services)))
end

local function fault_of(value)
  local fault = model_of(value).faults[1]
  return fault and fault.message
end

describe("mg.route", function()
  it("takes sockets as nginx writes them", function()
    for _, form in ipairs({ "unix:%s", "http://unix:%s", "http://unix:%s:" }) do
      local service = service_of({ to = form:format("/run/a.sock") })
      assert.same({ { address = "unix:/run/a.sock", port = 0, weight = 1 } }, service.endpoints)
      assert.equal("http", service.protocol)
      assert.is_nil(service.tls)
    end
    assert.equal("localhost", service_of({ to = "https://unix:/run/a.sock" }).tls.server_name)
  end)

  it("refuses what is no target", function()
    for _, to in ipairs({ "unix:relative", "unix:", "http://unix:/a b", "ftp://unix:/a" }) do
      assert.truthy(fault_of({ to = to }):find("to = ", 1, true))
    end
    local long = "unix:/" .. ("x"):rep(107)
    assert.truthy(fault_of({ to = long }):find("at most 107 bytes", 1, true))
    assert.is_nil(fault_of({ to = long:sub(1, -2) }))
  end)

  it("refuses targets that cannot be spoken to alike", function()
    local mixed = fault_of({ to = { "http://a.test", "https://b.test" } })
    assert.truthy(mixed and mixed:find("to mixes http:// and https://", 1, true), mixed)
    local named = fault_of({ to = { "https://a.test", "https://b.test" } })
    assert.truthy(named and named:find("two names, a.test and b.test", 1, true), named)
    assert.is_nil(fault_of({ to = { "http://a.test", "http://b.test", "unix:/run/a.sock" } }))
    assert.is_nil(fault_of({ to = { "https://192.0.2.1", "https://192.0.2.2" } }))
    local service = service_of({ to = { "https://192.0.2.1", "https://a.test:8443" } })
    assert.equal("a.test", service.tls.server_name)
  end)

  -- Settings of the gateway, those of the route, and what becomes of them.
  local RETRIES = {
    { { ["proxy-next-upstream"] = "error off" }, nil, { retry_on = {}, tries = 1 } },
    { { ["proxy-next-upstream"] = "non_idempotent", ["retry-non-idempotent"] = "true" }, nil,
      { retry_on = { "non_idempotent" } } },
    { { ["retry-non-idempotent"] = "true", ["proxy-next-upstream-tries"] = "5" }, nil,
      { retry_on = { "error", "timeout", "non_idempotent" }, tries = 5 } },
    { {}, { retry_on = { "http_503", "off" }, tries = 4 }, { retry_on = {}, tries = 1 } },
  }
  for i, case in ipairs(RETRIES) do
    it("takes retries from settings as Ingresses do, case " .. i, function()
      local model = model_of({ settings = case[2] }, case[1])
      assert.same({}, model.faults)
      assert.same(case[3], model.hosts["*"].routes[1].settings)
    end)
  end

  it("fills in what health leaves out", function()
    assert.same({
      max_fails = 0,
      fail_timeout_ms = 10000,
      slow_start_ms = 0,
      active = { path = "/healthz", interval_ms = 5000, timeout_ms = 1000, healthy = 2,
        unhealthy = 3 },
    }, service_of({ to = "http://a.test", health = { path = "/healthz" } }).health)
    assert.same({ max_fails = 2, fail_timeout_ms = 1500, slow_start_ms = 30000 },
      service_of({ to = "http://a.test", health = { max_fails = 2, fail_timeout = "1500ms",
        slow_start = "30s" } }).health)
    local one = service_of({ to = "http://a.test", health = { path = "/", status = 204 } })
    assert.same({ 204 }, one.health.active.status)
  end)

  local WRONG = {
    { { path = "healthz" }, "health.path: must begin with '/'" },
    { { path = "/", intervall = "1s" },
      'health.intervall: unknown field; did you mean "interval"?' },
    { { path = "/", interval = "1ms" }, "health.interval: must be between 100ms and 1h" },
    { { path = "/", healthy = 0 }, "health.healthy: must be between 1 and 100" },
    { { path = "/", status = 99 }, "health.status" },
    { { interval = "1s" }, "health.interval is of checks, which need a path to ask for" },
    { { max_fails = "many" }, "health.max_fails" },
  }
  for _, case in ipairs(WRONG) do
    it("says " .. case[2], function()
      local message = fault_of({ to = "http://a.test", health = case[1] })
      assert.truthy(message and message:find(case[2], 1, true), message)
    end)
  end

  -- What is declared, and the fault.
  local FAULTY = {
    { { plugins = { 5 } }, "plugins[1]: must be a string" },
    { { plugins = { "cors", {} } }, "plugins[2].name: is required" },
    { { plugins = { { name = "cors", config = 0 / 0 } } }, "config must be a table, not a number" },
    { { methods = { 5 } }, "methods[1]: must be a string" },
    { { methods = "GET" }, "methods: must be a list" },
    { { headers = { { type = "present" } } }, "headers[1].name: is required" },
    { { headers = { { name = "x", type = "regex" } } }, '"value" is required when type = "regex"' },
    { { query = { { name = "x", value = 5 } } }, "query[1].value: must be a string, not a number; "
      .. "put it in quotes" },
    { { settings = { read_timout_ms = 5 } },
      'settings.read_timout_ms: unknown field; did you mean "read_timeout_ms"?' },
    { { settings = { read_timeout_ms = "abc" } }, "settings.read_timeout_ms: must be a number" },
    { { settings = { retry_on = { "eror" } } }, 'did you mean "error"?' },
    { { balance = "least_conn" }, "balance: must be one of round_robin, least_requests, ewma" },
    { { match = "glob" }, "match: must be one of prefix, exact, regex" },
    { { to = {} }, "to: " },
    { { to = { "http://127.0.0.1:1", 5 } }, "to[2]: must be a string" },
    { { priority = 0.5 }, "priority: must be a whole number" },
  }
  for i, case in ipairs(FAULTY) do
    it(("loses no other route by fault %d: %s"):format(i, case[2]), function()
      local model = empty_model()
      routes.add(model, {
        { value = case[1], file = "a.lua", line = 3 },
        { value = { host = "b.test", to = "http://127.0.0.1:1" }, file = "a.lua", line = 9 },
      })
      local fault = model.faults[1]
      assert.truthy(fault and fault.message:find(case[2], 1, true), fault and fault.message)
      assert.same({ "a.lua", 3 }, { fault.file, fault.line })
      assert.is_nil(model.hosts["*"])
      assert.equal(1, #model.hosts["b.test"].routes)
    end)
  end
end)
