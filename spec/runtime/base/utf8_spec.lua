-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
local ffi = require("ffi")

core.cdef({ "base/utf8.h" })
local C = core.C

-- The text in memory of its own length, so that a byte too many is seen.
local function is_valid(text)
  local bytes = ffi.new("char[?]", #text)
  ffi.copy(bytes, text, #text)
  return C.utf8_is_valid(bytes, #text) == 1
end

describe("utf8", function()
  for _, text in ipairs({ "", "plain", "a\0b", "ä", "€", "😀", "aä€😀z", "\237\159\191",
    "\238\128\128", "\224\160\128", "\240\144\128\128", "\244\143\191\191" }) do
    it(("takes %q"):format(text), function()
      assert.is_true(is_valid(text))
    end)
  end

  for what, text in pairs({
    ["a byte that begins nothing"] = "a\255",
    ["a byte that only follows"] = "\128",
    ["a character that the end cuts"] = "\195",
    ["a longer one that the end cuts"] = "\240\159\152",
    ["a character that another one cuts"] = "\226\130a",
    ["NUL in two bytes"] = "\192\128",
    ["a slash in two bytes"] = "\193\175",
    ["three bytes where two would do"] = "\224\159\191",
    ["four bytes where three would do"] = "\240\143\191\191",
    ["a surrogate"] = "\237\160\128",
    ["more than there are"] = "\244\144\128\128",
    ["five bytes"] = "\248\136\128\128\128",
  }) do
    it("does not take " .. what, function()
      assert.is_false(is_valid(text))
    end)
  end
end)
