-- SPDX-License-Identifier: Apache-2.0
--
-- Sends the body of a response no faster than so many bytes a second. While it waits, the service
-- is not read.
local mg = require("moongate")

local s = mg.schema

local config = s.record({
  rate = s.bytes():required():min(1):description("bytes a second of one response"),
  after = s.bytes():default(0):description("so many bytes go as fast as they can"),
})

-- A piece is what goes in so much time.
local PIECE_SECONDS = 0.25
local PIECE_BYTES_MAX = 65536
local WAIT_SECONDS_MAX = 2 -- should another plugin make much of a piece

local function state_of(ctx)
  local state = ctx.shared.throttle
  if not state then
    state = { sent = 0, began = false }
    ctx.shared.throttle = state
  end
  return state
end

local function response(ctx, conf)
  ctx.response:set_piece_size(
    math.max(1, math.min(PIECE_BYTES_MAX, math.floor(conf.rate * PIECE_SECONDS)))
  )
end

-- A piece may go when all that went before it would have gone at that rate.
local function response_body(ctx, conf, chunk)
  if chunk == "" then
    return -- the end, which need not wait
  end
  local state = state_of(ctx)
  local slow = state.sent - conf.after
  state.sent = state.sent + #chunk
  if slow < 0 then
    return
  end
  local now = mg.time.monotonic()
  state.began = state.began or now - slow / conf.rate
  local wait = state.began + slow / conf.rate - now
  if wait > 0 then
    mg.time.sleep(math.min(wait, WAIT_SECONDS_MAX))
  end
end

return mg.plugin({
  name = "throttle",
  version = "1.0.0",
  summary = "Bounds the speed of responses",
  stage = "edge", -- sees what all other plugins have made of the body
  keeps_length = true,
  config = config,
  response = response,
  response_body = response_body,
})
