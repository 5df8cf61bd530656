-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
core.cdef({ "base/counter.h" })
local C = core.C

local function ref(name)
  return C.counter_ref(name, #name)
end

describe("a counter", function()
  it("is the same for all who name it", function()
    local one, two = ref("a"), ref("a")
    assert.equal(0, C.counter_next(one, 100))
    assert.equal(1, C.counter_next(two, 100))
    assert.equal(2, C.counter_next(one, 100))
    C.counter_unref(one)
    assert.equal(3, C.counter_next(two, 100))
    C.counter_unref(two)
  end)

  it("has nothing to do with one of another name", function()
    local one, two = ref("ab"), ref("a")
    C.counter_next(one, 10)
    assert.equal(0, C.counter_next(two, 10))
    C.counter_unref(two)
    C.counter_unref(one)
  end)

  it("begins anew when nobody had it any more", function()
    local one = ref("c")
    C.counter_next(one, 10)
    C.counter_unref(one)
    one = ref("c")
    assert.equal(0, C.counter_next(one, 10))
    C.counter_unref(one)
  end)

  it("goes round at the modulus", function()
    local one = ref("d")
    local turns = {}
    for i = 1, 7 do
      turns[i] = C.counter_next(one, 3)
    end
    assert.same({ 0, 1, 2, 0, 1, 2, 0 }, turns)
    C.counter_unref(one)
  end)
end)
