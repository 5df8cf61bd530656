-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
local ffi = require("ffi")

core.cdef({ "base/index.h", "base/hash.h" })
local C = core.C

local ROOM = 1024 * 1024

describe("index", function()
  local block

  -- An index of keys[i] -> {i, kind} in `block`, behind the keys' texts.
  local function build(keys, kind)
    block = ffi.new("char[?]", ROOM)
    local at = {}
    local used = 0
    for i, key in ipairs(keys) do
      ffi.copy(block + used, key, #key)
      at[i], used = used, used + #key
    end
    used = math.ceil(used / 8) * 8
    local index = ffi.cast("struct index *", block + used)
    C.index_init(index, C.index_bytes(#keys))
    for i, key in ipairs(keys) do
      C.index_put(index, kind, block + at[i], #key, ffi.new("uint32_t[2]", i, kind))
    end
    return index
  end

  local function find(index, kind, key)
    local values = ffi.new("uint32_t[2]")
    local hash = C.hash_text(key, #key)
    if C.index_find(index, kind, key, #key, hash, values) == 0 then
      return nil
    end
    return values[0]
  end

  it("finds each of many keys", function()
    local keys = {}
    for i = 1, 5000 do
      keys[i] = "/path/" .. i
    end
    local index = build(keys, 1)
    for i, key in ipairs(keys) do
      assert.are.equal(i, find(index, 1, key))
    end
    assert.is_nil(find(index, 1, "/path/0"))
  end)

  it("keeps kinds apart", function()
    local index = build({ "/a" }, 2)
    assert.are.equal(1, find(index, 2, "/a"))
    assert.is_nil(find(index, 1, "/a"))
  end)

  it("finds the empty key", function()
    assert.are.equal(2, find(build({ "/a", "" }, 1), 1, ""))
  end)

  it("is found in a copy of its block", function()
    local index = build({ "/a", "/b" }, 1)
    local offset = ffi.cast("char *", index) - block
    local copy = ffi.new("char[?]", ROOM)
    ffi.copy(copy, block, ROOM)
    ffi.fill(block, ROOM)
    assert.are.equal(2, find(ffi.cast("struct index *", copy + offset), 1, "/b"))
  end)
end)
