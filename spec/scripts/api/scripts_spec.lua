-- SPDX-License-Identifier: Apache-2.0
--
-- Files of scripts that wait for ever.
local mg = require("moongate")
local scripts = require("moongate.api.scripts")
local t = require("moongate.test")

local ROUTE = 'require("moongate").route({ host = "a.test", to = "http://127.0.0.1:1" })'

local function load(text)
  return scripts.contain(scripts.load, { { path = "gate/a.lua", name = "a.lua", text = text } })
end

describe("scripts that are loaded", function()
  it("are given up where they wait for ever, and do not end what is loaded after them", function()
    t.clock.freeze()
    local late = mg.task.spawn(load, 'require("moongate").task.sleep("40s")')
    t.clock.advance("30s")
    assert.same({ nil, "gate/a.lua: loading took longer than 30 s" }, { mg.task.join(late, 1) })
    local next_one = mg.task.spawn(load, 'require("moongate").task.sleep("20s") ' .. ROUTE)
    t.clock.advance("20s")
    assert.equal(1, #assert(mg.task.join(next_one, 1)).routes)
  end)
end)
