-- SPDX-License-Identifier: Apache-2.0
--
-- Lets so many requests in a time pass, for each client or whatever the key says; all workers count
-- together. A bucket of tokens: what is not used is left for a burst, and nothing is ever delayed.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  rate = s.number():required():between(0.000001, 1000000000),
  per = s.duration():default("1s"):between("1ms", "1d"),
  burst = s.number():default(0):between(0, 1000000000)
    :description("requests that may come at once besides the first"),
  key = mg.limits.key_field(s),
  count_empty = mg.limits.empty_field(s),
  scope = s.string():description("what shares a count; equal rate, per, burst and key by default"),
  ipv6_prefix = s.integer():default(64):between(8, 128)
    :description("bits of an IPv6 address that count as one client; a multiple of 8"),
  exempt = mg.limits.exempt_field(s),
  status = s.status_code():default(429),
  message = s.string():description("the answer; the status and its name by default"),
  headers = s.boolean():default(false):description("send RateLimit-* and Retry-After"),
})

local LIMIT = "rate-limit"
local SIZE = "16m" -- some 100,000 clients
local REASONS = { [429] = "Too Many Requests", [503] = "Service Temporarily Unavailable" }

local buckets -- of this thread's, the same dictionary in all

local function default_scope(conf)
  local numbers = ("%.17g/%.17g/%.17g/"):format(conf.rate, conf.per, conf.burst)
  return numbers .. mg.template.text(conf.key)
end

local function prepare(conf)
  if conf.ipv6_prefix % 8 ~= 0 then
    return nil, "ipv6_prefix: must be a multiple of 8"
  end
  return {
    counted = mg.limits.counted(conf, conf.scope or default_scope(conf), conf.ipv6_prefix),
    rate = conf.rate / conf.per,
    size = conf.burst + 1,
    status = conf.status,
    message = conf.message
      or ("%d %s\n"):format(conf.status, REASONS[conf.status] or "Limit Exceeded"),
    headers = conf.headers,
  }
end

-- Of several limits the client is told of the one that it is closest to.
local function tell(ctx, conf, left)
  local told = ctx.shared.rate_limit
  if not told or left < told.left then
    ctx.shared.rate_limit = { left = left, conf = conf }
  end
end

local function access(ctx, conf)
  local key = mg.limits.key(ctx, conf.counted)
  if not key then
    return
  end
  buckets = buckets or mg.shared(LIMIT, { size = SIZE })
  local taken, left, wait = buckets:take_token(key, conf.rate, conf.size)
  if taken == nil then
    error(left, 0)
  elseif conf.headers then
    tell(ctx, conf, left)
  end
  if taken then
    return
  end
  ctx:limit_exceeded(LIMIT)
  local retry = conf.headers and { ["Retry-After"] = ("%d"):format(math.ceil(wait)) } or nil
  return ctx:respond(conf.status, conf.message, retry)
end

local function response(ctx)
  local told = ctx.shared.rate_limit
  if told then
    local conf, answer = told.conf, ctx.response
    answer:set_header("RateLimit-Limit", ("%d"):format(conf.size))
    answer:set_header("RateLimit-Remaining", ("%d"):format(told.left))
    answer:set_header("RateLimit-Reset", math.ceil((conf.size - told.left) / conf.rate))
  end
end

return mg.plugin({
  name = "rate-limit",
  version = "1.0.0",
  summary = "Lets so many requests of a client in a time pass",
  -- Before all that authenticates, whatever its name: who is refused for another reason has used up
  -- what it may as well, so that passwords cannot be tried without end. After preflights.
  stage = "cors",
  after = { "cors" },
  on_error = "fail_closed",
  config = config,
  prepare = prepare,
  needs = function(hook, conf)
    return hook ~= "response" or conf.headers
  end,
  access = access,
  response = response,
})
