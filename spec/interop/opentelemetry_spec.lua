-- SPDX-License-Identifier: Apache-2.0
--
-- Spans in a collector of gRPC's own library, read by OpenTelemetry's own messages.
local json = require("moongate.api.json")
local mg = require("moongate")
local program = require("spec.support.program")
local t = require("moongate.test")

local TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
local SAMPLED = ("00-%s-%s-01"):format(TRACE, PARENT)

local SPANS = "moongate_opentelemetry_spans_total"

describe("a collector of OpenTelemetry", function()
  local packages, collector, gateway

  setup(function()
    local ran = program.run({ "spec/interop/packages" }, 120)
    assert(ran.code == 0, ran.errors)
    packages = ran.output
  end)

  local function start(flags, settings)
    collector = program.serve({ "env", "PYTHONPATH=" .. packages, program.PYTHON,
      "spec/interop/otlp_collector.py", unpack(flags) })
    local all = { ["enable-opentelemetry"] = true, ["otlp-collector-host"] = "localhost",
      ["otlp-collector-port"] = collector.port, ["otel-schedule-delay-millis"] = 50 }
    for name, value in pairs(settings or {}) do
      all[name] = value
    end
    gateway = t.gateway({ settings = all, upstreams = { app = true },
      scripts = 'require("moongate").route({ path = "/shop", to = "${app}" })\n' }):start()
  end

  after_each(function()
    gateway:stop()
    collector:close()
  end)

  -- The messages so far.
  local function calls()
    local list = {}
    for _, line in ipairs(collector.lines) do
      list[#list + 1] = line:sub(1, 1) == "{" and json.decode(line) or nil
    end
    return list
  end

  local function wait_calls(count)
    t.wait_until(function()
      return #calls() >= count
    end, count .. " messages")
    return calls()
  end

  local function wait_spans(result, count)
    t.wait_until(function()
      return gateway:metrics(SPANS, { result = result }) == count
    end, ("%d spans that are %s"):format(count, result))
  end

  local function attributes_of(list)
    local map = {}
    for _, pair in ipairs(list) do
      map[pair.key] = pair.value.string_value or tonumber(pair.value.int_value)
    end
    return map
  end

  local function hex(base64)
    return mg.crypto.hex(assert(mg.base64.decode(base64)))
  end

  it("reads a span as it was meant", function()
    start({}, { ["otel-service-name"] = "edge" })
    local before = mg.time.now()
    local response = gateway:client():request({ path = "/shop/caf%C3%A9?secret", method = "PUT",
      headers = { Host = "a.test:8080", traceparent = SAMPLED, tracestate = "a=1,b=2",
        ["User-Agent"] = "caf\233/\195\169" } })
    assert.equal(200, response.status)
    local resource_spans = wait_calls(1)[1].message.resource_spans
    assert.equal(1, #resource_spans)
    assert.same({ ["service.name"] = "edge" },
      attributes_of(resource_spans[1].resource.attributes))
    local scope_spans = resource_spans[1].scope_spans[1]
    assert.equal("moongate", scope_spans.scope.name)
    local span = scope_spans.spans[1]
    local told = gateway:upstream("app"):request(1):header("traceparent")
    assert.equal(told, ("00-%s-%s-01"):format(hex(span.trace_id), hex(span.span_id)))
    assert.same({ TRACE, PARENT, "a=1,b=2", "PUT /shop", "SPAN_KIND_SERVER" },
      { hex(span.trace_id), hex(span.parent_span_id), span.trace_state, span.name, span.kind })
    local began, ended = tonumber(span.start_time_unix_nano), tonumber(span.end_time_unix_nano)
    assert.truthy(began <= ended and began / 1e9 >= before - 1 and ended / 1e9 <= mg.time.now() + 1)
    local attributes = attributes_of(span.attributes)
    assert.is_number(attributes["client.port"])
    attributes["client.port"] = nil
    assert.same({
      ["http.request.method"] = "PUT",
      ["url.scheme"] = "http",
      ["url.path"] = "/shop/caf%C3%A9",
      ["http.route"] = "/shop",
      ["http.response.status_code"] = 200,
      ["server.address"] = "a.test",
      ["server.port"] = 8080,
      ["client.address"] = "127.0.0.1",
      ["network.peer.address"] = "127.0.0.1",
      ["network.protocol.name"] = "http",
      ["network.protocol.version"] = "1.1",
      ["user_agent.original"] = "caf\239\191\189/\195\169",
    }, attributes)
    wait_spans("exported", 1)
  end)

  it("reads the status of what fails", function()
    start({})
    gateway:upstream("app"):answer({ status = 503 })
    assert.equal(503, gateway:client():get("/shop").status)
    local span = wait_calls(1)[1].message.resource_spans[1].scope_spans[1].spans[1]
    assert.equal("STATUS_CODE_ERROR", span.status.code)
    assert.is_nil(span.parent_span_id)
  end)

  it("gets many spans in batches, each once", function()
    start({}, { ["otel-max-export-batch-size"] = 100, ["otel-max-queuesize"] = 5000 })
    local client = gateway:client()
    for _ = 1, 1000 do
      assert.equal(200, client:get("/shop").status)
    end
    gateway:stop()
    local seen, count = {}, 0
    for _, call in ipairs(calls()) do
      local spans = call.message.resource_spans[1].scope_spans[1].spans
      assert.truthy(#spans <= 100)
      for _, span in ipairs(spans) do
        assert.is_nil(seen[span.span_id])
        seen[span.span_id], count = true, count + 1
      end
    end
    assert.equal(1000, count)
  end)

  -- How the first calls fail.
  for what, flags in pairs({
    ["is not there yet"] = { "--fail", "UNAVAILABLE" },
    ["says when to come back"] = { "--fail", "UNAVAILABLE=0.01", "--fail", "UNAVAILABLE=0.01" },
    ["has no room for a while"] = { "--fail", "RESOURCE_EXHAUSTED=0.02" },
  }) do
    it("gets a span again when it " .. what, function()
      start(flags)
      gateway:client():get("/shop")
      local all = wait_calls(#flags / 2 + 1)
      assert.same(all[1].message, all[#all].message)
      wait_spans("exported", 1)
      assert.is_nil(gateway:logs("opentelemetry_spans_lost")[1])
    end)
  end

  it("gets a span once when it has no room and does not say until when", function()
    start({ "--fail", "RESOURCE_EXHAUSTED" })
    gateway:client():get("/shop")
    wait_spans("failed", 1)
    assert.equal("resource_exhausted: grpc-status 8: as the flags say",
      gateway:wait_log("opentelemetry_spans_lost").error)
    assert.equal(1, #calls())
  end)

  it("tells of spans that it rejects", function()
    start({ "--reject", "1" })
    gateway:client():get("/shop")
    wait_spans("rejected", 1)
    assert.equal("too many", gateway:wait_log("opentelemetry_spans_lost").error)
  end)
end)
