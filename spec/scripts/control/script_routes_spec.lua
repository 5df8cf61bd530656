-- SPDX-License-Identifier: Apache-2.0
--
-- What mg.route may say, and what becomes of it in the model.
require("spec.support.control")

local routes = require("moongate.control.routes")

local function model_of(value)
  local model = { hosts = {}, services = {}, faults = {} }
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
end)
