-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")
local t = require("moongate.test")

describe("mg.queue", function()
  local sent, dropped, queue, send

  before_each(function()
    sent, dropped = {}, {}
    send = function(batch)
      sent[#sent + 1] = table.concat(batch, " ")
      return true
    end
  end)

  local function new(options)
    options.send = function(...)
      return send(...)
    end
    options.on_drop = function(count, why)
      dropped[#dropped + 1] = count .. " " .. why
    end
    queue = mg.queue.new(options)
    return queue
  end

  local function push(...)
    local taken = {}
    for i, entry in ipairs({ ... }) do
      taken[i] = queue:push(entry)
    end
    return taken
  end

  local function wait_for(list, count)
    t.wait_until(function()
      return #list >= count
    end, count .. " entries of a list")
    return list
  end

  it("hands on what waits once it has waited long enough", function()
    new({ linger = "20ms" })
    push("a", "b")
    assert.same({ "a b" }, wait_for(sent, 1))
    push("c")
    assert.same({ "a b", "c" }, wait_for(sent, 2))
    assert.equal(0, queue:size())
  end)

  it("hands a batch on at once when it is full", function()
    new({ linger = "1h", batch_max = 2 })
    push("a", "b", "c")
    assert.same({ "a b" }, wait_for(sent, 1))
    mg.task.spawn(push, "d")
    assert.same({ "a b", "c d" }, wait_for(sent, 2))
  end)

  it("ends a batch before it has too many bytes, but takes one that is longer alone", function()
    new({ linger = "10ms", batch_bytes = 10 })
    push("12345", "12345", "1", ("x"):rep(50), "2")
    assert.same({ "12345 12345", "1", ("x"):rep(50), "2" }, wait_for(sent, 4))
  end)

  it("takes no more than it has room for", function()
    new({ linger = "1h", max_entries = 3, batch_max = 3 })
    assert.same({ true, true, true, false }, push("a", "b", "c", "d"))
    wait_for(sent, 1)
    assert.same({ true }, push("e"))
    new({ linger = "1h", max_bytes = 10 })
    assert.same({ true, false, true, false }, push("12345", "123456", "12345", "1"))
  end)

  it("makes no batch of more than it has room for", function()
    new({ linger = "1h", max_entries = 2, batch_max = 10 })
    push("a", "b")
    assert.same({ "a b" }, wait_for(sent, 1))
  end)

  it("tries again after as long as it is told, then goes on", function()
    local tries = 0
    send = function(batch)
      tries = tries + 1
      if tries < 4 then
        return nil, "not now", 0.01
      end
      sent[#sent + 1] = table.concat(batch, " ")
      return true
    end
    new({ linger = "10ms", batch_max = 2 })
    push("a", "b", "c")
    assert.same({ "a b", "c" }, wait_for(sent, 2))
    assert.equal(5, tries)
  end)

  it("tries again by itself, ever more seldom", function()
    local at = {}
    send = function()
      at[#at + 1] = mg.time.monotonic()
      return nil, "not now", true
    end
    new({ linger = 1, retry_max_time = 60 })
    push("a")
    for _ = 1, 400 do
      t.clock.advance(0.25)
    end
    local told = ("1 not now, after %d"):format(#at)
    assert.same({ "1 not now" }, wait_for(dropped, 1))
    assert.truthy(#at >= 4 and #at <= 9, told)
    for i = 3, #at do
      assert.truthy(at[i] - at[i - 1] <= 31, told)
    end
    assert.truthy(at[2] - at[1] >= 0.5 and at[2] - at[1] <= 1.5, told)
    assert.truthy(at[#at] - at[1] <= 61, told)
  end)

  it("gives up what is not to be tried again, and what cannot be sent", function()
    send = function(batch)
      if batch[1] == "raises" then
        error("oops", 0)
      end
      return nil, "never"
    end
    new({ linger = "10ms", batch_max = 1 })
    push("a", "raises", "c")
    assert.same({ "1 never", "1 oops", "1 never" }, wait_for(dropped, 3))
  end)

  it("fills up behind a batch that is under way, and is not held up by it", function()
    local free
    send = function(batch)
      t.wait_until(function()
        return free
      end, "the end")
      sent[#sent + 1] = table.concat(batch, " ")
      return true
    end
    new({ linger = 0, max_entries = 2 })
    push("a")
    t.wait_until(function()
      return queue:size() == 0
    end, "the first batch")
    assert.same({ true, true, false }, push("b", "c", "d"))
    free = true
    assert.same({ "a", "b c" }, wait_for(sent, 2))
  end)

  it("hands on what is there at the end, without lingering", function()
    new({ linger = "1h", batch_max = 2 })
    push("a")
    queue:flush("5s")
    assert.same({ "a" }, sent)
    queue:flush("5s") -- nothing to wait for
    push("b")
    queue:flush("5s")
    assert.same({ "a", "b" }, sent)
  end)

  it("tries nothing again at the end", function()
    send = function()
      return nil, "not now", true
    end
    new({ linger = "1h", batch_max = 2 })
    push("a", "b", "c")
    queue:flush("5s")
    assert.same({ "2 not now", "1 not now" }, dropped)
  end)

  it("drops what is left when the time at the end is over", function()
    local seconds
    send = function(_, left)
      seconds = left
      mg.task.sleep("10s")
    end
    new({ linger = "1h", batch_max = 2 })
    push("a")
    local flushed = mg.task.spawn(queue.flush, queue, "40ms")
    mg.task.join(flushed)
    assert.same({ "1 the time at the end is over" }, dropped)
    assert.truthy(seconds > 0 and seconds <= 0.04, tostring(seconds))
    assert.equal(0, queue:size())
  end)

  it("needs a function that sends", function()
    assert.has_error(function()
      mg.queue.new({})
    end, "mg.queue.new takes a table with a function `send`")
  end)
end)
