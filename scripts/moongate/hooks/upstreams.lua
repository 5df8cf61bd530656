-- SPDX-License-Identifier: Apache-2.0
--
-- From a route's service, or what a hook chose instead, to the endpoint of the next attempt.
local bit = require("bit")
local ffi = require("ffi")

local C = require("moongate.api.core")
local balance = require("moongate.balance")
local candidates = require("moongate.hooks.candidates")
local errors = require("moongate.api.errors")
local http = require("moongate.api.http")
local json = require("moongate.api.json")
local log = require("moongate.api.log")
local protocols = require("moongate.protocols")
local reader = require("moongate.snapshot.reader")
local tls = require("moongate.hooks.tls")
local upstream_part = require("moongate.api.upstream")
local variables = require("moongate.api.variables")
local vm = require("moongate.api.vm")

local M = {}

local BYTES = ffi.typeof("const char *")
local LOG_BIT = bit.lshift(1, C.MG_STAGE_LOG)
local RESPONSE_BIT = bit.lshift(1, C.MG_STAGE_RESPONSE)
local NO_ENDPOINT = errors.NO_ENDPOINT
local HTTP1 = protocols.http.version

-- Where an endpoint keeps its numbers in the pool.
local NUMBERS = { "number", "plain_number" }

local balancers = balance.new({
  decode = function(text)
    return assert(json.decode(text, true))
  end,
  now = function()
    return C.mg_time_monotonic()
  end,
  drop = function(endpoint)
    for _, slot in ipairs(NUMBERS) do
      if endpoint[slot] then
        C.mg_endpoint_release(vm, endpoint[slot])
        endpoint[slot] = nil
      end
    end
  end,
  down = function(balancer, endpoint)
    log.warn("endpoint_down", {
      service = balancer.name,
      endpoint = endpoint.name,
      seconds = balancer.health.fail_timeout,
    })
  end,
})
M.balancers = balancers
candidates.now = balancers.now

-- Which balancers must hear how an attempt went.
local observed = setmetatable({}, { __mode = "k" })

local function is_observed(balancer)
  local known = observed[balancer]
  if known == nil then
    local algorithm = balancer.algorithm
    known = algorithm.observe ~= nil or algorithm.counts == true or balancer.health.max_fails > 0
    observed[balancer] = known
  end
  return known
end

--- Whether a hook chose where the request goes.
function M.is_chosen(ctx)
  local upstream = ctx.upstream
  return upstream.service ~= nil or upstream.address ~= nil
end

-- --- services by name --------------------------------------------------------

-- Names to ids as of the snapshot that was looked through last. A service keeps its id while it
-- lives, so that a known one is found again in the next snapshot without looking through it.
local names = { number = nil, ids = {} }

local function look_through(snapshot)
  names.number = tonumber(C.mg_snapshot_number(snapshot))
  names.ids = {}
  for id = 0, C.mg_snapshot_service_count(snapshot) - 1 do
    local service = reader.service(snapshot, id)
    if service then
      names.ids[reader.text(service, service.name)] = id
    end
  end
end

local function known(snapshot, name)
  local id = names.ids[name]
  local service = id and reader.service(snapshot, id)
  if service and reader.text(service, service.name) == name then
    return id, service
  end
end

--- Id and part of a service by its name; nil when there is none in this snapshot.
local function id_of(snapshot, name)
  local id, service = known(snapshot, name)
  if not id and names.number ~= tonumber(C.mg_snapshot_number(snapshot)) then
    look_through(snapshot)
    id, service = known(snapshot, name)
  end
  return id, service
end

-- What ctx.upstream tells of services.
upstream_part.services = {
  has_session = function(request, generation, name)
    local id, service = id_of(request.snapshot, name)
    return id ~= nil and balancers:of(service, id):is_own_session(request, generation)
  end,
  has_endpoints = function(request, name)
    local id, service = id_of(request.snapshot, name)
    return id ~= nil and #balancers:of(service, id).endpoints > 0
  end,
}

-- --- attempts ----------------------------------------------------------------

local function end_attempt(state, outcome)
  local endpoint = state.endpoint
  if endpoint then
    state.endpoint = nil
    state.balancer:done(endpoint, outcome, C.mg_time_monotonic() - state.attempt_at)
  end
end

-- Of a service whose requests have TLS when the client's had: the number for those without.
local function plain_number_of(endpoint)
  local number = endpoint.plain_number
  if not number then
    number = C.mg_endpoint(vm, endpoint.address, #endpoint.address, endpoint.port, HTTP1, nil)
    endpoint.plain_number = number >= 0 and number or nil
  end
  return number
end

-- What the connections of a service need is worked out when they are first asked for.
local function profile_of(balancer)
  if balancer.profile == nil then
    balancer.profile = tls.profile(balancer) or false
    balancer.plain = balancer.tls == nil
  end
  return balancer.profile
end

local function new_number(endpoint, profile, protocol)
  if endpoint.number then
    C.mg_endpoint_release(vm, endpoint.number)
  end
  local number =
    C.mg_endpoint(vm, endpoint.address, #endpoint.address, endpoint.port, protocol, profile or nil)
  endpoint.number, endpoint.profile = number >= 0 and number or nil, profile
  return number
end

-- The pool's number is kept with the endpoint, for as long as its service asks for the same TLS.
local function secure_number_of(endpoint, balancer)
  local profile = profile_of(balancer)
  if endpoint.number and endpoint.profile == profile then
    return endpoint.number
  elseif not profile and not balancer.plain then
    return errors.TLS_CONFIG
  end
  return new_number(endpoint, profile, protocols[balancer.protocol or "http"].version)
end

local function number_of(endpoint, balancer, request)
  if balancer.protocol == "auto" and request.secure == 0 then
    return plain_number_of(endpoint)
  end
  return secure_number_of(endpoint, balancer)
end

local function pick(request, generation, balancer, tried)
  local parts = balancer.hash_key
  local key = parts and variables.fill(request, generation, parts) or nil
  return balancer:pick(request, generation, tried, key)
end

local function cookie_context(request, generation)
  local text = ffi.new("struct mg_text")
  local found = C.mg_request_header(request, generation, "user-agent", 10, 0, text)
  return {
    secure = request.secure == 1,
    user_agent = found == 1 and ffi.string(text.data, text.length) or nil,
  }
end

local function remember(request, state, balancer, endpoint)
  state.balancer, state.endpoint = balancer, endpoint
  state.attempt_at = C.mg_time_monotonic()
  balancer:begin(endpoint)
  request.stages = bit.bor(request.stages, LOG_BIT)
end

local function from_balancer(request, generation, balancer, state, chosen)
  local tried = state and state.tried
  local endpoint, cookie = chosen, nil
  if not endpoint then
    endpoint, cookie = pick(request, generation, balancer, tried)
  end
  if not endpoint then
    return nil, NO_ENDPOINT
  end
  if state then
    if cookie then
      state.cookie = balancer:set_cookie(cookie, cookie_context(request, generation))
      request.stages = bit.bor(request.stages, RESPONSE_BIT)
    end
    if is_observed(balancer) then
      remember(request, state, balancer, endpoint)
    end
    if tried then
      tried[endpoint] = true
    end
  end
  return number_of(endpoint, balancer, request)
end

-- The text lives as long as the snapshot that the request is pinned to.
local function name_alternative(request, service)
  local name = request.alternative
  name.data, name.length = ffi.cast(BYTES, service) + service.upstream.at, service.upstream.length
end

-- Id and part of the service that the request goes to: of its route, or what a hook chose instead.
local function target_of(request, service_id, state)
  local upstream = state and state.ctx and state.ctx.upstream
  if upstream and upstream.service then
    local id, service = id_of(request.snapshot, upstream.service)
    if service and id ~= service_id then
      name_alternative(request, service)
    end
    return id, service
  end
  return service_id, reader.service(request.snapshot, service_id)
end

-- --- requests of scripts -----------------------------------------------------

--- The snapshot whose services mg.http knows: struct mg_snapshot *, pinned by C.
---@type ffi.cdata*?
M.current = nil

function http.choose(name)
  local id, service
  if M.current then
    id, service = id_of(M.current, name)
  end
  local balancer = service and balancers:of(service, id)
  local endpoint = balancer and balancer:pick(nil, 0, nil, nil)
  if not endpoint then
    return nil, NO_ENDPOINT
  end
  local number = secure_number_of(endpoint, balancer)
  if number < 0 then
    return nil, number
  end
  local started = C.mg_time_monotonic()
  balancer:begin(endpoint)
  return {
    number = number,
    uses = 0,
    done = function(outcome)
      balancer:done(endpoint, outcome, C.mg_time_monotonic() - started)
    end,
  }
end

--- Whether the choice among a service's endpoints has to be kept until the request ends.
---@return boolean
function M.needs_state(snapshot, service_id)
  local service = reader.service(snapshot, service_id)
  if not service then
    return false
  end
  local balancer = balancers:of(service, service_id)
  return balancer.affinity ~= nil or is_observed(balancer)
end

--- What a balance hook may choose from; nil when the request goes to one address, or to no service.
---@param request ffi.cdata*
---@param service_id integer  of the route
---@param state table
---@return moongate.Candidate[]?
function M.candidates(request, service_id, state)
  local id, service = target_of(request, service_id, state)
  if state.ctx.upstream.address or not service then
    return nil
  end
  local balancer = balancers:of(service, id)
  observed[balancer] = true -- so that `inflight` is true from now on
  local live, weights = balancer:current()
  return candidates.list(live, weights, state.tried)
end

--- The pool's number of the endpoint for the next attempt, or nil and the error code.
---@param request ffi.cdata*
---@param generation integer
---@param service_id integer  of the route
---@param state table?
---@param chosen moongate.Endpoint?  by a balance hook
---@return integer? endpoint
---@return integer? code
function M.choose(request, generation, service_id, state, chosen)
  local upstream = state and state.ctx and state.ctx.upstream
  if upstream and upstream.address then
    -- Given back at once: the connection is made before the number could go to another.
    local number =
      C.mg_endpoint(vm, upstream.address, #upstream.address, upstream.port, HTTP1, nil)
    C.mg_endpoint_release(vm, number)
    return number
  end
  local id, service = target_of(request, service_id, state)
  if not service then
    return nil, NO_ENDPOINT
  end
  local balancer = balancers:of(service, id)
  local number, code = from_balancer(request, generation, balancer, state, chosen)
  if number and number < 0 then
    return nil, number
  end
  return number, code
end

--- A further attempt follows: what was tried is to be avoided, also when nothing was kept of it.
---@param request ffi.cdata*
---@param service_id integer  of the route
---@param state table
function M.retry(request, service_id, state)
  end_attempt(state, "failed")
  if state.tried then
    return
  end
  state.tried = {}
  local id, service = target_of(request, service_id, state)
  for _, endpoint in ipairs(service and balancers:of(service, id).endpoints or {}) do
    if endpoint.number == request.endpoint or endpoint.plain_number == request.endpoint then
      state.tried[endpoint] = true
    end
  end
end

-- Errors that say something of the endpoint, and not of the client or the gateway.
local AGAINST = {
  [errors.CONNECT] = true,
  [errors.CONNECT_TIMEOUT] = true,
  [errors.UPSTREAM_CLOSED] = true,
  [errors.UPSTREAM_PROTOCOL] = true,
  [errors.UPSTREAM_TIMEOUT] = true,
  [errors.UPSTREAM_SEND_TIMEOUT] = true,
  [errors.UPSTREAM_HEAD_TOO_LARGE] = true,
}

--- The request is over: tells the balancer how its last attempt went.
function M.done(request, state)
  if not state.endpoint then
    return
  end
  local outcome = "gone"
  if AGAINST[request.error] then
    outcome = "failed"
  elseif request.upstream_status > 0 then
    outcome = "ok"
  end
  end_attempt(state, outcome)
end

return M
