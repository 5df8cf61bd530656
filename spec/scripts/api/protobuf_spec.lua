-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")

local pb = mg.protobuf

describe("mg.protobuf", function()
  -- What is written, and its bytes as the encoding of Protocol Buffers has them.
  local WRITTEN = {
    ["a number of one byte"] = { pb.number(1, 1), "0801" },
    ["a number of two"] = { pb.number(1, 150), "089601" },
    ["the greatest number of one byte"] = { pb.number(1, 127), "087f" },
    ["the least number of two"] = { pb.number(1, 128), "088001" },
    ["a number beyond 32 bits"] = { pb.number(1, 2 ^ 40), "08808080808020" },
    ["a field beyond 15"] = { pb.number(16, 0), "800100" },
    ["a text"] = { pb.bytes(2, "testing"), "120774657374696e67" },
    ["an empty text"] = { pb.bytes(2, ""), "1200" },
    ["a message in a message"] = { pb.bytes(3, pb.number(1, 150)), "1a03089601" },
    ["eight bytes"] = { pb.fixed64(7, 2 ^ 40 + 1), "390100000000010000" },
    ["four bytes"] = { pb.fixed32(16, 0x301), "850101030000" },
    ["a double"] = { pb.double(4, 1), "21000000000000f03f" },
  }
  for what, case in pairs(WRITTEN) do
    it("writes " .. what, function()
      assert.equal(case[2], mg.crypto.hex(case[1]))
    end)
  end

  it("reads what it writes, values of a field in order", function()
    local fields = assert(pb.read(pb.number(1, 2 ^ 40) .. pb.bytes(2, "a")
      .. pb.bytes(2, ("b"):rep(300)) .. pb.fixed64(3, 5) .. pb.fixed32(4, 6)))
    assert.same({ 2 ^ 40 }, fields[1])
    assert.same({ "a", ("b"):rep(300) }, fields[2])
    assert.same({ "\5\0\0\0\0\0\0\0" }, fields[3])
    assert.same({ "\6\0\0\0" }, fields[4])
    assert.same({}, pb.read(""))
  end)

  for what, bytes in pairs({
    ["a key that ends too early"] = "\128",
    ["field 0"] = "\0\1",
    ["a number that ends too early"] = "\8\128",
    ["a number of eleven bytes"] = "\8" .. ("\128"):rep(10) .. "\1",
    ["a text that is longer than what is there"] = "\10\5abc",
    ["a text of a length that nothing has"] = "\10\255\255\255\255\255\255\255\255\127a",
    ["eight bytes that are seven"] = "\9\1\2\3\4\5\6\7",
    ["a kind that is gone"] = "\11",
  }) do
    it("does not read " .. what, function()
      assert.equal("malformed", select(3, pb.read(bytes)))
    end)
  end

  local ODD = "\239\191\189"

  -- A text, how much of it fits, and what stands for it.
  for _, case in ipairs({
    { "plain", 10, "plain" },
    { "plain", 3, "pla" },
    { "", 3, "" },
    { "ä€😀", 10, "ä€😀" },
    { "ä€😀", 8, "ä€" },
    { "ä", 1, "" },
    { "a\255b", 10, "a" .. ODD .. "b" },
    { "\195", 10, ODD },
    { "\195(", 10, ODD .. "(" },
    { "\192\128", 10, ODD .. ODD }, -- too long a form of NUL
    { "\224\128\128", 10, ODD .. ODD .. ODD },
    { "\237\160\128", 10, ODD .. ODD .. ODD }, -- a surrogate
    { "\244\144\128\128", 20, ODD .. ODD .. ODD .. ODD }, -- beyond U+10FFFF
    { "a\0b", 10, "a\0b" },
    { ("\255"):rep(100), 7, ODD .. ODD },
  }) do
    it(("makes UTF-8 of %q, %d bytes"):format(case[1], case[2]), function()
      assert.equal(case[3], pb.text(case[1], case[2]))
    end)
  end
end)
