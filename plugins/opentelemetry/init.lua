-- SPDX-License-Identifier: Apache-2.0
--
-- Continues the trace of a request or begins one, tells the service, and records a span that a
-- collector gets by OTLP.
local mg = require("moongate")
local exporter = require("plugins.opentelemetry.exporter")
local span = require("plugins.opentelemetry.span")

local s = mg.schema

local ON, OFF, RATIO = "always_on", "always_off", "trace_id_ratio"

local config = s.record({
  endpoint = s.url():description("the collector, http:// or https://; without it no span is kept"),
  service = s.string():len(1):description("service of the gateway behind the host of the endpoint"),
  service_name = s.string():default("moongate"):description("service.name of spans"),
  resource = s.map(s.string():len(1, 255), s.string():len(1, 1024))
    :description("further attributes of whoever sends the spans"),
  operation_name = s.template():description("name of spans; else the method and the route's path"),
  trust_incoming = s.boolean():default(true):description("go on with the trace of the request"),
  sampler = s.enum(ON, OFF, RATIO):default(ON):description("of traces that begin here"),
  ratio = s.number():between(0, 1):default(0.01):description("share of trace_id_ratio"),
  parent_based = s.boolean():default(true)
    :description("sample what the caller has sampled, and nothing else of what it has begun"),
  query = s.boolean():default(false):description("record the query too, which may hold secrets"),
  queue = s.integer():between(1, 1000000):default(2048):description("spans that wait in a worker"),
  batch = s.integer():between(1, 1000000):default(512):description("spans in one message"),
  delay = s.duration():between("1ms", "1h"):default("5s"):description("longest wait for a message"),
  timeout = s.duration():between("10ms", "5m"):default("10s"):description("for one message"),
})

local QUEUE_LIMIT = "otel-max-queuesize"
local FLUSH_SECONDS = 3 -- at the end of a worker, of the 5 that scripts have there
local STATE_BYTES = 512 -- of a tracestate in a span; to the service it goes in any length

local function prepare(conf)
  if conf.endpoint and not conf.endpoint:find("^https?://[^/?]+/?$") then
    return nil, "config.endpoint: OTLP over gRPC has a path of its own; leave the path off"
  end
  local may_sample = conf.sampler ~= OFF or conf.parent_based and conf.trust_incoming
  local name = conf.operation_name
  return setmetatable({
    operation_name = name and name[1] and name or nil,
    exporter = conf.endpoint and may_sample and exporter.of(conf) or nil,
  }, { __index = conf })
end

local function is_sampled(conf, goes_on, parent_sampled)
  if goes_on and conf.parent_based then
    return parent_sampled
  elseif conf.sampler == RATIO then
    return mg.trace.point() < conf.ratio
  end
  return conf.sampler == ON
end

-- --- hooks -------------------------------------------------------------------------

local function record(ctx, conf, state)
  local trace, own, parent = mg.trace.ids()
  ctx.shared.opentelemetry = {
    conf = conf,
    trace = trace,
    span = own,
    parent = parent,
    state = state and #state <= STATE_BYTES and state or nil,
  }
end

local function access(ctx, conf)
  local goes_on, parent_sampled = mg.trace.read(ctx, conf.trust_incoming)
  local sampled = is_sampled(conf, goes_on, parent_sampled)
  local state = mg.trace.state(ctx, goes_on)
  mg.trace.tell(ctx, sampled)
  if sampled and conf.exporter then
    record(ctx, conf, state)
  end
end

local function log(ctx, conf)
  local trace = ctx.shared.opentelemetry
  if trace and trace.conf == conf
    and not exporter.push(conf.exporter, span.encode(ctx, trace, conf)) then
    ctx:limit_exceeded(QUEUE_LIMIT)
  end
end

return mg.plugin({
  name = "opentelemetry",
  version = "1.0.0",
  summary = "Continues traces, and sends spans by OTLP",
  stage = "edge", -- before whatever may refuse a request
  config = config,
  prepare = prepare,
  needs = function(hook, conf)
    return hook ~= "log" or conf.exporter ~= nil
  end,
  decides = function()
    return false
  end,
  access = access,
  log = log,
  unload = function()
    exporter.flush(FLUSH_SECONDS)
  end,
})
