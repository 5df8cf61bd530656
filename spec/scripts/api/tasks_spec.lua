-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")
local t = require("moongate.test")

local task = mg.task

describe("mg.task", function()
  before_each(function()
    t.clock.freeze()
  end)

  local function after(seconds, ...)
    local values = { n = select("#", ...), ... }
    return task.spawn(function()
      task.sleep(seconds)
      return unpack(values, 1, values.n)
    end)
  end

  -- Runs `fn` aside while the clock goes on; returns what it returned.
  local function while_time_goes(seconds, fn)
    local running = task.spawn(fn)
    t.clock.advance(seconds)
    assert.is_true(running.done)
    return task.join(running)
  end

  it("joins a task: its results, or its error", function()
    local first, second, third = while_time_goes(2, function()
      return task.join(after(1, 1, nil, 3))
    end)
    assert.are.equal(1, first)
    assert.is_nil(second)
    assert.are.equal(3, third)
    local value, err, code = while_time_goes(1, function()
      return task.join(task.spawn(function()
        task.sleep(0.5)
        error("broken on purpose")
      end))
    end)
    assert.is_nil(value)
    assert.truthy(err:find("broken on purpose", 1, true))
    assert.are.equal("failed", code)
  end)

  it("joins several tasks, up to a time", function()
    local results = while_time_goes(4, function()
      return task.join({ after(3, "slow"), after(1, "quick") })
    end)
    assert.are.same({ "slow", "quick" }, results)
    local _, _, code = while_time_goes(2, function()
      return task.join({ after(1), after(3) }, "2s")
    end)
    assert.are.equal("timeout", code)
  end)

  it("tells which of several tasks ends first", function()
    local position, value = while_time_goes(2, function()
      return task.race({ after(3, "slow"), after(1, "quick") })
    end)
    assert.are.same({ 2, "quick" }, { position, value })
    local _, _, code = while_time_goes(2, function()
      return task.race({ after(3), after(4) }, 1)
    end)
    assert.are.equal("timeout", code)
  end)

  it("lets as many pass as the semaphore says, in the order of their coming", function()
    local semaphore = task.semaphore(2)
    local inside, most, order = 0, 0, {}
    for i = 1, 6 do
      task.spawn(function()
        semaphore:acquire()
        inside = inside + 1
        most = math.max(most, inside)
        task.sleep(1)
        order[#order + 1] = i
        inside = inside - 1
        semaphore:release()
      end)
    end
    t.clock.advance(10)
    assert.are.equal(2, most)
    assert.are.same({ 1, 2, 3, 4, 5, 6 }, order)
    assert.is_true(semaphore:acquire(0))
    assert.is_true(semaphore:acquire(0))
    assert.are.equal("timeout", select(3, semaphore:acquire(0)))
  end)

  it("hands values from task to task, and slows down who fills the channel", function()
    local channel = task.channel(2)
    local pushed, taken = 0, {}
    task.spawn(function()
      for i = 1, 5 do
        channel:push(i)
        pushed = i
      end
      channel:close()
    end)
    t.clock.advance(1)
    assert.are.equal(2, pushed)
    task.spawn(function()
      local value = channel:pop()
      while value do
        taken[#taken + 1] = value
        value = channel:pop()
      end
    end)
    t.clock.advance(1)
    assert.are.same({ 1, 2, 3, 4, 5 }, taken)
    assert.are.equal("closed", select(3, channel:push(6)))
    assert.are.equal("closed", select(3, channel:pop()))
  end)

  it("waits for a value no longer than it is told", function()
    local channel = task.channel(1)
    assert.are.same({ nil, "timeout" }, { while_time_goes(3, function()
      local value, _, code = channel:pop("2s")
      return value, code
    end) })
  end)
end)
