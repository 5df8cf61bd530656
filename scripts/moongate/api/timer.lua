-- SPDX-License-Identifier: Apache-2.0
--
-- mg.timer: functions that run later, or again and again, each in a task of its own. What fails is
-- logged and counted, and the timer goes on. Timers that the scripts of a generation set, and those
-- that these set, end with it.
local log = require("moongate.api.log")
local task = require("moongate.api.task")
local values = require("moongate.api.values")

local M = {}

--- Set in the control thread, which loads scripts for what they declare: timers run in workers.
M.is_off = false

--- Runs that failed, since the thread began.
M.failures = 0

---@class moongate.Timer
local Timer = {}
Timer.__index = Timer

local owners = setmetatable({}, { __mode = "k" }) -- coroutine -> owner

local by_environment = setmetatable({}, { __mode = "k" }) -- of functions -> owner

-- Outside tasks, when a thread starts, there is no coroutine.
local function running()
  return coroutine.running() or "main"
end

--- Timers that this task sets from now on belong to `owner`; nil: to nobody.
---@param owner table?
function M.own(owner)
  owners[running()] = owner
end

--- Timers whose function has this environment belong to the owner of this task, whoever sets them:
--- hooks and tasks of a script do too.
---@param environment table
function M.own_environment(environment)
  by_environment[environment] = owners[running()]
end

--- Ends all timers of an owner, and refuses further ones.
---@param owner table
function M.release(owner)
  owner.is_over = true
  for timer in pairs(owner) do
    if type(timer) == "table" then
      timer:cancel()
    end
  end
end

local function run(timer)
  local ok, err = xpcall(timer.fn, debug.traceback, unpack(timer.arguments, 1, timer.arguments.n))
  if not ok then
    M.failures = M.failures + 1
    timer.failures = timer.failures + 1
    log.error("timer_failed", { error = err })
  end
end

local function pause(timer)
  timer.waiter = task.current()
  task.park(timer.seconds + (timer.jitter > 0 and math.random() * timer.jitter or 0))
  timer.waiter = nil
end

local function loop(timer)
  M.own(timer.owner)
  repeat
    pause(timer)
    if not timer.is_cancelled then
      run(timer)
    end
  until timer.is_cancelled or not timer.again
  M.own(nil)
  timer.is_over = true
  if timer.owner then
    timer.owner[timer] = nil
  end
end

local function start(timer)
  setmetatable(timer, Timer)
  local owner = owners[running()] or by_environment[getfenv(timer.fn)]
  if M.is_off or owner and owner.is_over then
    timer.is_over = true
    return timer
  elseif owner then
    owner[timer] = true
    timer.owner = owner
  end
  task.spawn(loop, timer)
  return timer
end

local function checked(duration, fn, what)
  if type(fn) ~= "function" then
    error(("mg.timer.%s takes a time and a function"):format(what), 3)
  end
  return values.seconds(duration)
end

--- Runs `fn` once.
---@param duration number|string  seconds, or "250ms"
---@param fn fun(...)
---@return moongate.Timer
function M.after(duration, fn, ...)
  local seconds = checked(duration, fn, "after")
  return start({
    seconds = seconds,
    jitter = 0,
    fn = fn,
    arguments = { n = select("#", ...), ... },
    failures = 0,
  })
end

--- Runs `fn` again and again, each time so long after the last run's end.
---@param duration number|string
---@param fn fun()
---@param options { jitter: number|string }?  up to so much is added at random, each time anew
---@return moongate.Timer
function M.every(duration, fn, options)
  local seconds = checked(duration, fn, "every")
  if seconds <= 0 then
    error("mg.timer.every takes a time above 0", 2)
  end
  local jitter = options and options.jitter
  return start({
    seconds = seconds,
    jitter = jitter and values.seconds(jitter) or 0,
    fn = fn,
    arguments = { n = 0 },
    failures = 0,
    again = true,
  })
end

--- Stops the timer; a run that has begun goes on to its end.
---@return boolean  whether there was something to stop
function Timer:cancel()
  if self.is_cancelled or self.is_over then
    return false
  end
  self.is_cancelled = true
  if self.waiter then
    task.unpark(self.waiter)
  end
  return true
end

M.cancel = Timer.cancel

return M
