-- SPDX-License-Identifier: Apache-2.0
local order = require("moongate.hooks.order")

local function plugin(name, stage, fields)
  local definition = fields or {}
  definition.name, definition.stage = name, stage
  return { plugin = definition }
end

local function names(instances)
  local sorted, err = order.sort(instances)
  local list = {}
  for i, instance in ipairs(sorted or {}) do
    list[i] = instance.plugin.name .. (instance.id or "")
  end
  return sorted and table.concat(list, " ") or err
end

describe("plugins are put in order", function()
  it("by stage, then by name", function()
    assert.equal("z b a", names({
      plugin("a", "observe"), plugin("b", "transform"), plugin("z", "edge"),
    }))
    assert.equal("a b", names({ plugin("b", "edge"), plugin("a", "edge") }))
  end)

  it("by before and after, within a stage and across stages", function()
    assert.equal("b a", names({ plugin("a", "edge"), plugin("b", "edge", { before = { "a" } }) }))
    assert.equal("b a", names({ plugin("a", "edge", { after = { "b" } }), plugin("b", "observe") }))
  end)

  it("with whoever waits for nobody in its usual place", function()
    assert.equal("b c a d", names({
      plugin("a", "edge", { after = { "c" } }), plugin("b", "edge"), plugin("c", "edge"),
      plugin("d", "edge"),
    }))
  end)

  it("with instances of one plugin together, by id", function()
    local one, two = plugin("a", "edge"), plugin("a", "edge")
    one.id, two.id = "2", "1"
    assert.equal("b a1 a2", names({ one, two, plugin("b", "edge", { before = { "a" } }) }))
  end)

  it("without regard to plugins that are not there, or to itself", function()
    assert.equal("a", names({ plugin("a", "edge", { after = { "x", "a" }, before = { "y" } }) }))
  end)

  it("and a cycle is told with two of its plugins", function()
    assert.equal("plugins a and b each want to come after the other", names({
      plugin("a", "edge", { after = { "b" } }), plugin("b", "edge", { after = { "a" } }),
    }))
  end)
end)
