-- SPDX-License-Identifier: Apache-2.0
require("spec.support.control")
local document = require("moongate.control.model.document")
local model = require("moongate.control.model")

local function value(text)
  return document.read(text)[1].value
end

describe("document", function()
  local SCALARS = {
    { "yes", true }, { "Off", false }, { "y", true }, { '"yes"', "yes" }, { "true", true },
    { "12", 12 }, { "-3", -3 }, { "0x1F", 31 }, { "010", 8 }, { "0b11", 3 }, { "1_000", 1000 },
    { "1.5", 1.5 }, { ".5", 0.5 }, { "1e3", 1000 }, { "1.2.3", "1.2.3" },
    { "10.0.0.1", "10.0.0.1" },
    { "4s", "4s" }, { "'12'", "12" }, { "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z" },
    { "08", 8 }, { "+7", 7 }, { "1e", "1e" },
  }
  for _, case in ipairs(SCALARS) do
    it(("reads %s as Kubernetes does"):format(case[1]), function()
      assert.equal(case[2], value("a: " .. case[1]).a)
    end)
  end

  it("treats null as absent in a mapping and keeps it in a list", function()
    local read = value("a: null\nb: ~\nc:\nd: [1, null]")
    assert.is_nil(read.a)
    assert.is_nil(read.b)
    assert.is_nil(read.c)
    assert.same({ 1, document.null }, read.d)
  end)

  it("merges keys of an anchor without overriding the mapping's own", function()
    local read = value("base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}")
    assert.same({ x = 1, y = 3 }, read.mine)
  end)

  it("keeps the position of each value", function()
    local first = document.read("a:\n  - b: c\n    d: e")[1]
    local object = { value = first.value, marks = first.marks, line = 1, column = 1 }
    assert.same({ 3, 8 }, { model.position(object, { "a", 1, "d" }) })
  end)

  it("gives the position of what is there for what is not", function()
    local first = document.read("a:\n  b: {c: 1}")[1]
    local object = { value = first.value, marks = first.marks, line = 1, column = 1 }
    assert.same({ 2, 6 }, { model.position(object, { "a", "b", "x", "y" }) })
  end)

  it("spoils no document by the error of another", function()
    local list = document.read("a: 1\n---\na: 1\na: 2\n---\nb: 3")
    assert.same({ a = 1 }, list[1].value)
    assert.is_nil(list[2].value)
    assert.equal(4, list[2].line)
    assert.same({ b = 3 }, list[3].value)
  end)

  it("reads JSON, which is YAML too", function()
    assert.same({ a = { 1, "b", { c = true } } }, value('{"a": [1, "b", {"c": true}]}'))
  end)
end)
