-- SPDX-License-Identifier: Apache-2.0
--
-- Which endpoint of a service gets a request. Comes after access, and again before each retry.
--
-- A worker has one registry. It keeps a balancer for each service part and, for longer than that,
-- what is known of each endpoint.
local affinity = require("moongate.balance.affinity")
local cookie = require("moongate.balance.cookie")
local endpoints = require("moongate.balance.endpoint")
local ewma = require("moongate.balance.ewma")
local hash = require("moongate.balance.hash")
local least_requests = require("moongate.balance.least_requests")
local reader = require("moongate.snapshot.reader")
local round_robin = require("moongate.balance.round_robin")

local M = {}

local ALGORITHMS = {
  round_robin = round_robin,
  least_requests = least_requests,
  ewma = ewma,
  hash = hash,
  subset_hash = hash.subset,
}

local NEVER = math.huge
local DEFAULT_SUBSET = 3
local DEFAULT_FAIL_TIMEOUT_MS = 10000
-- A slow start takes this many steps.
local RAMP_STEPS = 10

---@class moongate.Balancer
local Balancer = {}
Balancer.__index = Balancer

---@class moongate.Balance
local Registry = {}
Registry.__index = Registry

---@class moongate.BalanceOptions
---@field decode fun(text: string): table  of JSON
---@field now fun(): number  seconds that never go back
---@field random? fun(): number  in [0, 1)
---@field time? fun(): number  of day, seconds
---@field drop? fun(endpoint: moongate.Endpoint)  called for one that its service has no more
---@field down? fun(balancer: moongate.Balancer, endpoint: moongate.Endpoint)  called for one that
---  has failed too often
---@field worker? integer  a number that tells this worker from the others

---@param options moongate.BalanceOptions
---@return moongate.Balance
function M.new(options)
  return setmetatable({
    decode = options.decode,
    now = options.now,
    random = options.random or math.random,
    time = options.time or os.time,
    worker = options.worker or 0,
    drop = options.drop or function() end,
    down = options.down or function() end,
    epoch = 0, -- changes whenever the health of some endpoint does
    balancers = {}, -- service id -> balancer
    known = {}, -- service name -> endpoint name -> endpoint
    unhealthy = {}, -- service name -> endpoint name -> true, by an active check
  }, Registry)
end

-- --- what may be picked ------------------------------------------------------

local function add_live(self, endpoint, weight, share)
  local count = #self.live + 1
  self.live[count] = endpoint
  self.is_live[endpoint] = true
  self.full_weights[count] = weight
  self.weights[count] = weight * share
end

-- Fills `live` with the endpoints that `admits`; returns when that should be looked at again.
local function collect(self, now, admits)
  self.live, self.is_live, self.weights, self.full_weights = {}, {}, {}, {}
  local again = NEVER
  for i, endpoint in ipairs(self.endpoints) do
    local weight = self.configured[i]
    if weight > 0 and admits(endpoint, now) then
      local share = endpoints.share(endpoint, self.slow_start, now)
      add_live(self, endpoint, weight, share)
      if share < 1 then
        again = math.min(again, now + self.slow_start / RAMP_STEPS)
      end
    elseif weight > 0 and endpoint.healthy then
      again = math.min(again, endpoint.down_until)
    end
  end
  return again
end

local function admit_all()
  return true
end

local function refresh(self)
  local now = self.now()
  self.epoch = self.registry.epoch
  self.refresh_at = collect(self, now, endpoints.is_up)
  if #self.live == 0 then
    -- Better a try than no answer: health may be wrong when it is that bad for all.
    collect(self, now, admit_all)
  end
  if #self.live > 0 then
    if self.algorithm.rebuild then
      self.algorithm.rebuild(self)
    end
    if self.affinity then
      hash.rebuild(self)
    end
  end
end

-- Works out what is live when health has changed, or a time in it has come.
local function keep_fresh(self)
  if
    self.epoch ~= self.registry.epoch
    or self.refresh_at < NEVER and self.now() >= self.refresh_at
  then
    refresh(self)
  end
end

-- --- balancers ---------------------------------------------------------------

-- Endpoints of the service by name, those that are there already being the same tables as before.
local function adopt_endpoints(registry, self, list, is_newest)
  local before, unhealthy = registry.known[self.name], registry.unhealthy[self.name] or {}
  local now = registry.now()
  local current, fresh, old = {}, {}, {}
  self.endpoints, self.configured = {}, {}
  for i, entry in ipairs(list) do
    local name = endpoints.name(entry.address, entry.port)
    local endpoint = before and before[name]
    if endpoint then
      old[#old + 1] = endpoint
    else
      endpoint = endpoints.new(entry)
      fresh[#fresh + 1] = endpoint
      -- All endpoints of a service that was not there before are equally new.
      endpoint.since = before and now or -NEVER
      endpoint.healthy = not unhealthy[name]
    end
    current[name] = endpoint
    self.endpoints[i], self.configured[i] = endpoint, entry.weight
  end
  if is_newest then
    registry.known[self.name] = current
    for name, endpoint in pairs(before or {}) do
      if not current[name] then
        registry.drop(endpoint)
      end
    end
  end
  if self.algorithm.welcome then
    self.algorithm.welcome(self, fresh, old, now)
  end
end

-- Affinity comes before any other way; new sessions are dealt out in turn.
local function algorithm_of(rest)
  local balance = rest.balance
  if rest.affinity or not balance then
    return round_robin
  end
  return ALGORITHMS[balance.algorithm] or round_robin
end

local function new_balancer(registry, service, is_newest)
  local rest = registry.decode(reader.service_rest(service))
  local balance, health = rest.balance or {}, rest.health or {}
  local self = setmetatable({
    registry = registry,
    now = registry.now,
    random = registry.random,
    worker = registry.worker,
    serial = service.serial,
    name = reader.text(service, service.name),
    algorithm = algorithm_of(rest),
    hash_key = balance.key, -- template of the text that `pick` is given as `key`
    subset_size = balance.subset_size or DEFAULT_SUBSET,
    affinity = rest.affinity,
    protocol = rest.protocol,
    tls = rest.tls, -- what connections to its endpoints need; nil: plain
    health = {
      max_fails = health.max_fails or 0,
      fail_timeout = (health.fail_timeout_ms or DEFAULT_FAIL_TIMEOUT_MS) / 1000,
    },
    slow_start = (health.slow_start_ms or 0) / 1000,
    epoch = -1,
    refresh_at = NEVER,
  }, Balancer)
  adopt_endpoints(registry, self, reader.endpoints(service), is_newest)
  if self.affinity then
    affinity.prepare(self)
  end
  return self
end

local function forget(self, service)
  for _, endpoint in pairs(self.known[service] or {}) do
    self.drop(endpoint)
  end
  self.known[service] = nil
end

--- The balancer of a service part.
---
--- Requests that began with the snapshot before still ask for its part: that balancer is kept too,
--- and does not take over from the newer one.
---@param part ffi.cdata*  bytes of mg_snapshot_service, or struct mg_service *
---@param id integer  of the service
---@return moongate.Balancer
function Registry:of(part, id)
  local service = reader.service_at(part)
  local current = self.balancers[id]
  if current and current.serial == service.serial then
    return current
  elseif current and current.previous and current.previous.serial == service.serial then
    return current.previous
  end
  local is_newest = not current or service.serial > current.serial
  local made = new_balancer(self, service, is_newest)
  if not is_newest then
    current.previous = made
    return made
  end
  made.previous = current
  if current then
    current.previous = nil
    if current.name ~= made.name then -- the id stands for another service now
      forget(self, current.name)
    end
  end
  self.balancers[id] = made
  return made
end

--- Forgets what belongs to services that are gone. Not on the request path: call it now and then.
---@param is_gone fun(id: integer): boolean
function Registry:sweep(is_gone)
  for id, balancer in pairs(self.balancers) do
    if is_gone(id) then
      forget(self, balancer.name)
      self.balancers[id] = nil
    end
  end
end

--- Tells what an active check of a service found out of the endpoint at an address, be it known
--- here yet or not.
---@param service string
---@param healthy boolean
function Registry:mark(service, address, port, healthy)
  local name = endpoints.name(address, port)
  local marks = self.unhealthy[service] or {}
  marks[name] = not healthy or nil
  self.unhealthy[service] = next(marks) and marks
  local endpoint = self.known[service] and self.known[service][name]
  if endpoint then
    self:mark_endpoint(endpoint, healthy)
  end
end

--- The same for an endpoint that is known.
---@param endpoint moongate.Endpoint
---@param healthy boolean
function Registry:mark_endpoint(endpoint, healthy)
  if endpoint.healthy ~= healthy then
    endpoint.healthy = healthy
    endpoint.since = healthy and self.now() or endpoint.since
    self.epoch = self.epoch + 1
  end
end

--- The endpoint for the next try of a request.
---
--- With affinity the second result of a success may be the value of a cookie, for `set_cookie`.
---
--- Errors: `no_endpoint` when the service has none (503).
--- Hooks: balance.
---@param request ffi.cdata*
---@param generation integer
---@param tried? table<moongate.Endpoint, any>  endpoints of earlier tries, avoided where possible
---@param key? string  what hash and subset_hash hash
---@return moongate.Endpoint? endpoint
---@return string? cookie_or_error
---@return "no_endpoint"? code
function Balancer:pick(request, generation, tried, key)
  keep_fresh(self)
  if #self.live == 0 then
    return nil, "no endpoint is available", "no_endpoint"
  elseif self.affinity and request then -- scripts ask without one
    return affinity.choose(self, request, generation, tried)
  end
  return self.algorithm.choose(self, tried, key)
end

--- What `pick` picks from: endpoints, and in the same order their weights of now. Valid until the
--- next call.
---@return moongate.Endpoint[] live
---@return number[] weights
function Balancer:current()
  keep_fresh(self)
  return self.live, self.weights
end

--- A try begins. Each `begin` has one `done`.
function Balancer.begin(_, endpoint)
  endpoint.inflight = endpoint.inflight + 1
end

--- A try ended. "ok": an answer came; "failed": it counts against the endpoint; "gone": neither,
--- such as when the client left.
---@param endpoint moongate.Endpoint
---@param outcome "ok"|"failed"|"gone"
---@param seconds number  that the try took
function Balancer:done(endpoint, outcome, seconds)
  endpoint.inflight = endpoint.inflight - 1
  if outcome == "gone" then
    return
  end
  local now = self.now()
  if outcome == "failed" then
    if endpoints.failed(endpoint, self.health, now) then
      self.registry.epoch = self.registry.epoch + 1
      self.registry.down(self, endpoint)
    end
    return
  end
  endpoints.succeeded(endpoint, self.health, now)
  if self.algorithm.observe then
    self.algorithm.observe(self, endpoint, seconds, now)
  end
end

--- Whether the request has a session with this service.
---@return boolean
function Balancer:is_own_session(request, generation)
  return self.affinity ~= nil and affinity.is_own(self, request, generation)
end

--- The value of the Set-Cookie field for what `pick` gave.
---@param value string
---@param context { path: string?, secure: boolean, user_agent: string? }
---@return string
function Balancer:set_cookie(value, context)
  return cookie.write(self.affinity, value, {
    path = context.path,
    secure = context.secure,
    user_agent = context.user_agent,
    now = self.registry.time(),
  })
end

return M
