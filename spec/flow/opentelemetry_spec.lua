-- SPDX-License-Identifier: Apache-2.0
--
-- Traces through the gateway as an Ingress, the ConfigMap or a script asks for them, and a
-- collector that is well, gone, slow or odd.
local h2 = require("spec.support.h2")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local nobody = require("spec.support.nobody")
local otlp = require("spec.support.otlp")
local t = require("moongate.test")

local PREFIX = "nginx.ingress.kubernetes.io/"

local TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
local SAMPLED = ("00-%s-%s-01"):format(TRACE, PARENT)

local ON = { [PREFIX .. "enable-opentelemetry"] = "true" }
local OFF = { [PREFIX .. "enable-opentelemetry"] = "false" }
local ALONE = { [PREFIX .. "enable-opentelemetry"] = "true",
  [PREFIX .. "opentelemetry-trust-incoming-span"] = "false" }
local NAMED = { [PREFIX .. "enable-opentelemetry"] = "true",
  [PREFIX .. "opentelemetry-operation-name"] = "checkout" }

local ROUTE = 'require("moongate").route({ to = "${app}" })\n'

local SPANS = "moongate_opentelemetry_spans_total"

local function settings_of(port, more)
  local settings = { ["otlp-collector-host"] = "127.0.0.1", ["otlp-collector-port"] = port,
    ["otel-schedule-delay-millis"] = 20 }
  for name, value in pairs(more or {}) do
    settings[name] = value
  end
  return settings
end

-- Hosts by the annotations of their Ingresses, in front of `app`.
local function texts_of(hosts, port, ...)
  local texts = { manifests.CLASS, manifests.service("app", { port }), ... }
  for name, annotations in pairs(hosts) do
    texts[#texts + 1] = manifests.ingress(name, { host = name .. ".test", service = "app",
      annotations = annotations, paths = { "/shop" } })
  end
  return { ["all.yaml"] = manifests.join(unpack(texts)) }
end

-- Each worker has a queue of its own: with one, spans come in the order of their requests.
local function start(hosts, collector_port, settings, ...)
  local gateway = t.gateway({ workers = 1, settings = settings_of(collector_port, settings) })
  local app = gateway:upstream("app", true)
  gateway.options.manifests = texts_of(hosts, app.port, ...)
  return gateway:start(), app
end

local function get(gateway, host, headers)
  local all = { Host = host .. ".test" }
  for name, value in pairs(headers or {}) do
    all[name] = value
  end
  return assert(gateway:client():get("/shop", all))
end

local function count(gateway, result)
  return gateway:metrics(SPANS, { result = result }) or 0
end

local function wait_count(gateway, result, wanted)
  t.wait_until(function()
    return count(gateway, result) >= wanted
  end, ("%d spans that are %s"):format(wanted, result))
  assert.equal(wanted, count(gateway, result))
end

describe("a trace through the gateway", function()
  local gateway, app, collector

  after_each(function()
    gateway:stop()
    collector:close()
    assert.is_nil(collector.upstream.failure)
  end)

  before_each(function()
    collector = otlp.new()
  end)

  local function told(number)
    return app:request(number):header("traceparent")
  end

  it("goes on in a span between client and backend (CFG-009)", function()
    gateway, app = start({ traced = ON, alone = ALONE, plain = {} }, collector.port)
    assert.equal(200, get(gateway, "traced", { traceparent = SAMPLED, tracestate = "a=1" }).status)
    local span = collector:wait(1)[1]
    assert.same({ TRACE, PARENT, 2, "GET /shop", "a=1" },
      { span.trace, span.parent, span.kind, span.name, span.state })
    assert.equal(("00-%s-%s-01"):format(TRACE, span.span), told(1))

    get(gateway, "alone", { traceparent = SAMPLED, tracestate = "a=1" })
    span = collector:wait(2)[2]
    assert.is_nil(span.parent)
    assert.not_equal(TRACE, span.trace)
    assert.equal(("00-%s-%s-01"):format(span.trace, span.span), told(2))
    assert.is_nil(app:request(2):header("tracestate"))

    get(gateway, "plain", { traceparent = SAMPLED })
    assert.equal(SAMPLED, told(3))
    get(gateway, "traced")
    assert.equal(3, #collector:wait(3))
  end)

  it("has a span with the name that an Ingress gives it (CFG-011)", function()
    gateway, app = start({ named = NAMED, traced = ON }, collector.port)
    get(gateway, "named")
    get(gateway, "traced")
    local spans = collector:wait(2)
    assert.equal("checkout", spans[1].name)
    assert.equal("GET /shop", spans[2].name)
  end)

  it("is everywhere but where an Ingress says no, by the ConfigMap", function()
    gateway, app = start({ named = NAMED, silent = OFF, plain = {} }, collector.port, {
      ["enable-opentelemetry"] = true,
      ["opentelemetry-operation-name"] = "$request_method $namespace/$ingress_name $service_name",
      ["opentelemetry-trust-incoming-span"] = false,
      ["otel-service-name"] = "edge",
    })
    get(gateway, "silent", { traceparent = SAMPLED })
    assert.equal(SAMPLED, told(1))
    get(gateway, "plain", { traceparent = SAMPLED })
    get(gateway, "named")
    assert.equal(404, get(gateway, "nobody").status)
    local spans = collector:wait(3)
    assert.equal("GET default/plain app", spans[1].name)
    assert.is_nil(spans[1].parent)
    assert.equal("edge", spans[1].resource["service.name"])
    assert.same({ "default", "plain", "app", "/shop" }, {
      spans[1].attributes["k8s.namespace.name"], spans[1].attributes["k8s.ingress.name"],
      spans[1].attributes["k8s.service.name"], spans[1].attributes["http.route"] })
    assert.equal("checkout", spans[2].name)
    assert.equal(404, spans[3].attributes["http.response.status_code"])
  end)

  it("reaches routes of scripts, by settings or by a configuration of their own", function()
    gateway = t.gateway({ settings = settings_of(collector.port,
      { ["enable-opentelemetry"] = true }), scripts = ([[
local mg = require("moongate")
mg.route({ host = "set.test", to = "${app}" })
mg.route({ host = "own.test", to = "${app}", plugins = { { name = "opentelemetry", config = {
  endpoint = "%s", service_name = "own", delay = "10ms" } } } })
]]):format(collector.url) })
    app = gateway:upstream("app", true)
    gateway:start()
    get(gateway, "own", { traceparent = SAMPLED })
    local span = collector:wait(1)[1]
    assert.equal("own", span.resource["service.name"])
    assert.equal(("00-%s-%s-01"):format(TRACE, span.span), told(1))
    get(gateway, "set", { traceparent = SAMPLED })
    span = collector:wait(2)[2]
    assert.equal("nginx", span.resource["service.name"])
    assert.equal(("00-%s-%s-01"):format(TRACE, span.span), told(2))
  end)

  it("goes to a collector that is a Service", function()
    gateway, app = start({ traced = ON }, 80, { ["otlp-collector-host"] = "otel.default.svc" },
      manifests.service("otel", { collector.port }))
    get(gateway, "traced")
    assert.equal("otel.default.svc:80",
      collector:wait(1) and collector.upstream:request(1):header(":authority"))
  end)

  it("is in the access log, where it is the gateway's own", function()
    gateway, app = start({ traced = ON, plain = {} }, collector.port, {
      ["log-format-upstream"] = "log $opentelemetry_trace_id $opentelemetry_span_id "
        .. "$opentelemetry_context_traceparent" })
    get(gateway, "traced", { traceparent = SAMPLED })
    get(gateway, "plain", { traceparent = SAMPLED })
    get(gateway, "plain")
    app:answer({ close = true, reset = true })
    get(gateway, "traced")
    local lines = {}
    t.wait_until(function()
      lines = {}
      for _, line in ipairs(gateway.output) do
        lines[#lines + 1] = line:match("^log (.*)$")
      end
      return #lines >= 4
    end, "lines of the access log")
    local spans = collector:wait(2)
    assert.equal(("%s %s %s"):format(TRACE, spans[1].span, told(1)), lines[1])
    assert.same({ "- - -", "- - -" }, { lines[2], lines[3] })
    assert.equal(spans[2].trace .. " " .. spans[2].span, lines[4]:match("^%x+ %x+"))
  end)

  it("is the same for each attempt at a backend", function()
    gateway, app = start({ traced = ON }, collector.port)
    app:answer({ { reset = true }, { body = "again" } })
    assert.equal("again", get(gateway, "traced", { traceparent = SAMPLED }).body)
    assert.equal(told(1), told(2))
    assert.equal(1, #collector:wait(1))
  end)

  it("tells of HTTP/2", function()
    gateway, app = start({ traced = ON }, collector.port)
    local conn = h2.connect(gateway)
    assert.equal(200, conn:exchange({ path = "/shop", authority = "traced.test" }).status)
    conn:close()
    assert.equal("2", collector:wait(1)[1].attributes["network.protocol.version"])
  end)

  it("tells of a client that leaves, once", function()
    gateway, app = start({ traced = ON }, collector.port)
    app:answer({ hold = true })
    local conn = gateway:connect()
    conn:write("GET /shop HTTP/1.1\r\nHost: traced.test\r\n\r\n")
    app:request(1)
    conn:close()
    local span = collector:wait(1)[1]
    assert.equal(0, span.status)
    app:answer({ body = "ok" })
    get(gateway, "traced")
    assert.equal(2, #collector:wait(2))
  end)
end)

describe("spans for a collector", function()
  local gateway, app, collector

  before_each(function()
    collector = otlp.new()
  end)

  after_each(function()
    gateway:stop()
    collector:close()
    assert.is_nil(collector.upstream.failure)
  end)

  local function lost(number)
    return gateway:wait_log("opentelemetry_spans_lost", number)
  end

  it("go in batches", function()
    gateway, app = start({ traced = ON }, collector.port,
      { ["otel-schedule-delay-millis"] = 3600000, ["otel-max-export-batch-size"] = 5 })
    for _ = 1, 12 do
      get(gateway, "traced")
    end
    assert.equal(10, #collector:wait(10))
    assert.equal(2, collector:calls())
    wait_count(gateway, "exported", 10)
  end)

  -- How the collector answers at first, as long as it is not well.
  for what, answer in pairs({
    ["is UNAVAILABLE"] = otlp.failure(14, "later"),
    ["has no room, and says when it will"] = otlp.failure(8, "full", otlp.retry_info(0.05)),
    ["is behind a proxy that answers 503"] = { status = 503 },
    ["resets the call"] = { reset = "REFUSED_STREAM" },
  }) do
    it("are sent again where it " .. what, function()
      collector:answer(function(call)
        return call < 2 and answer or otlp.success()
      end)
      gateway, app = start({ traced = ON }, collector.port)
      get(gateway, "traced")
      local spans = collector:wait(2)
      assert.equal(spans[1].span, spans[2].span)
      wait_count(gateway, "exported", 1)
      assert.equal(0, count(gateway, "failed"))
    end)
  end

  -- How it answers, and what is said of that.
  for what, case in pairs({
    ["says INVALID_ARGUMENT"] = { otlp.failure(3, "what is that"), "invalid_argument: "
      .. "grpc-status 3: what is that" },
    ["has no room, and does not say when it will"] = { otlp.failure(8, "full"),
      "resource_exhausted: grpc-status 8: full" },
    ["says nothing of gRPC"] = { { body = "hello" }, "unknown: grpc-status is missing: " },
    ["is no collector"] = { { status = 404 }, "unimplemented: status 404" },
  }) do
    it("are given up where it " .. what, function()
      collector:answer(case[1])
      gateway, app = start({ traced = ON }, collector.port)
      get(gateway, "traced")
      wait_count(gateway, "failed", 1)
      local line = lost(1)
      assert.same({ case[2], "failed", "1" }, { line.error, line.result, line.count })
      collector:answer(otlp.success())
      get(gateway, "traced")
      wait_count(gateway, "exported", 1)
      assert.equal(1, count(gateway, "failed"))
    end)
  end

  it("are counted where it takes some of them alone", function()
    collector:answer(otlp.success("\10\8\8\2\18\4oops"))
    gateway, app = start({ traced = ON }, collector.port,
      { ["otel-schedule-delay-millis"] = 3600000, ["otel-max-export-batch-size"] = 3 })
    for _ = 1, 3 do
      get(gateway, "traced")
    end
    wait_count(gateway, "rejected", 2)
    wait_count(gateway, "exported", 1)
    local line = lost(1)
    assert.same({ "oops", "rejected", "2" }, { line.error, line.result, line.count })
  end)

  it("hold nothing up while it does not answer, and are dropped beyond the queue", function()
    collector:answer({ hold = true })
    gateway, app = start({ traced = ON }, collector.port,
      { ["otel-max-queuesize"] = 3, ["otel-max-export-batch-size"] = 2 })
    for i = 1, 30 do
      assert.equal(200, get(gateway, "traced").status)
      assert.truthy(app:request(i):header("traceparent"):find("%-01$"))
    end
    t.wait_until(function()
      return count(gateway, "dropped") >= 25
    end, "spans that are dropped")
    assert.truthy(gateway:metrics("moongate_limit_exceeded_total",
      { limit = "otel-max-queuesize" }) >= 25)
    assert.equal("otel-max-queuesize", gateway:wait_log("limit_exceeded").limit)
    assert.truthy(#gateway:logs("limit_exceeded") < 25)
  end)

  it("hold nothing up where nobody is there, and what waits is lost at the end", function()
    gateway, app = start({ traced = ON }, nobody.port())
    for _ = 1, 5 do
      assert.equal(200, get(gateway, "traced").status)
    end
    gateway:stop()
    local line = lost(1)
    assert.truthy(line.error:find("^connect: "), line.error)
  end)

  it("wait for a collector that is a Service without endpoints", function()
    gateway, app = start({ traced = ON }, 80, { ["otlp-collector-host"] = "otel.default.svc" },
      manifests.service("otel", {}))
    get(gateway, "traced")
    mg.time.sleep("100ms") -- until it has tried
    local texts = texts_of({ traced = ON }, app.port, manifests.service("otel",
      { collector.port }))
    gateway:write(texts)
    assert.equal(1, #collector:wait(1))
    assert.is_nil(gateway:logs("opentelemetry_spans_lost")[1])
  end)

  it("hold nothing up where what is there speaks something else", function()
    local other = t.upstream({ raw = "SSH-2.0-x\r\n\r\n", close = true })
    gateway, app = start({ traced = ON }, other.port)
    for _ = 1, 3 do
      assert.equal(200, get(gateway, "traced").status)
    end
    gateway:stop()
    assert.equal("failed", lost(1).result)
    other:close()
  end)

  it("are sent at the end of the gateway, all of them", function()
    gateway, app = start({ traced = ON }, collector.port,
      { ["otel-schedule-delay-millis"] = 3600000, ["otel-max-export-batch-size"] = 5 })
    for _ = 1, 7 do
      get(gateway, "traced")
    end
    gateway:stop()
    assert.equal(7, #collector:spans())
    assert.is_nil(gateway:logs("opentelemetry_spans_lost")[1])
  end)

  it("come from all workers", function()
    gateway = t.gateway({ workers = 3, settings = settings_of(collector.port,
      { ["enable-opentelemetry"] = true }), scripts = ROUTE })
    app = gateway:upstream("app", true)
    gateway:start()
    local seen = {}
    for _ = 1, 30 do
      get(gateway, "any")
    end
    for _, span in ipairs(collector:wait(30)) do
      assert.is_nil(seen[span.span])
      seen[span.span] = true
    end
    wait_count(gateway, "exported", 30)
    assert.truthy(collector.upstream.connections > 1)
  end)

  it("do not keep the gateway from ending", function()
    collector:answer({ hold = true })
    gateway, app = start({ traced = ON }, collector.port)
    get(gateway, "traced")
    collector:wait(1)
    gateway:stop()
    assert.equal("1", lost(1).count)
  end)

  it("outlive a reload", function()
    gateway = t.gateway({ workers = 1, settings = settings_of(collector.port,
      { ["enable-opentelemetry"] = true, ["otel-schedule-delay-millis"] = 3600000 }),
      scripts = ROUTE })
    app = gateway:upstream("app", true)
    gateway:start()
    get(gateway, "any")
    gateway:reload()
    get(gateway, "any")
    gateway:stop()
    assert.equal(2, #collector:spans())
    assert.equal(1, collector:calls())
  end)
end)
