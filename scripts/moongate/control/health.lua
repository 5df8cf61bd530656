-- SPDX-License-Identifier: Apache-2.0
--
-- Active health checks. Endpoints are asked here, in one place for all workers, which are told of
-- what changes. An endpoint is healthy until it has failed often enough.
local clock = require("moongate.api.clock")
local endpoints = require("moongate.balance.endpoint")
local grpc_health = require("moongate.api.grpc_health")
local http = require("moongate.api.http")
local log = require("moongate.api.log")
local task = require("moongate.api.task")

local M = {}

-- The first checks of many endpoints are spread over at most this time.
local SPREAD_SECONDS = 1
-- A timeout that is noticed later than this was the loop's: it says nothing of the endpoint.
local LATE_SECONDS = 0.25
local BODY_BYTES = 1048576

---@class moongate.Health
local Health = {}
Health.__index = Health

local function name_of(endpoint)
  return endpoints.name(endpoint.address, endpoint.port)
end

-- --- one check ---------------------------------------------------------------

local function is_good(status, wanted)
  if not wanted then
    return status >= 200 and status < 400
  end
  for _, one in ipairs(wanted) do
    if one == status then
      return true
    end
  end
  return false
end

local function target_of(service, endpoint, path, host)
  local scheme = service.protocol or "http"
  return {
    scheme = scheme == "auto" and "http" or scheme,
    host = endpoint.address,
    port = endpoint.port,
    target = path,
    authority = host or endpoint.port == 0 and "localhost" or name_of(endpoint),
  }
end

local function judge_status(response, active)
  local ok = is_good(response.status, active.status)
  return ok, not ok and "status " .. response.status or nil
end

--- Asks an endpoint. Nil: nothing can be said.
---@return boolean? ok
---@return string? err
function M.ask(service, endpoint, active)
  local request, path, is_healthy = {}, active.path, judge_status
  if active.grpc then
    request, path = grpc_health.request(active.grpc)
    is_healthy = grpc_health.is_good
  end
  local seconds = active.timeout_ms / 1000
  request.timeout, request.max_body, request.tls = seconds, BODY_BYTES, service.tls
  local started = clock.monotonic()
  local response, err, code =
    http.transport(request, target_of(service, endpoint, path, active.host))
  if response then
    return is_healthy(response, active)
  elseif code == "timeout" and clock.monotonic() - started > seconds + LATE_SECONDS then
    return nil
  end
  return false, err
end

-- --- one endpoint ------------------------------------------------------------

local function change(self, prober, healthy, err)
  prober.healthy, prober.streak = healthy, 0
  local fields = { service = prober.service.name, endpoint = prober.name, error = err }
  log[healthy and "info" or "warn"](healthy and "endpoint_healthy" or "endpoint_unhealthy", fields)
  self.tell(prober.service.name, prober.endpoint, healthy)
end

local function judge(self, prober, ok, err)
  prober.checks, prober.error = prober.checks + 1, err
  if ok == prober.healthy then
    prober.streak = 0
    return
  end
  prober.streak = prober.streak + 1
  local active = prober.active
  if prober.streak >= (ok and active.healthy or active.unhealthy) then
    change(self, prober, ok, err)
  end
end

local function rest(prober, seconds)
  prober.waiter = task.current()
  task.park(seconds)
  prober.waiter = nil
end

local function run(self, prober)
  rest(prober, math.random() * math.min(SPREAD_SECONDS, prober.active.interval_ms / 1000))
  while not prober.stopped do
    local done, ok, err = pcall(self.ask, prober.service, prober.endpoint, prober.active)
    if not done then
      ok, err = false, ok
    end
    if not prober.stopped and ok ~= nil then
      judge(self, prober, ok, err)
    end
    if not prober.stopped then
      rest(prober, prober.active.interval_ms / 1000)
    end
  end
end

local function stop(prober)
  prober.stopped = true
  if prober.waiter then
    task.unpark(prober.waiter)
  end
end

-- --- all of them -------------------------------------------------------------

---@class moongate.HealthOptions
---@field tell fun(service: string, endpoint: { address: string, port: integer }, healthy: boolean)
---@field ask (fun(service: table, endpoint: table, active: table): boolean?, string?)?

---@param options moongate.HealthOptions
---@return moongate.Health
function M.new(options)
  return setmetatable({ tell = options.tell, ask = options.ask or M.ask, probers = {} }, Health)
end

local function follow(self, service, endpoint, seen)
  local name = name_of(endpoint)
  local key = service.name .. " " .. name
  local prober = self.probers[key]
  seen[key] = true
  if prober then
    prober.service, prober.active = service, service.health.active
    return
  end
  prober = {
    service = service,
    endpoint = endpoint,
    active = service.health.active,
    name = name,
    healthy = true,
    streak = 0,
    checks = 0,
  }
  self.probers[key] = prober
  task.spawn(run, self, prober)
end

--- Checks the endpoints of these services from now on, and no others. What is known stays.
---@param services table<string, table>  of the model
function Health:update(services)
  local seen = {}
  for _, service in pairs(self.closed and {} or services) do
    if service.health and service.health.active then
      for _, endpoint in ipairs(service.endpoints) do
        follow(self, service, endpoint, seen)
      end
    end
  end
  for key, prober in pairs(self.probers) do
    if not seen[key] then
      stop(prober)
      self.probers[key] = nil
      if not prober.healthy then
        self.tell(prober.service.name, prober.endpoint, true) -- nobody would say so later
      end
    end
  end
end

---@class moongate.HealthState
---@field service string
---@field endpoint string
---@field healthy boolean
---@field checks integer
---@field error string?  of the last check

--- What is known, by service and endpoint.
---@return moongate.HealthState[]
function Health:states()
  local list = {}
  for _, prober in pairs(self.probers) do
    list[#list + 1] = {
      service = prober.service.name,
      endpoint = prober.name,
      healthy = prober.healthy,
      checks = prober.checks,
      error = prober.error,
    }
  end
  table.sort(list, function(a, b)
    if a.service ~= b.service then
      return a.service < b.service
    end
    return a.endpoint < b.endpoint
  end)
  return list
end

--- The state of one endpoint; nil when it is not checked.
---@return boolean? healthy
function Health:of(service, endpoint)
  local prober = self.probers[service .. " " .. endpoint]
  return prober and prober.healthy
end

--- Ends all checks for good; workers go on with what they were told.
function Health:close()
  self.closed = true
  for key, prober in pairs(self.probers) do
    stop(prober)
    self.probers[key] = nil
  end
end

return M
