-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")
local otlp = require("spec.support.otlp")
local t = require("moongate.test")

local TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
local SAMPLED = ("00-%s-%s-01"):format(TRACE, PARENT)
local NOT_SAMPLED = ("00-%s-%s-00"):format(TRACE, PARENT)
local FORM = "^00%-(%x+)%-(%x+)%-(%x%x)$"
local SENT = "POST grpc://otel.test:4317" .. otlp.PATH

local number = 0

-- Each harness has a collector of its own, whose spans are those of its test.
local function plugin(conf, others, options)
  number = number + 1
  local all = { endpoint = "http://otel.test:4317", delay = 0.02, service_name = "n" .. number }
  for key, value in pairs(conf or {}) do
    all[key] = value
  end
  t.http.stub(SENT, otlp.success())
  local h = t.plugins({ { "opentelemetry", all }, unpack(others or {}) }, options)
  return h:upstream({ body = "main" })
end

-- Sends a request, and gives what the service was told: trace, span, flags, and its fields.
local function send(h, headers, path)
  local before = #h.requests
  assert.equal(200, h:request({ path = path, headers = headers, host = "a.test" }).status)
  local request = h.server:request(before + 1)
  local values = request:header_values("traceparent")
  assert.equal(1, #values)
  local trace, span, flags = values[1]:match(FORM)
  return { trace = trace, span = span, flags = flags, request = request }
end

local function spans(count)
  local all = {}
  t.wait_until(function()
    all = {}
    for _, call in ipairs(t.http.calls) do
      for _, span in ipairs(otlp.spans_of(call.body)) do
        all[#all + 1] = span.resource["service.name"] == "n" .. number and span or nil
      end
    end
    return #all >= count
  end, count .. " spans")
  assert.equal(count, #all)
  return all
end

local function assert_new(seen)
  assert.equal(32, #seen.trace)
  assert.equal(16, #seen.span)
  assert.not_equal(TRACE, seen.trace)
end

describe("of a trace, the plugin opentelemetry", function()
  it("goes on with a trace, by a span of its own", function()
    local seen = send(plugin(), { traceparent = SAMPLED })
    assert.equal(TRACE, seen.trace)
    assert.not_equal(PARENT, seen.span)
    assert.equal("01", seen.flags)
    local span = spans(1)[1]
    assert.same({ TRACE, seen.span, PARENT }, { span.trace, span.span, span.parent })
    assert.equal(0x301, span.flags)
  end)

  it("begins a trace where there is none, another each time", function()
    local h = plugin()
    local one, other = send(h, {}), send(h, {})
    assert_new(one)
    assert_new(other)
    assert.not_equal(one.trace, other.trace)
    assert.not_equal(one.span, other.span)
    for i, span in ipairs(spans(2)) do
      assert.equal(({ one, other })[i].trace, span.trace)
      assert.is_nil(span.parent)
      assert.equal(0x101, span.flags)
    end
  end)

  -- What is wrong with a traceparent.
  for what, value in pairs({
    ["no fields"] = "",
    ["one field"] = "00",
    ["a version that is none"] = ("ff-%s-%s-01"):format(TRACE, PARENT),
    ["a version that is no number"] = ("0g-%s-%s-01"):format(TRACE, PARENT),
    ["a version of one digit"] = ("0-%s-%s-001"):format(TRACE, PARENT),
    ["a trace in capitals"] = ("00-%s-%s-01"):format(TRACE:upper(), PARENT),
    ["a trace that is no number"] = ("00-%s-%s-01"):format(TRACE:gsub("4", "x"), PARENT),
    ["a trace of zeros"] = ("00-%s-%s-01"):format(("0"):rep(32), PARENT),
    ["a trace that is too short"] = ("00-%s-%s-01"):format(TRACE:sub(2), PARENT),
    ["a trace that is too long"] = ("00-0%s-%s-01"):format(TRACE, PARENT),
    ["a span in capitals"] = ("00-%s-%s-01"):format(TRACE, PARENT:upper()),
    ["a span of zeros"] = ("00-%s-%s-01"):format(TRACE, ("0"):rep(16)),
    ["a span that is too short"] = ("00-%s-%s-01"):format(TRACE, PARENT:sub(2)),
    ["flags that are no number"] = ("00-%s-%s-0x"):format(TRACE, PARENT),
    ["flags in capitals"] = ("00-%s-%s-0B"):format(TRACE, PARENT),
    ["flags of one digit"] = ("00-%s-%s-1"):format(TRACE, PARENT),
    ["other marks between"] = SAMPLED:gsub("-", "."),
    ["more behind version 00"] = SAMPLED .. "-more",
    ["a later version that goes on without a dash"] = ("01-%s-%s-01more"):format(TRACE, PARENT),
    ["two of them"] = { SAMPLED, SAMPLED },
  }) do
    it("begins another trace where traceparent has " .. what, function()
      local seen = send(plugin(), { traceparent = value, tracestate = "a=1" })
      assert_new(seen)
      assert.is_nil(seen.request:header("tracestate"))
      assert.is_nil(spans(1)[1].parent)
    end)
  end

  -- What may be unusual in one.
  for what, value in pairs({
    ["a later version"] = ("01-%s-%s-01"):format(TRACE, PARENT),
    ["a later version with more behind"] = ("cc-%s-%s-01-more"):format(TRACE, PARENT),
    ["flags of later versions"] = ("00-%s-%s-0b"):format(TRACE, PARENT),
  }) do
    it("goes on where traceparent has " .. what, function()
      local seen = send(plugin(), { traceparent = value })
      assert.same({ TRACE, "01" }, { seen.trace, seen.flags })
    end)
  end

  it("leaves other flags than that of sampling out", function()
    assert.equal("00", send(plugin(), { traceparent = NOT_SAMPLED:gsub("00$", "0a") }).flags)
  end)

  it("hands tracestate on with the trace, and baggage in any case", function()
    local h = plugin()
    local seen = send(h, { traceparent = SAMPLED, tracestate = { "a=1", "b@c=2 3" },
      baggage = "k=v" })
    assert.same({ "a=1", "b@c=2 3" }, seen.request:header_values("tracestate"))
    assert.equal("k=v", seen.request:header("baggage"))
    seen = send(h, { tracestate = "a=1", baggage = "k=v" })
    assert.is_nil(seen.request:header("tracestate"))
    assert.equal("k=v", seen.request:header("baggage"))
    local both = spans(2)
    assert.equal("a=1,b@c=2 3", both[1].state)
    assert.is_nil(both[2].state)
  end)

  local LONG = {}
  for i = 1, 33 do
    LONG[i] = ("k%d=1"):format(i)
  end

  -- A tracestate, and whether it goes on.
  for value, is_good in pairs({
    ["a=1"] = true,
    [" a=1 ,\tb=2,, "] = true,
    ["0tenant@sys=v"] = true,
    ["a/b*c-d_e=!~"] = true,
    [table.concat(LONG, ",", 1, 32)] = true,
    [table.concat(LONG, ",")] = false,
    ["a"] = false,
    ["=1"] = false,
    ["a="] = false,
    ["a=1,a=2"] = false,
    ["A=1"] = false,
    ["0a=1"] = false,
    ["a@0b=1"] = false,
    ["a@b@c=1"] = false,
    ["a=1=2"] = false,
    ["a=\228"] = false,
    [("a"):rep(257) .. "=1"] = false,
    ["a=" .. ("1"):rep(256)] = true,
    ["a=" .. ("1"):rep(257)] = false,
  }) do
    it(("takes tracestate %.30q for %s"):format(value, is_good and "good" or "wrong"), function()
      local seen = send(plugin(), { traceparent = SAMPLED, tracestate = value })
      assert.equal(TRACE, seen.trace)
      assert.equal(is_good and value:match("^%s*(.-)%s*$") or nil,
        seen.request:header("tracestate"))
    end)
  end

  it("begins a trace of its own where callers are not trusted", function()
    local seen = send(plugin({ trust_incoming = false }),
      { traceparent = NOT_SAMPLED, tracestate = "a=1", baggage = "k=v" })
    assert_new(seen)
    assert.equal("01", seen.flags)
    assert.is_nil(seen.request:header("tracestate"))
    assert.equal("k=v", seen.request:header("baggage"))
    assert.is_nil(spans(1)[1].parent)
  end)
end)

describe("of sampling, the plugin opentelemetry", function()
  -- Lies at the end of its range, or at its beginning.
  local HIGH, LOW = ("f"):rep(32), ("0"):rep(31) .. "1"

  -- Sampler, parent_based, traceparent, and the flag that the service gets.
  for _, case in ipairs({
    { "always_on", true, nil, "01" },
    { "always_on", true, SAMPLED, "01" },
    { "always_on", true, NOT_SAMPLED, "00" },
    { "always_on", false, NOT_SAMPLED, "01" },
    { "always_off", true, nil, "00" },
    { "always_off", true, SAMPLED, "01" },
    { "always_off", true, NOT_SAMPLED, "00" },
    { "always_off", false, SAMPLED, "00" },
    { "trace_id_ratio", true, SAMPLED, "01" },
    { "trace_id_ratio", true, NOT_SAMPLED, "00" },
    { "trace_id_ratio", false, ("00-%s-%s-00"):format(LOW, PARENT), "01" },
    { "trace_id_ratio", false, ("00-%s-%s-01"):format(HIGH, PARENT), "00" },
  }) do
    local sampler, parent_based, value, flags = unpack(case, 1, 4)
    it(("samples by %s%s, of a request with %s: %s"):format(sampler,
      parent_based and " and its parent" or "", value or "no traceparent", flags), function()
      local h = plugin({ sampler = sampler, parent_based = parent_based, ratio = 0.5 })
      assert.equal(flags, send(h, { traceparent = value }).flags)
      mg.time.sleep(flags == "01" and 0 or 0.06)
      spans(flags == "01" and 1 or 0)
    end)
  end

  -- Ratio, and how many of 400 traces may be sampled.
  for ratio, range in pairs({ [0] = { 0, 0 }, [0.25] = { 50, 150 }, [1] = { 400, 400 } }) do
    it(("samples a share of %s of the traces that begin here"):format(ratio), function()
      local h = plugin({ sampler = "trace_id_ratio", ratio = ratio })
      local count = 0
      for _ = 1, 400 do
        count = count + (send(h, {}).flags == "01" and 1 or 0)
      end
      assert.truthy(count >= range[1] and count <= range[2], count)
    end)
  end
end)

describe("of spans, the plugin opentelemetry", function()
  it("records what a request was", function()
    local h = plugin({ resource = { ["deployment.environment"] = "test" } })
    local before = mg.time.now()
    h:request({ method = "POST", path = "/a%20b/c?secret=1", host = "A.test:8080", body = "x",
      client_ip = "192.0.2.7", headers = { ["User-Agent"] = "probe/1" } })
    local span = spans(1)[1]
    assert.equal(2, span.kind)
    assert.equal("POST /", span.name)
    assert.equal(0, span.status)
    assert.truthy(before - 1 <= span.began and span.began < span.ended
      and span.ended <= mg.time.now() + 1)
    local peer = span.attributes["network.peer.address"]
    assert.is_string(peer)
    span.attributes["network.peer.address"], span.attributes["client.port"] = nil, nil
    assert.same({
      ["http.request.method"] = "POST",
      ["url.scheme"] = "http",
      ["url.path"] = "/a%20b/c",
      ["http.route"] = "/",
      ["http.response.status_code"] = 200,
      ["server.address"] = "a.test",
      ["server.port"] = 8080,
      ["client.address"] = "192.0.2.7",
      ["network.protocol.name"] = "http",
      ["network.protocol.version"] = "1.1",
      ["user_agent.original"] = "probe/1",
    }, span.attributes)
    assert.same({ ["service.name"] = "n" .. number, ["deployment.environment"] = "test" },
      span.resource)
  end)

  it("records the query where it is told to", function()
    send(plugin({ query = true }), {}, "/x?a=1")
    assert.equal("a=1", spans(1)[1].attributes["url.query"])
  end)

  it("has few names for methods", function()
    plugin():request({ method = "PROPFIND", path = "/files" })
    local span = spans(1)[1]
    assert.equal("HTTP /", span.name)
    assert.equal("_OTHER", span.attributes["http.request.method"])
    assert.equal("PROPFIND", span.attributes["http.request.method_original"])
  end)

  -- Name of spans, and what comes of it.
  for text, wanted in pairs({
    ["checkout"] = "checkout",
    ["HTTP $request_method $uri"] = "HTTP GET /a b",
    ["$http_x_missing"] = "GET /",
    [("n"):rep(2000)] = ("n"):rep(1024),
  }) do
    it(("calls its spans %.30s"):format(text), function()
      send(plugin({ operation_name = text }), {}, "/a%20b")
      assert.equal(wanted, spans(1)[1].name)
    end)
  end

  it("takes 5xx for errors, also of its own, and nothing else", function()
    local h = plugin()
    for _, status in ipairs({ 200, 302, 404, 500, 503 }) do
      h:upstream({ status = status })
      h:request()
    end
    h.server:close()
    h:request()
    local seen = {}
    for i, span in ipairs(spans(6)) do
      seen[i] = { span.attributes["http.response.status_code"], span.status,
        span.attributes["error.type"] }
    end
    assert.same({ { 200, 0 }, { 302, 0 }, { 404, 0 }, { 500, 2, "500" }, { 503, 2, "503" },
      { 502, 2, "connect" } }, seen)
  end)

  it("records what other plugins refuse", function()
    local h = plugin({}, { { "ip-restriction", { allow = { "10.0.0.1" } } } })
    assert.equal(403, h:request().status)
    assert.equal(403, spans(1)[1].attributes["http.response.status_code"])
  end)

  it("sends nothing that is not UTF-8, or that is long", function()
    local h = plugin()
    h:request({ path = "/" .. ("p"):rep(3000), headers = { ["User-Agent"] = "caf\233" } })
    local attributes = spans(1)[1].attributes
    assert.equal("caf\239\191\189", attributes["user_agent.original"])
    assert.equal(1024, #attributes["url.path"])
  end)

  it("keeps a long tracestate out of spans, and sends it on", function()
    local long = {}
    for i = 1, 3 do
      long[i] = ("k%d="):format(i) .. ("v"):rep(200)
    end
    local state = table.concat(long, ",")
    local seen = send(plugin(), { traceparent = SAMPLED, tracestate = state })
    assert.equal(state, seen.request:header("tracestate"))
    assert.is_nil(spans(1)[1].state)
  end)

  it("records nothing without a collector, and still tells the service", function()
    number = number + 1
    local h = t.plugins({ { "opentelemetry", { service_name = "n" .. number, delay = "1ms" } } })
    assert.equal("01", send(h:upstream({ body = "main" }), {}).flags)
    mg.time.sleep("60ms")
    spans(0)
  end)

  -- Code of the first failure, and how many messages there are then.
  for code, count in pairs({ connect = 2, timeout = 2, eai_again = 2, upstream_closed = 2,
    no_endpoint = 2, upstream_protocol = 1, body_too_large = 1, eof = 1 }) do
    it(("sends %s after a failure: %s"):format(count == 2 and "again" or "nothing", code),
      function()
        local h = plugin()
        t.http.stub(SENT, { { error = "not now", code = code }, otlp.success() })
        send(h, {})
        spans(1)
        if count == 1 then
          send(h, {}) -- goes at once, where the first one would wait for half a second
        end
        local first, second = unpack(spans(2))
        assert.equal(count == 2, first.span == second.span)
      end)
  end

  it("drops what its queue has no room for", function()
    local free = false
    local h = plugin({ queue = 2, batch = 2, delay = "1h" })
    t.http.stub(SENT, function()
      t.wait_until(function()
        return free
      end, "the end")
      return otlp.success()
    end)
    for _ = 1, 10 do
      send(h, {})
    end
    free = true
    spans(4) -- of which two were under way
  end)

  -- Configuration, and what is said of it.
  for _, case in ipairs({
    { { endpoint = "otel:4317" }, "config.endpoint: must be a URL" },
    { { endpoint = "http://otel.test/v1/traces" }, "leave the path off" },
    { { sampler = "AlwaysOn" }, "config.sampler: must be one of" },
    { { ratio = 1.5 }, "config.ratio: must be between 0 and 1" },
    { { queue = 0 }, "config.queue: must be between" },
    { { operation_name = "$nobody_knows" }, "there is no variable $nobody_knows" },
  }) do
    it("refuses a configuration: " .. case[2], function()
      local ok, err = pcall(t.plugins, { { "opentelemetry", case[1] } })
      assert.is_false(ok)
      assert.truthy(tostring(err):find(case[2], 1, true), err)
    end)
  end
end)
