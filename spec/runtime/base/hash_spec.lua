-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
local ffi = require("ffi")

core.cdef({ "base/hash.h" })
local C = core.C

describe("hash", function()
  -- Of the reference implementation, x86_32.
  local MURMUR = {
    { "", 0, 0 },
    { "", 1, 0x514e28b7 },
    { "test", 0, 0xba6bd213 },
    { "Hello, world!", 0, 0xc0363e43 },
    { "The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd },
  }
  for _, case in ipairs(MURMUR) do
    it(("is MurmurHash3 for %q"):format(case[1]), function()
      assert.are.equal(case[3], C.hash_bytes(case[1], #case[1], case[2]))
    end)
  end

  it("is FNV-1a for texts", function()
    assert.are.equal(0xbf9cf968, C.hash_text("foobar", 6))
  end)

  it("gives MD5 in hexadecimal", function()
    local out = ffi.new("char[33]")
    assert.are.equal(0, C.hash_md5("abc", 3, out))
    assert.are.equal("900150983cd24fb0d6963f7d28e17f72", ffi.string(out))
  end)

  local PATHS = {
    ["/"] = { "/", "" },
    ["/a/b"] = { "/a/b", "", "/a", "/a/b" },
    ["/a/b/"] = { "/a/b/", "", "/a", "/a/b" },
    ["*"] = { "*", "", "*" },
    [""] = { "", "" },
  }
  for path, expected in pairs(PATHS) do
    it(("marks the elements of %q"):format(path), function()
      local marks = ffi.new("uint32_t[16]")
      local found = {}
      for i = 1, C.hash_path(path, #path, marks, 8) do
        local length = marks[2 * i - 2]
        found[i] = path:sub(1, length)
        assert.are.equal(C.hash_text(path, length), marks[2 * i - 1])
      end
      assert.are.same(expected, found)
    end)
  end

  it("writes no more marks than there is room for", function()
    local marks = ffi.new("uint32_t[8]")
    assert.are.equal(3, C.hash_path("/a/b/c/d", 8, marks, 3))
    assert.are.same({ 8, 0, 2 }, { marks[0], marks[2], marks[4] })
    assert.are.equal(0, marks[6])
  end)
end)
