-- SPDX-License-Identifier: Apache-2.0
--
-- How a generation of scripts comes to be, and what keeps it from it.
local generation = require("moongate.hooks.generation")
local mg = require("moongate")
local t = require("moongate.test")

local WAITS = [[
local mg = require("moongate")
return mg.plugin({
  name = "patient",
  init = function()
    mg.task.channel(1):pop()
  end,
})
]]

local RUNS = [[
local mg = require("moongate")
return mg.plugin({
  name = "quick",
  init = function()
    mg.task.sleep("1ms")
  end,
})
]]

local function new(text)
  return generation.new(1, { { path = "a.lua", name = "a.lua", text = text } })
end

describe("a generation of scripts", function()
  it("is given up when an init hook waits for ever, and others are made all the same", function()
    t.clock.freeze()
    local waiting = mg.task.spawn(function()
      return select(2, new(WAITS))
    end)
    t.clock.advance("29s")
    assert.is_nil(waiting.done)
    t.clock.advance("1s")
    assert.is_true(waiting.done)
    assert.equal("plugin patient: init took longer than 30 s", mg.task.join(waiting))
    t.clock.go_on()
    local made = assert(new(RUNS))
    assert.equal("quick", made.plugins[1].name)
    generation.close(made)
  end)

  it("is given up when a file waits for ever", function()
    t.clock.freeze()
    local waiting = mg.task.spawn(function()
      return select(2, new('require("moongate").task.channel(1):pop()'))
    end)
    t.clock.advance("30s")
    assert.equal("a.lua: loading took longer than 30 s", mg.task.join(waiting, 1))
  end)

  it("tells of an error of an init hook", function()
    local made, err = new((RUNS:gsub('mg.task.sleep%("1ms"%)', 'error("no luck")')))
    assert.is_nil(made)
    assert.truthy(err:find("plugin quick: init: .*no luck"), err)
  end)
end)
