-- SPDX-License-Identifier: Apache-2.0
--
-- The clock of a test. It goes as the real one does until it is frozen or put forward; mg.time,
-- timers, waits and times to live of the scripts go by it; the test's own waits do not.
local C = require("moongate.api.core")
local clock = require("moongate.api.clock")
local state = require("moongate.test.state")
local task = require("moongate.api.task")
local values = require("moongate.api.values")
local vm = require("moongate.api.vm")

local M = {}

local wall_offset, offset = 0, 0
local frozen -- real monotonic time at which the clock stands still
local sleepers = {}

local function real_monotonic()
  return frozen or C.mg_time_monotonic()
end

function clock.now()
  return real_monotonic() + offset + wall_offset
end

function clock.monotonic()
  return real_monotonic() + offset
end

wall_offset = C.mg_time_now() - C.mg_time_monotonic()

-- The next time that a double holds whole, also after whole seconds are added or taken away.
local function exact(seconds)
  return math.ceil(seconds * 1024) / 1024
end

local function remove(sleeper)
  for i, one in ipairs(sleepers) do
    if one == sleeper then
      table.remove(sleepers, i)
      return
    end
  end
end

-- A real timer ends the wait, unless the clock stands or is put forward meanwhile.
function clock.wait(seconds)
  local sleeper = { due = clock.monotonic() + seconds, waiter = task.current() }
  sleepers[#sleepers + 1] = sleeper
  local ok, result = pcall(function()
    return task.wait(frozen and C.mg_park(vm) or C.mg_wait_timer(vm, seconds))
  end)
  remove(sleeper)
  if not ok then
    error(result, 0)
  end
  return result
end

-- Lets tasks that are ready run, and those that they wake, for some turns of the loop.
local function settle()
  for _ = 1, 30 do
    task.wait(C.mg_wait_timer(vm, 0))
  end
end

local function next_due(limit)
  local first
  for _, sleeper in ipairs(sleepers) do
    if sleeper.due <= limit and (not first or sleeper.due < first.due) then
      first = sleeper
    end
  end
  return first
end

--- Puts the clock forward; what was to happen until then happens in its order.
---@param duration number|string  seconds, or "31s"
function M.advance(duration)
  local target = clock.monotonic() + values.seconds(duration)
  settle()
  local sleeper = next_due(target)
  while sleeper do
    offset = math.max(offset, sleeper.due - real_monotonic())
    remove(sleeper)
    task.unpark(sleeper.waiter, 0)
    settle()
    sleeper = next_due(target)
  end
  offset = math.max(offset, target - real_monotonic())
end

--- Stops the clock, at a time that may be said. While it stands, what is to end after ten seconds
--- ends when it is put forward by ten seconds, neither a rounding earlier nor later.
---@param now number?  seconds since 1970
function M.freeze(now)
  if not frozen then
    frozen, offset, wall_offset = exact(C.mg_time_monotonic()), exact(offset), exact(wall_offset)
  end
  if now then
    wall_offset = now - clock.monotonic()
  end
end

--- Lets the clock go on from where it stands.
function M.go_on()
  if not frozen then
    return
  end
  offset = offset + frozen - C.mg_time_monotonic()
  frozen = nil
  for _, sleeper in ipairs(sleepers) do
    task.spawn(function()
      task.wait(C.mg_wait_timer(vm, math.max(0, sleeper.due - clock.monotonic())))
      task.unpark(sleeper.waiter, 0)
    end)
  end
end

state.after_each(M.go_on)

return M
