-- SPDX-License-Identifier: Apache-2.0
--
-- Attacks upon a gateway, and what must hold while they run: ordinary clients are answered, memory
-- stays bounded.
local assert = require("luassert")
local h2 = require("spec.support.h2")
local memory = require("spec.support.memory")
local mg = require("moongate")

local M = {}

local BOUND = 24 * 1048576
local ANSWER_S = 2

--- How long an answer may take, in seconds. Under a sanitizer all is slower.
---@return number
function M.patience()
  return memory.is_measurable() and ANSWER_S or 5 * ANSWER_S
end

--- How often limits were gone over.
---@param gateway moongate.test.Gateway
---@param limits string  settings; several where it depends on the pieces that come which is first
---@return integer
function M.count(gateway, limits)
  local sum = 0
  for limit in limits:gmatch("%S+") do
    sum = sum + gateway:metrics("moongate_limit_exceeded_total", { limit = limit })
  end
  return sum
end

--- Log lines that tell of these limits.
---@return integer
function M.lines(gateway, limits)
  local count = 0
  for _, entry in ipairs(gateway:logs("limit_exceeded")) do
    count = count + ((" " .. limits .. " "):find(" " .. entry.limit .. " ", 1, true) and 1 or 0)
  end
  return count
end

local function ask(request, what)
  local from = mg.time.monotonic()
  local response, err = request()
  local took = mg.time.monotonic() - from
  assert.equal(200, response and response.status or err, what)
  assert.is_true(took < M.patience(), ("%s was answered after %.2f s"):format(what, took))
end

--- Clients of both versions ask once.
function M.is_served(gateway)
  local client = gateway:client()
  ask(function()
    return client:request({ path = "/plain" })
  end, "a client of HTTP/1.1")
  client:close()
  local conn = h2.connect(gateway)
  ask(function()
    return conn:exchange({ path = "/plain" })
  end, "a client of HTTP/2")
  conn:close()
end

--- Runs `attack` again and again in `lanes` tasks for a while. Ordinary clients ask meanwhile, and
--- memory is looked at.
---@param gateway moongate.test.Gateway
---@param attack fun(lane: integer)  one connection of it
---@param options { lanes: integer?, seconds: number? }?
---@return integer count  of attacks
function M.run(gateway, attack, options)
  options = options or {}
  M.is_served(gateway)
  local before, most = memory.resident(gateway), 0
  local till, count, tasks = mg.time.monotonic() + (options.seconds or 0.4), 0, {}
  for lane = 1, options.lanes or 4 do
    tasks[lane] = mg.task.spawn(function()
      repeat
        attack(lane)
        count = count + 1
      until mg.time.monotonic() > till
    end)
  end
  while mg.time.monotonic() < till do
    M.is_served(gateway)
    most = math.max(most, memory.resident(gateway))
  end
  mg.task.join(tasks)
  M.is_served(gateway)
  if memory.is_measurable() then
    assert.is_true(most - before < BOUND, ("%d bytes more"):format(most - before))
  end
  return count
end

return M
