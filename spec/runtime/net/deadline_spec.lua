-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")
local net = require("spec.support.net")

core.cdef({ "net/deadline.h" })
local C = core.C

jit.off(true, true)

describe("deadlines that are over together", function()
  local loop, deadlines

  before_each(function()
    loop = net.loop()
    deadlines = ffi.new("struct deadlines")
    assert.equal(0, C.deadlines_init(deadlines, loop.uv))
  end)

  after_each(function()
    C.deadlines_fini(deadlines)
    loop:close()
  end)

  for what, ms in pairs({ ["put off"] = 60000, ["taken back"] = 0 }) do
    it("do not come true where one has just been " .. what .. " by another", function()
      local both = ffi.new("struct deadline[2]")
      local told = 0
      local fn = ffi.cast("deadline_fn *", function(deadline)
        told = told + 1
        C.deadline_set(deadlines, deadline == both and both + 1 or both + 0, ms)
      end)
      for i = 0, 1 do
        C.deadline_add(deadlines, both + i, fn)
        C.deadline_set(deadlines, both + i, 1)
      end
      loop:wait(function()
        return told > 0
      end)
      assert.equal(1, told)
      for i = 0, 1 do
        C.deadline_remove(both + i)
      end
      fn:free()
    end)
  end
end)
