-- SPDX-License-Identifier: Apache-2.0
--
-- What other specs decode with, against the examples of RFC 7541, Appendix C.
local hpack = require("spec.support.hpack")

local function bytes(hex)
  return (hex:gsub("%s", ""):gsub("..", function(two)
    return string.char(tonumber(two, 16))
  end))
end

describe("HPACK of the specs", function()
  it("decodes responses with Huffman's code and entries that are evicted (C.6)", function()
    local decoder = hpack.decoder(256)
    decoder:decode(bytes([[4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81
      66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3]]))
    local second = decoder:decode(bytes("4883 640e ffc1 c0bf"))
    assert.same({ ":status", "307" }, second[1])
    assert.same({ "location", "https://www.example.com" }, second[4])
    local third = decoder:decode(bytes([[88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084
      a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1
      ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07]]))
    assert.same({ { ":status", "200" }, { "cache-control", "private" },
      { "date", "Mon, 21 Oct 2013 20:13:22 GMT" }, { "location", "https://www.example.com" },
      { "content-encoding", "gzip" },
      { "set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1" } }, third)
    assert.equal(215, decoder.size)
  end)

  it("encodes integers of any size (C.1)", function()
    assert.equal("\10", hpack.integer(10, 5, 0))
    assert.equal("\31\154\10", hpack.integer(1337, 5, 0))
    assert.equal("\42", hpack.integer(42, 8, 0))
  end)

  it("decodes what it encodes", function()
    local fields = { { ":path", "/a" }, { "x", "" }, { "y", ("z"):rep(1000) } }
    assert.same(fields, hpack.decoder():decode(hpack.encode(fields)))
    local again = hpack.literal("x", "1", "indexed") .. hpack.indexed(62)
    assert.same({ { "x", "1" }, { "x", "1" } }, hpack.decoder():decode(again))
  end)

  for what, block in pairs({
    ["an index of no entry"] = "\255\0",
    ["the end's code"] = "\0\1x\132\255\255\255\255",
    ["padding of zeros"] = "\0\1x\129\0",
    ["a text without end"] = "\0\5abc",
  }) do
    it("raises for " .. what, function()
      assert.has_error(function()
        hpack.decoder():decode(block)
      end)
    end)
  end
end)
