-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
local ffi = require("ffi")

core.cdef({ "base/query.h", "base/err.h" })
local C = core.C

describe("query", function()
  local function find(query, name, room)
    local out = ffi.new("char[?]", room or 64)
    local length = C.query_find(query, #query, name, #name, out, room or 64)
    return length >= 0 and ffi.string(out, length) or length
  end

  local CASES = {
    { "the value of a parameter", "a=1&b=2", "b", "2" },
    { "the first of several", "a=1&a=2", "a", "1" },
    { "an empty value", "a=&b=1", "a", "" },
    { "a parameter without a value", "b&a", "a", "" },
    { "a value with an equals sign", "a=b=c", "a", "b=c" },
    { "a decoded value", "a=%41%20b+c", "a", "A b c" },
    { "a decoded name", "%61%5b%5D=1", "a[]", "1" },
    { "a percent sign that stands for itself", "a=%4&b=%zz", "b", "%zz" },
    { "an escape that the text's end cuts", "a=%4", "a", "%4" },
    { "a name that begins another", "ab=1&a=2", "a", "2" },
  }
  for _, case in ipairs(CASES) do
    it("finds " .. case[1], function()
      assert.are.equal(case[4], find(case[2], case[3]))
    end)
  end

  for _, query in ipairs({ "", "b=1", "ab=1", "&&", "=a" }) do
    it(("finds nothing in %q"):format(query), function()
      assert.are.equal(-2, find(query, "a")) -- ENOENT
    end)
  end

  it("tells that a value has no room", function()
    assert.are.equal("abc", find("a=abc", "a", 3))
    assert.are.equal(tonumber(ffi.C.ERR_LIMIT), find("a=abcd", "a", 3))
  end)
end)
