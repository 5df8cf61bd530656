-- SPDX-License-Identifier: Apache-2.0
--
-- mg.queue: entries that hooks leave behind, handed on in batches by a task of its own. Whoever
-- pushes never waits; what does not fit is dropped and told. Within one worker.
local clock = require("moongate.api.clock")
local task = require("moongate.api.task")
local tasks = require("moongate.api.tasks")
local values = require("moongate.api.values")

local M = {}

local RETRY_SECONDS, RETRY_SECONDS_MAX = 1, 30
local OVER = "the time at the end is over"

---@class moongate.QueueOptions
---@field send fun(entries: any[], seconds: number?): true?, string?, boolean|number|nil
---   hands a batch on, and may wait, though at the end no longer than `seconds`; or nil, why not,
---   and whether to try again, perhaps in how many seconds
---@field on_drop fun(count: integer, why: string)?  of entries that were taken and given up
---@field max_entries integer?         that wait, 2048 unless given
---@field max_bytes integer|string?    of those that are strings, 8 MiB unless given
---@field batch_max integer?           512 unless given
---@field batch_bytes integer|string?  3 MiB unless given; an entry alone may have more
---@field linger number|string|nil     how long entries wait for others, 5 s unless given
---@field retry_max_time number|string|nil  for one batch, 60 s unless given

---@class moongate.Queue
local Queue = {}
Queue.__index = Queue

---@param options moongate.QueueOptions
---@return moongate.Queue
function M.new(options)
  if type(options) ~= "table" or type(options.send) ~= "function" then
    error("mg.queue.new takes a table with a function `send`", 2)
  end
  local most = options.max_entries or 2048
  return setmetatable({
    send = options.send,
    on_drop = options.on_drop or function() end,
    max_entries = most,
    max_bytes = values.parse_bytes(options.max_bytes or "8m"),
    batch_max = math.min(options.batch_max or 512, most),
    batch_bytes = values.parse_bytes(options.batch_bytes or "3m"),
    linger = values.seconds(options.linger or 5),
    retry_max_time = values.seconds(options.retry_max_time or 60),
    entries = {},
    first = 1,
    last = 0,
    bytes = 0,
    under_way = 0,
  }, Queue)
end

--- How many entries wait.
---@return integer
function Queue:size()
  return self.last - self.first + 1
end

local function bytes_of(entry)
  return type(entry) == "string" and #entry or 0
end

local function take(queue)
  local batch, bytes = {}, 0
  while queue:size() > 0 and #batch < queue.batch_max do
    local entry = queue.entries[queue.first]
    local size = bytes_of(entry)
    if batch[1] and bytes + size > queue.batch_bytes then
      break
    end
    queue.entries[queue.first] = nil
    queue.first = queue.first + 1
    batch[#batch + 1], bytes = entry, bytes + size
  end
  queue.bytes = queue.bytes - bytes
  return batch
end

local function pause(queue, seconds)
  queue.waiter = task.current()
  task.park(seconds)
  queue.waiter = nil
end

local function wake(queue)
  if queue.waiter then
    task.unpark(queue.waiter)
  end
end

local function linger(queue)
  local until_s = clock.monotonic() + queue.linger
  local left = queue.linger
  queue.lingers = true
  while left > 0 and not queue.flush_until and queue:size() < queue.batch_max do
    pause(queue, left)
    left = until_s - clock.monotonic()
  end
  queue.lingers = false
end

-- Doubles, and is spread so that many gateways do not come back at once.
local function backoff(tries)
  local seconds = math.min(RETRY_SECONDS * 2 ^ (tries - 1), RETRY_SECONDS_MAX)
  return seconds * (0.5 + math.random() / 2)
end

-- What is left of the time at the end; nil before that.
local function left_of(queue)
  return queue.flush_until and math.max(0, queue.flush_until - clock.monotonic())
end

local function try(queue, batch, seconds)
  local ran, sent, err, again = pcall(queue.send, batch, seconds)
  if not ran then
    return nil, sent, false
  end
  return sent, err, again
end

-- Hands a batch on; or nil and why that was given up.
local function deliver(queue, batch)
  local until_s, tries = clock.monotonic() + queue.retry_max_time, 0
  repeat
    local left = left_of(queue)
    if left == 0 then
      return nil, OVER
    end
    local sent, err, again = try(queue, batch, left)
    if sent then
      return true
    end
    tries = tries + 1
    local wait = type(again) == "number" and again or backoff(tries)
    if not again or queue.flush_until or clock.monotonic() + wait > until_s then
      return nil, err
    end
    pause(queue, wait)
  until false
end

local function run(queue)
  while queue:size() > 0 do
    linger(queue)
    local batch = take(queue)
    queue.under_way = #batch
    local ok, why = deliver(queue, batch)
    queue.under_way = 0
    if not ok then
      queue.on_drop(#batch, tostring(why))
    end
  end
end

local function is_running(queue)
  return queue.runner ~= nil and not queue.runner.done
end

local function start(queue)
  local ok, runner = pcall(task.spawn, run, queue)
  queue.runner = ok and runner or nil
  return ok
end

--- Adds an entry; false when there is no room for it.
---@param entry any
---@return boolean
function Queue:push(entry)
  local bytes = bytes_of(entry)
  if self:size() >= self.max_entries or self.bytes + bytes > self.max_bytes then
    return false
  elseif not is_running(self) and not start(self) then
    return false
  end
  self.last = self.last + 1
  self.entries[self.last] = entry
  self.bytes = self.bytes + bytes
  if self.lingers and self:size() >= self.batch_max then
    wake(self)
  end
  return true
end

--- For the end: hands on what is there, without lingering or further tries, and waits for that.
--- What is left when the time is over is dropped.
---@param duration number|string
function Queue:flush(duration)
  if not is_running(self) then
    return
  end
  local seconds = values.seconds(duration)
  self.flush_until = clock.monotonic() + seconds
  wake(self)
  local _, _, code = tasks.join(self.runner, seconds)
  local left = self:size() + self.under_way
  if code == "timeout" and left > 0 then
    self.entries, self.first, self.last, self.bytes = {}, 1, 0, 0
    self.on_drop(left, OVER)
  end
  self.flush_until = nil
end

return M
