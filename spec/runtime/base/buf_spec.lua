-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "base/buf.h" })
local C = core.C

local UV_ENOMEM = -12

describe("buf", function()
  local buf

  local function text()
    return ffi.string(buf.data, buf.len)
  end

  before_each(function()
    buf = ffi.gc(ffi.new("struct buf"), C.buf_fini)
  end)

  it("keeps what is put in, in order", function()
    assert.equal(0, C.buf_put(buf, "moon", 4))
    assert.equal(0, C.buf_put(buf, "gate", 4))
    assert.equal("moongate", text())
  end)

  it("takes nothing from an empty put, not even memory", function()
    assert.equal(0, C.buf_put(buf, nil, 0))
    assert.is_true(buf.data == nil)
    assert.equal(0, tonumber(buf.cap))
  end)

  it("keeps its bytes when it grows past its first room", function()
    local piece = ("0123456789abcdef"):rep(100)
    for _ = 1, 40 do
      assert.equal(0, C.buf_put(buf, piece, #piece))
    end
    assert.equal(piece:rep(40), text())
  end)

  it("drops from the front", function()
    assert.equal(0, C.buf_put(buf, "moongate", 8))
    C.buf_drop(buf, 4)
    assert.equal("gate", text())
    C.buf_drop(buf, 4)
    assert.equal("", text())
  end)

  it("makes the room that was asked for", function()
    assert.equal(0, C.buf_put(buf, "x", 1))
    assert.equal(0, C.buf_reserve(buf, 5000))
    assert.is_true(buf.cap - buf.len >= 5000)
    assert.equal("x", text())
  end)

  it("refuses room that no address space has, and keeps what it holds", function()
    assert.equal(0, C.buf_put(buf, "x", 1))
    assert.equal(UV_ENOMEM, C.buf_reserve(buf, ffi.cast("size_t", -2)))
    assert.equal("x", text())
  end)

  it("is empty and usable after it gave its memory back", function()
    assert.equal(0, C.buf_put(buf, "moon", 4))
    C.buf_fini(buf)
    assert.equal(0, tonumber(buf.len))
    assert.equal(0, C.buf_put(buf, "gate", 4))
    assert.equal("gate", text())
  end)
end)
