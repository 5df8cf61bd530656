-- SPDX-License-Identifier: Apache-2.0
--
-- The whole hot path stays compiled: a request goes through its stages some thousand times, with
-- an ear on what the compiler gives up.
local ffi = require("ffi")
local names = require("jit.vmdef")
local util = require("jit.util")

local C = require("moongate.api.core")
local hooks = require("moongate.hooks")
local t = require("moongate.test")
local trace = require("spec.support.trace")
local vm = require("moongate.api.vm")

local ROUNDS = 6000
local SETTLED = 3000 -- after so many all is compiled
local STAGES = { C.MG_STAGE_REQUEST, C.MG_STAGE_RESPONSE, C.MG_STAGE_LOG }
local HEAD = "GET /a/b HTTP/1.1\r\nHost: a.test\r\nX-Tenant: acme\r\n\r\n"
local TRACED = HEAD:gsub("\r\n$", "Traceparent: "
  .. "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nUser-Agent: probe/1\r\n\r\n")

-- What runs on every request.
local HOT = {
  "^scripts/moongate/hooks/init",
  "^scripts/moongate/hooks/upstreams",
  "^scripts/moongate/route/",
  "^scripts/moongate/balance/",
  "^plugins/",
  "^scripts/moongate/api/ctx",
  "^scripts/moongate/api/fields",
  "^scripts/moongate/api/limits",
  "^scripts/moongate/api/request",
  "^scripts/moongate/api/response",
  "^scripts/moongate/api/shared",
  "^scripts/moongate/api/trace",
  "^scripts/moongate/api/upstream",
  "^scripts/moongate/api/variables",
  "compiled_spec",
}

local function is_hot(source)
  for _, pattern in ipairs(HOT) do
    if source:gsub("^[=@]", ""):find(pattern) then
      return true
    end
  end
  return false
end

local function reason_of(code, detail)
  local text = names.traceerr[code] or tostring(code)
  if type(detail) == "number" then
    detail = names.bcnames:sub(detail * 6 + 1, detail * 6 + 6)
  elseif type(detail) == "function" then
    local info = util.funcinfo(detail)
    detail = info.loc or names.ffnames[info.ffid] or "a C function"
  end
  return text:find("%%") and text:format(tostring(detail)) or text
end

-- A function that the compiler has given up, and every loop in it.
local GIVEN_UP = { IFUNCF = true, IFUNCV = true, IFORL = true, IITERL = true, ILOOP = true }

local function given_up(fn, out)
  local info = util.funcinfo(fn)
  for pc = 0, info.bytecodes - 1 do
    local op = util.funcbc(fn, pc) % 256
    local name = names.bcnames:sub(op * 6 + 1, op * 6 + 6):match("%S+")
    if GIVEN_UP[name] then
      out[#out + 1] = ("%s: %s"):format(util.funcinfo(fn, pc).loc, name)
    end
  end
end

-- A request of this thread's own that reached the gateway just now. To be freed.
local function probe_of(harness, head)
  local out = ffi.new("struct mg_probe *[1]")
  harness:use()
  assert.equal(0, C.mg_probe_new(vm, head, #head, "127.0.0.1", 9, 80, 0, out))
  local probe = ffi.gc(out[0], C.mg_probe_free)
  C.mg_probe_request(probe).snapshot = harness.snapshot
  return probe
end

-- Calls a stage from C, as the gateway does: a frame of Lua would be part of the traces.
local function caller(slot)
  local stage
  local function call()
    return hooks.dispatch(stage, slot)
  end
  jit.off(call)
  return function(wanted)
    stage = wanted
    return (("x"):gsub("x", call))
  end
end
jit.off(caller, true)

-- Every event of the compiler while the request is served again and again. The handler runs in the
-- middle of the compiler's work: it only writes down, and is itself never compiled.
local function listen(harness, head)
  local events, number = {}, 0
  local function on_trace(what, _, fn, pc, code, detail)
    events[#events + 1] =
      { what = what, fn = fn, pc = pc, code = code, detail = detail, number = number }
  end
  jit.off(on_trace)
  local probe = probe_of(harness, head)
  local request = C.mg_probe_request(probe)
  local run = caller(request.slot)
  run(STAGES[1]) -- what is worked out once is not part of it
  assert.equal(0, request.error)
  jit.flush()
  jit.attach(on_trace, "trace")
  for i = 1, ROUNDS do
    number = i
    request.status = 0
    run(STAGES[1])
    request.status = 200 -- the response has come
    run(STAGES[2])
    run(STAGES[3])
  end
  jit.attach(on_trace)
  assert.equal(0, request.error)
  C.mg_probe_free(ffi.gc(probe, nil))
  return events
end
jit.off(listen)

local function is_of_hot_path(event)
  local info = event.fn and util.funcinfo(event.fn, event.pc) or {}
  return info.loc and is_hot(info.source) and info.loc
end

--- Serves the request; `lost` is what was not compiled of the hot path, `roots` where its traces
--- begin.
local function watch(harness, head)
  local lost, roots, seen = {}, {}, {}
  for _, event in ipairs(listen(harness, head or HEAD)) do
    local at = is_of_hot_path(event)
    local reason = at and event.what == "abort" and reason_of(event.code, event.detail)
    if reason and not trace.is_passing(reason) then
      lost[#lost + 1] = ("%s: %s"):format(at, reason)
    elseif at and event.what == "start" then
      seen[event.fn] = true
      roots[#roots + 1] = at
      if event.number > SETTLED then
        lost[#lost + 1] = ("%s: interpreted in request %d"):format(at, event.number)
      end
    end
  end
  for fn in pairs(seen) do
    given_up(fn, lost)
  end
  return lost, roots
end

describe("the hooks of a request are compiled", function()
  -- `by_chance`: which side exits are taken is up to random numbers, and so when they are compiled.
  local function is_compiled(harness, head, by_chance)
    local lost, roots = watch(harness, head)
    for i = #lost, 1, -1 do
      if by_chance and lost[i]:find(": interpreted in request", 1, true) then
        table.remove(lost, i)
      end
    end
    assert.same({}, lost)
    local of_hooks = 0
    for _, root in ipairs(roots) do
      of_hooks = of_hooks + (root:find("moongate/hooks/init.lua", 1, true) and 1 or 0)
    end
    assert.is_true(of_hooks > 0, "no trace begins in the hooks: they were interpreted")
  end

  it("on a plain route", function()
    is_compiled(t.plugins({}))
  end)

  it("on a route with headers, as every Ingress has them", function()
    is_compiled(t.plugin("headers", {
      request = { set = { ["X-Request-Host"] = "$host", ["X-Tier"] = "gold" } },
      response = { set = { ["X-Served-By"] = "gateway" }, hide = { "Server" } },
    }))
  end)

  it("with a plugin that reads a header and sets one", function()
    local h = t.plugin({
      name = "tenant",
      access = function(ctx)
        local tenant = ctx.request:header("x-tenant")
        if not tenant then
          return ctx:respond(400)
        end
        ctx.upstream:set_header("X-Seen-Tenant", tenant)
      end,
    })
    is_compiled(h)
    h:request({ headers = { ["X-Tenant"] = "acme" } })
    assert.equal("acme", h.requests[1].headers["x-seen-tenant"])
  end)

  it("with limits of rate and of concurrency", function()
    local h = t.plugins({
      { "rate-limit", { rate = 1000000, burst = 1000000 } },
      { "concurrency-limit", { max = 1000000 } },
    })
    is_compiled(h)
    assert.equal(200, h:request().status)
  end)

  -- Traces, recorded or not, that go on or begin here.
  for what, head in pairs({ ["begin here"] = HEAD, ["go on"] = TRACED }) do
    for _, sampler in ipairs({ "always_off", "trace_id_ratio", "always_on" }) do
      it(("with traces that %s, sampled by %s"):format(what, sampler), function()
        is_compiled(t.plugin("opentelemetry", { endpoint = "http://otel.test:4317", queue = 100000,
          sampler = sampler, ratio = 0.5, parent_based = false, delay = "1h" }), head, true)
      end)
    end
  end

  it("and what is not compiled would be seen", function()
    local lost = watch(t.plugin({
      name = "closure",
      access = function(ctx)
        local tenant = ctx.request:header("x-tenant")
        ctx.shared.tenant = function()
          return tenant
        end
      end,
    }))
    assert.is_true(#lost > 0)
    assert.truthy(table.concat(lost, "\n"):find("NYI", 1, true))
  end)
end)
