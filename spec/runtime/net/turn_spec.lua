-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")
local net = require("spec.support.net")

core.cdef({ "net/turn.h" })
local C = core.C

-- What is called here calls back; a trace must not be in between.
jit.off(true, true)

describe("the end of a turn", function()
  local loop, turns, list, ran

  before_each(function()
    loop, ran, list = net.loop(), {}, {}
    turns = ffi.new("struct turns")
    assert.equal(0, C.turns_init(turns, loop.uv))
    -- Nothing else keeps the loop going.
    C.uv_ref(ffi.cast("uv_handle_t *", turns.before_poll))
  end)

  after_each(function()
    C.turns_fini(turns)
    loop:turn()
    loop:close()
    for _, one in ipairs(list) do
      one.callback:free()
    end
  end)

  -- Work that notes its name, and may do more.
  local function work(name, more)
    local one = { turn = ffi.new("struct turn") }
    one.callback = ffi.cast("turn_fn *", function()
      ran[#ran + 1] = name
      if more then
        more(one)
      end
    end)
    C.turn_init(one.turn, one.callback)
    list[#list + 1] = one
    return one
  end

  local function add(one)
    C.turn_add(turns, one.turn)
  end

  it("is when work is done, once, in the order in which it was asked for", function()
    local a, b = work("a"), work("b")
    add(a)
    add(b)
    add(a)
    assert.same({}, ran)
    loop:turn()
    assert.same({ "a", "b" }, ran)
    add(b)
    loop:turn()
    assert.same({ "a", "b", "b" }, ran)
  end)

  it("is also for what work asks for", function()
    local b = work("b")
    local a = work("a", function()
      add(b)
    end)
    add(a)
    C.uv_run(loop.uv, 2)
    assert.same({ "a", "b" }, ran)
  end)

  it("forgets what is taken back", function()
    local a, b = work("a"), nil
    local c = work("c", function()
      C.turn_remove(b.turn)
    end)
    b = work("b")
    add(a)
    C.turn_remove(a.turn)
    C.turn_remove(a.turn)
    add(c)
    add(b)
    loop:turn()
    assert.same({ "c" }, ran)
  end)
end)
