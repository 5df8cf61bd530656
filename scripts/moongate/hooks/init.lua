-- SPDX-License-Identifier: Apache-2.0
--
-- Where C enters for each stage of an exchange. A failure stays inside one hook of one plugin on
-- one request: it is logged with the plugin's name, and on_error decides whether the request goes
-- on.
local bit = require("bit")
local ffi = require("ffi")

local C = require("moongate.api.core")
local candidates = require("moongate.hooks.candidates")
local ctx_object = require("moongate.api.ctx")
local errors = require("moongate.api.errors")
local layout = require("moongate.snapshot.layout")
local log = require("moongate.api.log")
local metrics = require("moongate.api.metrics")
local reader = require("moongate.snapshot.reader")
local route = require("moongate.route")
local upstreams = require("moongate.hooks.upstreams")
local vm = require("moongate.api.vm")

local M = {}

local GO_ON, ABORT = 0, 3
local FAULT = layout.FLAG_FAULT
local ROUTE = ffi.typeof("const struct mg_route *")
local match = route.match

local PATTERN_LIMIT = "pattern-effort"

local NOT_FOUND, NO_ENDPOINT, SCRIPT, STARTING, MISCONFIGURED, TOO_LARGE = errors.NOT_FOUND,
  errors.NO_ENDPOINT, errors.SCRIPT, errors.STARTING, errors.MISCONFIGURED, errors.BODY_TOO_LARGE

local failures = metrics.counter("moongate_plugin_errors_total", {
  help = "Hooks that failed, by plugin and hook.",
  labels = { "plugin", "hook" },
})

-- This thread's present generation of scripts: {registry, plans, global}. Requests keep the plan
-- that they began with.
local generation_now

local requests = {} -- slot -> struct mg_request *
local states = {} -- slot -> what Lua knows of the request there; see `state_of`

-- --- running hooks -----------------------------------------------------------

local function describe(err)
  return debug.traceback(tostring(err), 2)
end

-- Where a hook begins: an error in a call that ends it (`return ctx:respond(…)`) has no line in it.
local function place_of(fn)
  local info = debug.getinfo(fn, "S")
  return ("%s:%d"):format(info.short_src, info.linedefined)
end

local function report(entry, hook, ctx, err)
  failures:add(1, { plugin = entry.plugin.name, hook = hook })
  log.error("plugin_failed", {
    plugin = entry.plugin.name,
    version = entry.plugin.version,
    hook = hook,
    at = place_of(entry.fn),
    request = ctx.request and ctx.request.id,
    error = err,
  })
end

local function returned_value(entry, hook, ctx, value)
  local text = "the hook returned a %s; it returns nothing, or ends by ctx:respond"
  report(entry, hook, ctx, text:format(type(value)))
end

-- Plugins that protect something fail closed, all others open, unless they say so themselves.
local CLOSED = { authenticate = true, authorize = true, limit = true, validate = true }

local function fails_closed(plugin)
  if plugin.on_error then
    return plugin.on_error == "fail_closed"
  end
  return CLOSED[plugin.stage] or false
end

local NOT_ENDED = "ctx:respond or ctx:abort failed, and the hook went on"

-- Runs a hook that returns nothing; false when it failed, which is reported.
local function run_hook(entry, hook, ctx)
  ctx.plugin_name, ctx.running, ctx.ends = entry.plugin.name, entry, false
  local ok, result = xpcall(entry.fn, describe, ctx, entry.conf)
  if not ok then
    report(entry, hook, ctx, result)
  elseif ctx.ends then
    report(entry, hook, ctx, NOT_ENDED)
    return false
  elseif result ~= nil then
    returned_value(entry, hook, ctx, result)
  end
  return ok and result == nil
end
M.run_hook = run_hook

--- Runs one list of hooks; false when the request must fail. A hook that was to end the request and
--- failed in that never lets it pass.
local function run_hooks(list, hook, ctx)
  for i = 1, #list do
    local entry = list[i]
    if not run_hook(entry, hook, ctx) and (ctx.ends or fails_closed(entry.plugin)) then
      return false
    end
  end
  return true
end

-- The request is over, so that nothing has to fail: each plugin is told, whatever the others do.
local function run_all(list, hook, ctx)
  for i = 1, #list do
    run_hook(list[i], hook, ctx)
  end
end

local function no_candidate(entry, ctx, value)
  local text = "the hook returned %s; it returns one of the candidates, its position, or nothing"
  report(entry, "balance", ctx, text:format(tostring(value)))
end

-- Asks the plugins for the endpoint of the next attempt: the first that names one decides. Without
-- a word of theirs, or when they fail, the service's own algorithm does. False: the request is to
-- fail.
local function run_balance(list, ctx, choice, attempt)
  for i = 1, #list do
    local entry = list[i]
    ctx.plugin_name, ctx.running, ctx.ends = entry.plugin.name, entry, false
    local ok, result = xpcall(entry.fn, describe, ctx, entry.conf, choice, attempt)
    local endpoint = ok and result ~= nil and candidates.chosen(choice, result)
    if endpoint then
      return endpoint
    elseif not ok then
      report(entry, "balance", ctx, result)
    elseif result ~= nil then
      no_candidate(entry, ctx, result)
      ok = false
    end
    if not ok and (ctx.ends or entry.plugin.on_error == "fail_closed") then
      return false
    end
  end
end

-- --- requests ----------------------------------------------------------------

local function context(state, request, generation)
  local ctx = state.ctx
  if not ctx then
    ctx = ctx_object.new(request, generation)
    state.ctx = ctx
  end
  return ctx
end

local function state_of(slot, generation)
  local state = states[slot]
  if state and state.generation == generation then
    return state
  end
  state = { generation = generation, ctx = false, plan = false, scripts = generation_now }
  states[slot] = state
  return state
end

local function refuse(request, code)
  request.endpoint = -1
  request.error = code
  return GO_ON
end

local function apply(request, plan)
  request.connect_ms = plan.connect_timeout_ms
  request.send_ms = plan.send_timeout_ms
  request.read_ms = plan.read_timeout_ms
  request.tries = plan.tries
  request.tries_ms = plan.tries_ms
  request.retry_on = plan.retry_on
  request.body_limit = plan.body_limit_bytes
  request.answer_head_limit = plan.response_head_limit_bytes
  -- Both sides of a call of gRPC may speak at once, for as long as they like.
  request.buffer_request = request.grpc == 0 and plan.buffer_request or 0
  request.http10 = plan.http10
  request.no_log = plan.no_log
  request.keeps_length = plan.keeps_length
  request.stages = bit.bor(request.stages, plan.stages)
end

--- Chooses the endpoint of the next attempt.
local function choose(request, generation, plan, service_id, state)
  local chosen
  local choice = plan.balance and upstreams.candidates(request, service_id, state)
  if choice then
    chosen = run_balance(plan.balance, state.ctx, choice, request.attempts + 1)
    if chosen == false then
      return refuse(request, SCRIPT)
    end
  end
  local endpoint, code = upstreams.choose(request, generation, service_id, state, chosen)
  if not endpoint then
    return refuse(request, code or NO_ENDPOINT)
  end
  request.endpoint = endpoint
  if state and plan.upstream_request then
    if not run_hooks(plan.upstream_request, "upstream_request", state.ctx) then
      return refuse(request, SCRIPT)
    end
  end
  return GO_ON
end

local function needs_ctx(plan)
  return plan.access or plan.balance or plan.upstream_request or plan.stages ~= 0
end

-- DESIGN D8: an error of that route, told and counted.
local function refuse_pattern(request, found)
  log.warn("limit_exceeded", { limit = PATTERN_LIMIT, route = reader.route_id(found) })
  C.mg_count_limit(vm, PATTERN_LIMIT, #PATTERN_LIMIT)
  return refuse(request, SCRIPT)
end

-- As nginx judges it: before whatever sends elsewhere or authenticates.
local function is_too_large(request)
  return request.body_limit > 0 and request.body_length > request.body_limit
end

local function after_route(request, generation, scripts, found, code)
  request.names = found.names
  request.route = found
  if code then
    return refuse_pattern(request, found)
  elseif bit.band(found.flags, FAULT) ~= 0 then
    return refuse(request, MISCONFIGURED)
  end
  local plan = scripts.plans:get(request.snapshot, found.plan)
  if plan.fault then
    return refuse(request, MISCONFIGURED)
  end
  apply(request, plan)
  if not needs_ctx(plan) then
    if found.service < 0 then
      return refuse(request, NOT_FOUND)
    elseif not upstreams.needs_state(request.snapshot, found.service) then
      return choose(request, generation, plan, found.service, nil)
    end
  end
  local state = state_of(request.slot, generation)
  state.plan = plan
  local ctx = context(state, request, generation)
  if is_too_large(request) then
    return refuse(request, TOO_LARGE)
  end
  if plan.access and not run_hooks(plan.access, "access", ctx) then
    return refuse(request, SCRIPT)
  end
  if found.service < 0 and not upstreams.is_chosen(ctx) then
    return refuse(request, NOT_FOUND)
  end
  return choose(request, generation, plan, found.service, state)
end

local function on_request(request, generation)
  if request.snapshot == nil then
    return refuse(request, STARTING)
  end
  local scripts = generation_now -- also when rewrite waits and another one comes
  local rewrite = scripts.rewrite
  if rewrite then
    local state = state_of(request.slot, generation)
    if not run_hooks(rewrite, "rewrite", context(state, request, generation)) then
      return refuse(request, SCRIPT)
    end
  end
  local found, code = match(request.snapshot, request, generation)
  if found == nil then
    return refuse(request, NOT_FOUND)
  end
  return after_route(request, generation, scripts, found, code)
end

-- What a request without a state wants of its plan on a further attempt: nothing.
local NO_HOOKS = {}

local function on_retry(request, generation)
  local found = ffi.cast(ROUTE, request.route)
  local state = state_of(request.slot, generation)
  upstreams.retry(request, found.service, state)
  return choose(request, generation, state.plan or NO_HOOKS, found.service, state)
end

-- --- the other stages --------------------------------------------------------

-- A request that never got a route has the global hooks.
local function plan_of(request, generation)
  local state = state_of(request.slot, generation)
  context(state, request, generation)
  return state.plan or state.scripts.global, state
end

local function on_response(request, generation)
  local plan, state = plan_of(request, generation)
  if state.cookie and request.source == C.MG_SOURCE_UPSTREAM then
    state.ctx.response:set_cookie(state.cookie)
  end
  if plan.response and not run_hooks(plan.response, "response", state.ctx) then
    if C.mg_respond(request, generation, 502, C.MG_SOURCE_GATEWAY) < 0 then
      return ABORT
    end
  end
  return GO_ON
end

local OTHER_LENGTH = "the hook changed the length of a piece, but its plugin says keeps_length"

local function run_body_hooks(list, hook, ctx)
  for i = 1, #list do
    local entry = list[i]
    local last = C.mg_chunk_get(ctx.record, ctx.generation, M.chunk)
    local chunk = ffi.string(M.chunk.data, M.chunk.length)
    ctx.plugin_name, ctx.running = entry.plugin.name, entry
    local ok, result = xpcall(entry.fn, describe, ctx, entry.conf, chunk, last == 1)
    if not ok then
      report(entry, hook, ctx, result)
      return false -- never a body that looks whole and is not
    elseif type(result) == "string" then
      if C.mg_chunk_set(ctx.record, ctx.generation, result, #result) < 0 then
        report(entry, hook, ctx, OTHER_LENGTH)
        return false
      end
    elseif result ~= nil then
      returned_value(entry, hook, ctx, result)
      return false
    end
  end
  return true
end

M.chunk = ffi.new("struct mg_text")

local function body_stage(hook)
  return function(request, generation)
    local plan, state = plan_of(request, generation)
    local list = plan[hook]
    if list and not run_body_hooks(list, hook, state.ctx) then
      return ABORT
    end
    return GO_ON
  end
end

local function on_log(request, generation)
  local plan, state = plan_of(request, generation)
  upstreams.done(request, state)
  if plan.log then
    run_all(plan.log, "log", state.ctx)
  end
  states[request.slot] = nil
  return GO_ON
end

local stages = {
  [C.MG_STAGE_REQUEST] = on_request,
  [C.MG_STAGE_RETRY] = on_retry,
  [C.MG_STAGE_REQUEST_BODY] = body_stage("request_body"),
  [C.MG_STAGE_RESPONSE] = on_response,
  [C.MG_STAGE_RESPONSE_BODY] = body_stage("response_body"),
  [C.MG_STAGE_LOG] = on_log,
}

--- Called by C.
---@param stage integer  enum mg_stage
---@param slot integer
---@return integer verdict
function M.dispatch(stage, slot)
  local request = requests[slot]
  if not request then
    request = C.mg_request_at(vm, slot)
    requests[slot] = request
  end
  return stages[stage](request, request.generation)
end

--- Called by C: the watchdog stopped a hook of the request in that slot.
---@param slot integer
---@param err string
function M.stopped(_, slot, err)
  local state = states[slot]
  local ctx = state and state.ctx
  local entry = ctx and ctx.running
  if entry then
    report(entry, entry.hook, ctx, err)
  else
    log.error("script_failed", { error = err })
  end
end

--- Takes over a generation of scripts: requests that begin from now on use it.
---@param generation { registry: moongate.Registry, plans: moongate.Plans, global: moongate.Plan }
function M.use(generation)
  generation.rewrite = generation.global.rewrite
  generation_now = generation
  local settings = C.mg_settings(vm)
  settings.stages = generation.global.stages
  settings.hello = generation.global.client_hello and 1 or 0
  C.mg_settings_apply(vm)
end

--- Whether a request that has not ended began with that generation. Forgets those that have.
---@param generation table
---@return boolean
function M.holds(generation)
  local held = false
  for slot, state in pairs(states) do
    if requests[slot].generation ~= state.generation then
      states[slot] = nil
    else
      held = held or state.scripts == generation
    end
  end
  return held
end

--- The generation that new requests get.
function M.generation()
  return generation_now
end

return M
