-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")

describe("mg.crypto", function()
  -- RFC 1321 A.5, FIPS 180, RFC 4231 4.3.
  for what, case in pairs({
    md5 = { mg.crypto.md5("abc"), "900150983cd24fb0d6963f7d28e17f72" },
    sha1 = { mg.crypto.sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d" },
    sha256 = {
      mg.crypto.sha256("abc"),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    },
    ["sha256 of nothing"] = {
      mg.crypto.sha256(""),
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    },
    hmac_sha256 = {
      mg.crypto.hmac_sha256("Jefe", "what do ya want for nothing?"),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    },
  }) do
    it("gives the " .. what .. " of the standard", function()
      assert.are.equal(case[2], case[1])
    end)
  end

  it("gives other bytes each time", function()
    assert.are.equal(16, #mg.crypto.random(16))
    assert.are_not.equal(mg.crypto.random(16), mg.crypto.random(16))
    assert.has_error(function()
      mg.crypto.random(0)
    end)
  end)

  it("makes UUIDs of version 4", function()
    local pattern = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"
    local first = mg.crypto.uuid()
    assert.truthy(first:match(pattern))
    assert.are_not.equal(first, mg.crypto.uuid())
  end)

  it("compares", function()
    assert.is_true(mg.crypto.equal("same", "same"))
    assert.is_true(mg.crypto.equal("", ""))
    assert.is_false(mg.crypto.equal("same", "samf"))
    assert.is_false(mg.crypto.equal("same", "same "))
  end)
end)

describe("mg.base64", function()
  local PAIRS = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==" }
  for bytes, text in pairs(PAIRS) do
    it(("encodes %q and decodes it"):format(bytes), function()
      assert.are.equal(text, mg.base64.encode(bytes))
      assert.are.equal(bytes, mg.base64.decode(text))
    end)
  end

  it("brings any bytes back", function()
    local all = {}
    for i = 0, 255 do
      all[i + 1] = string.char(i)
    end
    local bytes = table.concat(all)
    assert.are.equal(bytes, mg.base64.decode(mg.base64.encode(bytes)))
  end)
end)

describe("mg.regex", function()
  it("finds a match, from a position on", function()
    local regex = mg.regex.compile([[(\w)(\d+)?]])
    local first, last, groups = regex:find("--a12 b")
    assert.are.same({ 3, 5, "a12", "a", "12" }, { first, last, groups[0], groups[1], groups[2] })
    first, last, groups = regex:find("--a12 b", 6)
    assert.are.same({ 7, 7, "b" }, { first, last, groups[1] })
    assert.is_falsy(groups[2])
    assert.is_nil((regex:find("--a12 b", 8)))
    assert.is_nil((regex:find("--a12 b", 99)))
  end)

  it("looks behind the position that it begins at", function()
    assert.is_nil((mg.regex.compile("^b"):find("ab", 2)))
    assert.are.equal(2, (mg.regex.compile("(?<=a)b"):find("ab", 2)))
  end)

  for _, case in ipairs({
    { "a+", "baaac-a", "<$0>", "b<aaa>c-<a>", 2 },
    { "(\\w+)=(\\w+)", "k=v, l=w", "$2=$1", "v=k, w=l", 2 },
    { "x*", "axb", "-", "-a--b-", 4 },
    { "^a", "aaa", "b", "baa", 1 },
    { "a", "aaa", "$$", "$$$", 3 },
    { "(a)|(b)", "ab", "[$1|$2]", "[a|][|b]", 2 },
  }) do
    it(("replaces %s in %q"):format(case[1], case[2]), function()
      assert.are.same({ case[4], case[5] }, { mg.regex.compile(case[1]):gsub(case[2], case[3]) })
    end)
  end

  it("replaces by what a function says, so many times at most", function()
    local regex = mg.regex.compile("[a-z]")
    local result = regex:gsub("abc", function(groups)
      return groups[0] ~= "b" and groups[0]:upper() or nil
    end)
    assert.are.equal("AbC", result)
    assert.are.same({ "-bc", 1 }, { regex:gsub("abc", "-", 1) })
  end)

  it("tells of a limit", function()
    local regex = mg.regex.compile("(a+)+$")
    assert.are.equal("limit", select(3, regex:gsub(("a"):rep(60) .. "b", "")))
  end)
end)

describe("mg.ip", function()
  it("parses addresses and networks", function()
    local parsed = mg.ip.parse("192.0.2.1")
    assert.are.same({ version = 4, bytes = "\192\0\2\1", bits = 32 }, parsed)
    assert.are.equal(24, mg.ip.parse("192.0.2.0/24").bits)
    local six = mg.ip.parse("2001:db8::/32")
    assert.are.same({ 6, 16, 32 }, { six.version, #six.bytes, six.bits })
    assert.are.equal(4, mg.ip.parse("::ffff:10.0.0.1").version)
    assert.are.equal("invalid", select(3, mg.ip.parse("10.0.0.256")))
  end)
end)
