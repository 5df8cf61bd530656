-- SPDX-License-Identifier: Apache-2.0
--
-- Lets so many requests at once pass, for each client or whatever the key says; all workers count
-- together. What was counted is given back in the log hook, which runs whatever happened.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  max = s.integer():required():between(1, 1000000):description("requests under way"),
  key = mg.limits.key_field(s),
  count_empty = mg.limits.empty_field(s),
  scope = s.string():default(""):description("what shares a count"),
  exempt = mg.limits.exempt_field(s),
  status = s.status_code():default(503),
  message = s.string():default("503 Service Temporarily Unavailable\n"),
})

local LIMIT = "concurrency-limit"
local SIZE = "8m"
local FROM_ZERO = { init = 0 }

local counts -- of this thread's, the same dictionary in all

local function prepare(conf)
  return {
    counted = mg.limits.counted(conf, conf.scope),
    max = conf.max,
    status = conf.status,
    message = conf.message,
  }
end

-- A count of 0 takes no room.
local function release(key)
  if counts:incr(key, -1) == 0 then
    counts:cas(key, 0, nil)
  end
end

local function access(ctx, conf)
  local key = mg.limits.key(ctx, conf.counted)
  if not key then
    return
  end
  counts = counts or mg.shared(LIMIT, { size = SIZE })
  local now, err = counts:incr(key, 1, FROM_ZERO)
  if not now then
    error(err, 0)
  elseif now > conf.max then
    release(key)
    ctx:limit_exceeded(LIMIT)
    return ctx:respond(conf.status, conf.message)
  end
  local held = ctx.shared.concurrency
  if not held then
    held = {}
    ctx.shared.concurrency = held
  end
  held[conf] = key
end

return mg.plugin({
  name = "concurrency-limit",
  version = "1.0.0",
  summary = "Lets so many requests of a client at once pass",
  stage = "cors", -- before all that authenticates, whatever its name
  after = { "cors", "rate-limit" },
  on_error = "fail_closed",
  releases = true,
  config = config,
  prepare = prepare,
  access = access,

  log = function(ctx, conf)
    local held = ctx.shared.concurrency
    local key = held and held[conf]
    if key then
      held[conf] = nil
      release(key)
    end
  end,
})
