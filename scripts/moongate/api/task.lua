-- SPDX-License-Identifier: Apache-2.0
--
-- Waiting, in plain synchronous style. An operation is started in C, then the task yields; C
-- resumes it with the result. A coroutine of the script's own passes a wait on to the task (see
-- `wrap` below), so that waiting works in there as well.
local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local clock = require("moongate.api.clock")
local vm = require("moongate.api.vm")

local M = {}

local yield = coroutine.yield
local create = coroutine.create
local resume = coroutine.resume
local status = coroutine.status
local is_yieldable = coroutine.isyieldable

local NOT_HERE = "nothing may wait or answer here: a function of C calls it (string.gsub, "
  .. "table.sort, a finalizer), and cannot be left; collect there, and do so afterwards"

-- What a wait yields, to be told from what a script's coroutine yields to its own caller.
local WAIT = {}

--- Waits for the operation that has just been started.
---@param started integer  result of the function that started it
---@return integer result  below 0: an error code
function M.wait(started)
  if started < 0 then
    if started == errors.STATE then
      error("this may not wait here: only hooks, timers and tasks can", 3)
    end
    return started
  end
  if not is_yieldable() then
    C.mg_wait_cancel(vm)
    error(NOT_HERE, 3)
  end
  local result = yield(WAIT)
  if result == errors.DEADLINE then
    error("deadline: the hook took too long", 0)
  end
  return result
end

--- Ends the present hook: C has been told how, and never resumes the task.
function M.halt()
  if not is_yieldable() then
    error(NOT_HERE, 3)
  end
  yield(WAIT)
end

--- Lets other work go on for a while, by the clock of the scripts.
---@param seconds number
function M.sleep(seconds)
  clock.wait(seconds)
end

function clock.wait(seconds)
  return M.wait(C.mg_wait_timer(vm, seconds))
end

-- --- tasks -------------------------------------------------------------------

local waiting_functions = {}
local running = {} -- by id
local last_id = 0

--- Runs `fn` on its own, beginning when the loop turns next.
---@param fn fun(...)
---@return moongate.Task task  for `join`
function M.spawn(fn, ...)
  local task = { fn = fn, args = { n = select("#", ...), ... }, waiters = {} }
  last_id = last_id % 0x7fffffff + 1
  waiting_functions[last_id] = task
  local err = C.mg_spawn(vm, last_id)
  if err < 0 then
    waiting_functions[last_id] = nil
    error("mg.task.spawn: " .. errors.text(err), 2)
  end
  return task
end

local function finish(task, ok, ...)
  task.done, task.ok = true, ok
  task.results = { n = select("#", ...), ... }
  for _, waiter in ipairs(task.waiters) do
    C.mg_unpark(vm, waiter.number, waiter.generation, 0)
  end
end

local function complain(task)
  if not task.ok and #task.waiters == 0 and M.on_error then
    M.on_error(task.results[1])
  end
end

--- Called by C: runs what `spawn` was given.
---@param id integer
function M.start(id)
  local task = waiting_functions[id]
  waiting_functions[id] = nil
  running[id] = task
  finish(task, xpcall(task.fn, debug.traceback, unpack(task.args, 1, task.args.n)))
  running[id] = nil
  complain(task)
end

--- Called by C: the watchdog has ended that task.
---@param id integer
---@param err string
---@return boolean  whether there is such a task
function M.stopped(id, err)
  local task = running[id]
  running[id] = nil
  if task then
    finish(task, false, err)
    complain(task)
  end
  return task ~= nil
end

--- Runs `fn` in a task of its own and waits for it: what it is stopped in is not the caller.
--- Returns what `fn` returned; raises when it failed.
---@param fn fun(...)
function M.contain(fn, ...)
  local task = M.spawn(fn, ...)
  M.join(task)
  if not task.ok then
    error(task.results[1], 0)
  end
  return M.results(task)
end

--- The present task, for `unpark`.
---@return { number: integer, generation: integer }
function M.current()
  return { number = C.mg_task_number(vm), generation = C.mg_task_generation(vm) }
end

--- Waits until somebody calls `unpark` with this task, or for so many seconds.
---@param seconds number?
---@return integer result  of unpark; 0 when the time is over
function M.park(seconds)
  if seconds then
    return clock.wait(seconds)
  end
  return M.wait(C.mg_park(vm))
end

---@param waiter { number: integer, generation: integer }
---@param result integer?  1 unless given
---@return boolean  whether it still waited
function M.unpark(waiter, result)
  return C.mg_unpark(vm, waiter.number, waiter.generation, result or 1) >= 0
end

--- Waits for a task to end; returns what its function returned, or nil and the error.
---@param task moongate.Task
function M.join(task)
  while not task.done do
    task.waiters[#task.waiters + 1] = M.current()
    M.park()
  end
  return M.results(task)
end

--- What the function of a task that has ended returned, or nil and the error.
---@param task moongate.Task
function M.results(task)
  if task.ok then
    return unpack(task.results, 1, task.results.n)
  end
  return nil, task.results[1], "failed"
end

-- --- coroutines of scripts ---------------------------------------------------

local function pass(co, ok, ...)
  if ok and (...) == WAIT and status(co) ~= "dead" then
    if not is_yieldable() then
      C.mg_wait_cancel(vm)
      return false, NOT_HERE
    end
    return pass(co, resume(co, yield(WAIT)))
  end
  return ok, ...
end

--- Replaces coroutine.resume and wrap by ones that pass waits through.
function M.install()
  coroutine.resume = function(co, ...) -- luacheck: ignore 122
    return pass(co, resume(co, ...))
  end
  local function checked(ok, ...)
    if not ok then
      error(..., 0)
    end
    return ...
  end
  coroutine.wrap = function(fn) -- luacheck: ignore 122
    local co = create(fn)
    return function(...)
      return checked(coroutine.resume(co, ...))
    end
  end
end

return M
