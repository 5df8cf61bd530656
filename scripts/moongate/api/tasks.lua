-- SPDX-License-Identifier: Apache-2.0
--
-- mg.task: work that goes on side by side, and how it waits for each other. All within one worker.
local clock = require("moongate.api.clock")
local task = require("moongate.api.task")
local values = require("moongate.api.values")

local M = { spawn = task.spawn }

local WOKEN = 1

--- Lets other work go on for a while.
---@param duration number|string  seconds, or "250ms"
function M.sleep(duration)
  task.sleep(values.seconds(duration))
end

local function remove(list, value)
  for i, one in ipairs(list) do
    if one == value then
      table.remove(list, i)
      return
    end
  end
end

-- Waits in `list` to be woken; false when the time is over, by `until_s` of the clock.
local function wait_in(list, until_s)
  local left = until_s and until_s - clock.monotonic()
  if left and left <= 0 then
    return false
  end
  local waiter = task.current()
  list[#list + 1] = waiter
  local ok, result = pcall(task.park, left)
  remove(list, waiter)
  if not ok then
    error(result, 0)
  end
  return result == WOKEN or not left
end

local function end_of(timeout)
  return timeout and clock.monotonic() + values.seconds(timeout)
end

local function wake_first(list)
  while list[1] do
    if task.unpark(table.remove(list, 1)) then
      return true
    end
  end
  return false
end

-- --- joining -----------------------------------------------------------------

local function wait_for(one, until_s)
  while not one.done do
    if not wait_in(one.waiters, until_s) and not one.done then
      return false
    end
  end
  return true
end

local function over(what)
  return nil, what .. ": the time is over", "timeout"
end

--- Waits for a task, and returns what its function returned, or nil and the error. Of a list, waits
--- for all: the first result of each, by position, and the errors of those that failed.
---
--- Errors: `failed`, `timeout`.
---@param tasks moongate.Task|moongate.Task[]
---@param timeout number|string|nil
function M.join(tasks, timeout)
  local until_s = end_of(timeout)
  if tasks.fn then
    if not wait_for(tasks, until_s) then
      return over("join")
    end
    return task.results(tasks)
  end
  local results, errors = {}, nil
  for i, one in ipairs(tasks) do
    if not wait_for(one, until_s) then
      return over("join")
    end
    local result, err = task.results(one)
    results[i] = result
    if not one.ok then
      errors = errors or {}
      errors[i] = err
    end
  end
  return results, errors
end

local function first_done(tasks)
  for i, one in ipairs(tasks) do
    if one.done then
      return i
    end
  end
end

--- Waits for the first of several tasks to end: its position, and what `join` says of it. The
--- others go on.
---
--- Errors: `timeout`.
---@param tasks moongate.Task[]
---@param timeout number|string|nil
---@return integer? position
function M.race(tasks, timeout)
  local until_s = end_of(timeout)
  local waiters = {}
  for i, one in ipairs(tasks) do
    waiters[i] = one.waiters
  end
  local done = first_done(tasks)
  while not done do
    local left = until_s and until_s - clock.monotonic()
    if left and left <= 0 then
      return over("race")
    end
    local waiter = task.current()
    for _, list in ipairs(waiters) do
      list[#list + 1] = waiter
    end
    local ok, err = pcall(task.park, left)
    for _, list in ipairs(waiters) do
      remove(list, waiter)
    end
    if not ok then
      error(err, 0)
    end
    done = first_done(tasks)
  end
  return done, task.results(tasks[done])
end

-- --- semaphore ---------------------------------------------------------------

---@class moongate.Semaphore
local Semaphore = {}
Semaphore.__index = Semaphore

--- Lets `count` tasks at a time pass.
---@param count integer
---@return moongate.Semaphore
function M.semaphore(count)
  if type(count) ~= "number" or count < 1 then
    error("mg.task.semaphore takes a number of at least 1", 2)
  end
  return setmetatable({ free = count, waiters = {} }, Semaphore)
end

--- Errors: `timeout`.
---@param timeout number|string|nil
---@return true?
---@return string? err
---@return "timeout"? code
function Semaphore:acquire(timeout)
  if self.free > 0 then
    self.free = self.free - 1
    return true
  end
  if not wait_in(self.waiters, end_of(timeout)) then
    return over("semaphore")
  end
  return true -- handed over by release
end

function Semaphore:release()
  if not wake_first(self.waiters) then
    self.free = self.free + 1
  end
end

-- --- channel -----------------------------------------------------------------

---@class moongate.Channel
local Channel = {}
Channel.__index = Channel

--- A queue of at most `size` values between tasks.
---@param size integer
---@return moongate.Channel
function M.channel(size)
  if type(size) ~= "number" or size < 1 then
    error("mg.task.channel takes a size of at least 1", 2)
  end
  return setmetatable({ size = size, values = {}, readers = {}, writers = {} }, Channel)
end

--- Puts a value in; waits while the channel is full.
---
--- Errors: `closed`, `timeout`.
---@param value any  not nil
---@param timeout number|string|nil
---@return true?
---@return string? err
---@return string? code
function Channel:push(value, timeout)
  if value == nil then
    error("a channel holds no nil", 2)
  end
  local until_s = end_of(timeout)
  while not self.is_closed and #self.values >= self.size do
    if not wait_in(self.writers, until_s) then
      return over("channel")
    end
  end
  if self.is_closed then
    return nil, "the channel is closed", "closed"
  end
  table.insert(self.values, value)
  wake_first(self.readers)
  return true
end

--- Takes the oldest value; waits while there is none.
---
--- Errors: `closed` when nothing is left, `timeout`.
---@param timeout number|string|nil
---@return any? value
---@return string? err
---@return string? code
function Channel:pop(timeout)
  local until_s = end_of(timeout)
  while #self.values == 0 do
    if self.is_closed then
      return nil, "the channel is closed", "closed"
    elseif not wait_in(self.readers, until_s) then
      return over("channel")
    end
  end
  local value = table.remove(self.values, 1)
  wake_first(self.writers)
  return value
end

--- No further values; what is in there can still be taken.
function Channel:close()
  self.is_closed = true
  while wake_first(self.readers) or wake_first(self.writers) do
    -- each of them sees that the channel is closed
  end
end

return M
