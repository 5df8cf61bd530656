-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "http/uri.h" })
local C = core.C

describe("a host", function()
  local HOSTS = { "", "a", "a.test", "A.TEST", "a.test.", "a.test:80", "a.test:", "a.test:0",
    "a.test:65535", "10.0.0.1", "10.0.0.1:1", "[::1]", "[::1]:80", "[::1]:", "[::ffff:10.0.0.1]",
    "a_b.test", "a-b", "xn--a", "%41.test", "a~b!$&'()*+,;=" }
  local OTHERS = { ":", ":80", "a.test:65536", "a.test:x", "a.test:-1", "a.test: 80",
    "a.test:80:80", "a.test/", "a.test?", "a.test#", "me@a.test", "a..test", "..", "a test", " a",
    "a ", "a\0", "[]", "[::1", "::1]", "[::1]x", "[::g]", "[:]:", "a[", "a]", "http://a", "a\\b",
    "<a>", "\"a\"", "\228.test", "a\r\nb", "[::1]:65536", "[::1%eth0]", "[v1.a]" }

  it("is a name or an address, and may have a port", function()
    for _, text in ipairs(HOSTS) do
      assert.equal(1, C.uri_is_host(text, #text), text)
    end
  end)

  it("is nothing else", function()
    for _, text in ipairs(OTHERS) do
      assert.equal(0, C.uri_is_host(text, #text), text)
    end
  end)
end)

describe("a target", function()
  it("is anything that is visible ASCII", function()
    for _, text in ipairs({ "/", "*", "/a?b#c", "/%00", "http://a/", "~" }) do
      assert.equal(1, C.uri_is_target(text, #text), text)
    end
    for _, text in ipairs({ "", "/ ", "/\t", "/\0", "/\127", "/\195\164", "/a\r\n" }) do
      assert.equal(0, C.uri_is_target(text, #text), text)
    end
  end)

  it("loses its fragment", function()
    for text, length in pairs({ ["/a#b"] = 2, ["#"] = 0, ["/a"] = 2, ["/?#a#b"] = 2 }) do
      local arena = ffi.new("struct buf", { ffi.cast("char *", text), #text, #text })
      local span = ffi.new("struct span", { 0, #text })
      C.uri_drop_fragment(span, arena)
      assert.equal(length, span.len, text)
    end
  end)
end)
