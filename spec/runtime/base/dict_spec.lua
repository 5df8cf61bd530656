-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
local ffi = require("ffi")

core.cdef({ "base/dict.h" })
local C = core.C

local TEXT = 2

describe("a dictionary", function()
  local dict
  local place, value = ffi.new("struct dict *[1]"), ffi.new("struct dict_value")
  local text = ffi.new("struct buf")

  local function open(bytes)
    assert.are.equal(0, C.dict_new(place, bytes))
    dict = place[0]
  end

  after_each(function()
    C.dict_free(dict)
    C.buf_fini(text)
  end)

  local function key(name)
    return ffi.new("struct dict_key", { name, #name })
  end

  local function set(name, data)
    value.kind, value.data, value.length = TEXT, data, #data
    return C.dict_set(dict, key(name), 0, value, 0, 0)
  end

  local function get(name)
    if C.dict_get(dict, key(name), 0, value, text) == 1 then
      return ffi.string(value.data, value.length)
    end
  end

  it("keeps as many texts as its memory holds, whatever their sizes", function()
    open(1048576)
    for i = 1, 20000 do
      assert.are.equal(1, set("key-" .. i, ("v"):rep(i % 300)))
    end
    assert.are.equal(("v"):rep(20000 % 300), get("key-20000"))
    local count = tonumber(C.dict_count(dict))
    assert.is_true(count > 3000 and count < 12000)
  end)

  it("takes a value of another size in place of the old one", function()
    open(65536)
    for _, data in ipairs({ "short", ("long"):rep(100), "", "again" }) do
      set("k", data)
      assert.are.equal(data, get("k"))
    end
    assert.are.equal(1, tonumber(C.dict_count(dict)))
  end)

  it("gives memory back when it is bounded anew", function()
    open(1048576)
    for i = 1, 2000 do
      set("key-" .. i, ("v"):rep(100))
    end
    C.dict_resize(dict, 65536)
    assert.is_true(tonumber(C.dict_count(dict)) < 400)
    set("after", "this")
    assert.are.equal("this", get("after"))
  end)

  it("is one and the same by its name", function()
    open(4096)
    local dicts = ffi.new("struct dicts")
    assert.are.equal(0, C.dicts_init(dicts))
    local first, second = ffi.new("struct dict *[1]"), ffi.new("struct dict *[1]")
    assert.are.equal(0, C.dicts_find(dicts, "a", 1, 0, first))
    assert.are.equal(0, C.dicts_find(dicts, "a", 1, 8192, second))
    assert.are.equal(first[0], second[0])
    assert.are.equal(0, C.dicts_find(dicts, "ab", 2, 0, second))
    assert.are_not.equal(first[0], second[0])
    assert.is_true(C.dicts_find(dicts, ("n"):rep(300), 300, 0, second) < 0)
    C.dicts_fini(dicts)
  end)
end)
