-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")
local t = require("moongate.test")

describe("mg.time", function()
  local WEEKDAY = 784111777
  for form, text in pairs({
    ["the preferred form"] = "Sun, 06 Nov 1994 08:49:37 GMT",
    ["the form of RFC 850"] = "Sunday, 06-Nov-94 08:49:37 GMT",
    ["the form of asctime"] = "Sun Nov  6 08:49:37 1994",
  }) do
    it("reads a date in " .. form, function()
      assert.are.equal(WEEKDAY, mg.time.parse_http_date(text))
    end)
  end

  it("writes dates that it reads back", function()
    for _, seconds in ipairs({ 0, 951782400, 951868799, 1709164800, 4107542399 }) do
      assert.are.equal(seconds, mg.time.parse_http_date(mg.time.http_date(seconds)))
    end
    assert.are.equal("Sun, 06 Nov 1994 08:49:37 GMT", mg.time.http_date(WEEKDAY))
  end)

  local WRONG = { "", "today", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT" }
  for _, text in ipairs(WRONG) do
    it(("refuses %q"):format(text), function()
      assert.are.equal("invalid", select(3, mg.time.parse_http_date(text)))
    end)
  end

  it("goes by the clock of the test", function()
    t.clock.freeze(1000000)
    local before = mg.time.monotonic()
    t.clock.advance("90s")
    assert.are.equal(1000090, mg.time.now())
    assert.are.equal("Mon, 12 Jan 1970 13:48:10 GMT", mg.time.http_date())
    assert.are.equal(90, mg.time.monotonic() - before)
  end)

  -- A double has a bit less of the fraction behind each power of two.
  it("stands at a time from which seconds add up, also over a power of two", function()
    for _ = 1, 12 do
      local now = mg.time.monotonic()
      t.clock.advance(2 ^ math.ceil(math.log(now + 10) / math.log(2)) - now - 16 / 3)
      t.clock.freeze()
      local before = mg.time.monotonic()
      t.clock.advance("9s")
      t.clock.advance("1s")
      assert.are.equal(10, mg.time.monotonic() - before)
      t.clock.go_on()
    end
  end)
end)

describe("mg.timer", function()
  before_each(function()
    t.clock.freeze()
  end)

  it("runs a function after its time, once, with what it was given", function()
    local seen = {}
    mg.timer.after("10s", function(...)
      table.insert(seen, { ... })
    end, "a", 1)
    t.clock.advance("9s")
    assert.are.same({}, seen)
    t.clock.advance("1s")
    t.clock.advance("60s")
    assert.are.same({ { "a", 1 } }, seen)
  end)

  it("runs a function again and again, in the order of time", function()
    local order = {}
    local often = mg.timer.every("2s", function()
      table.insert(order, "often")
    end)
    local seldom = mg.timer.every("5s", function()
      table.insert(order, "seldom")
    end)
    t.clock.advance("6s")
    assert.are.same({ "often", "often", "seldom", "often" }, order)
    assert.is_true(often:cancel())
    assert.is_false(often:cancel())
    mg.timer.cancel(seldom)
    t.clock.advance("60s")
    assert.are.equal(4, #order)
  end)

  it("goes on when a run fails, and counts it", function()
    local runs = 0
    local timer = mg.timer.every(1, function()
      runs = runs + 1
      error("this run fails on purpose")
    end)
    local before = mg.timer.failures
    t.clock.advance("3s")
    timer:cancel()
    assert.are.equal(3, runs)
    assert.are.equal(3, timer.failures)
    assert.are.equal(before + 3, mg.timer.failures)
  end)

  it("adds up to its jitter", function()
    t.random(7)
    local at = {}
    local started = mg.time.monotonic()
    local timer = mg.timer.every("10s", function()
      table.insert(at, mg.time.monotonic() - started)
    end, { jitter = "5s" })
    t.clock.advance("60s")
    timer:cancel()
    local previous = 0
    for _, time in ipairs(at) do
      assert.is_true(time - previous >= 10 and time - previous <= 15.001)
      previous = time
    end
    assert.are_not.equal(10, at[1])
  end)

  it("may wait in its function", function()
    local done
    mg.timer.after(1, function()
      mg.task.sleep(1)
      done = true
    end)
    t.clock.advance(1.5)
    assert.is_nil(done)
    t.clock.advance(1)
    assert.is_true(done)
  end)

  it("takes what it can use", function()
    assert.has_error(function()
      mg.timer.every(0, print)
    end)
    assert.has_error(function()
      mg.timer.after("soon", print)
    end)
    assert.has_error(function()
      mg.timer.after(1, "no function")
    end)
  end)
end)
