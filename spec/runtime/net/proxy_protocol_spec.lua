-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "base/err.h", "net/proxy_protocol.h", "net/stream.h" })
local C = core.C

local BAD = tonumber(C.ERR_BAD_PROXY_HEADER)
local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local AF_INET = 2
local LOCAL, PROXY = "\32", "\33"
local TCP4, TCP6 = "\17", "\33"

local function parse(bytes)
  local header = ffi.new("struct proxy_header")
  return C.proxy_protocol_parse(bytes, #bytes, header), header
end

local function text_of(address)
  local text = ffi.new("char[64]")
  if address.any.sa_family == AF_INET then
    assert(C.uv_ip4_name(address.v4, text, 64) == 0)
  else
    assert(C.uv_ip6_name(address.v6, text, 64) == 0)
  end
  local port = address.v4.sin_port
  return ("%s %d"):format(ffi.string(text), bit.rshift(bit.bswap(port), 16))
end

local function v2(command, family, payload, length)
  length = length or #payload
  return SIGNATURE
    .. command
    .. family
    .. string.char(bit.rshift(length, 8), bit.band(length, 255))
    .. payload
end

local IP4 = "\10\1\2\3\10\4\5\6\200\1\1\187"
local IP6 = "\32\1" .. ("\0"):rep(13) .. "\1" .. "\32\1" .. ("\0"):rep(13) .. "\2" .. "\200\1\1\187"

-- name, bytes, source, destination
local GOOD = {
  { "TCP4 of version 1", "PROXY TCP4 10.1.2.3 10.4.5.6 51201 443\r\n", "10.1.2.3 51201",
    "10.4.5.6 443" },
  { "TCP6 of version 1", "PROXY TCP6 2001::1 2001::2 51201 443\r\n", "2001::1 51201",
    "2001::2 443" },
  { "port 0 of version 1", "PROXY TCP4 10.1.2.3 10.4.5.6 0 443\r\n", "10.1.2.3 0", "10.4.5.6 443" },
  { "UNKNOWN of version 1", "PROXY UNKNOWN\r\n" },
  { "UNKNOWN and more of version 1", "PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n" },
  { "TCP4 of version 2", v2(PROXY, TCP4, IP4), "10.1.2.3 51201", "10.4.5.6 443" },
  { "TCP6 of version 2", v2(PROXY, TCP6, IP6), "2001::1 51201", "2001::2 443" },
  { "LOCAL of version 2", v2(LOCAL, "\0", "") },
  { "LOCAL with addresses that do not count", v2(LOCAL, TCP4, IP4) },
  { "a family without addresses", v2(PROXY, "\0", "abc") },
  { "a unix socket of version 2", v2(PROXY, "\49", ("x"):rep(216)) },
  { "TLVs behind the addresses", v2(PROXY, TCP4, IP4 .. "\4\0\3abc"), "10.1.2.3 51201",
    "10.4.5.6 443" },
}

local REFUSED = {
  { "HTTP", "GET / HTTP/1.1\r\n" },
  { "TLS", "\22\3\1\2\0" },
  { "another word", "PROXYS TCP4 1.1.1.1 2.2.2.2 1 2\r\n" },
  { "lower case", "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n" },
  { "UDP4", "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n" },
  { "TCP4 with an IPv6 address", "PROXY TCP4 ::1 2.2.2.2 1 2\r\n" },
  { "TCP6 with an IPv4 address", "PROXY TCP6 ::1 2.2.2.2 1 2\r\n" },
  { "an address that is none", "PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n" },
  { "an address with a NUL", "PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n" },
  { "a port above 65535", "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n" },
  { "a port with a leading zero", "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n" },
  { "a signed port", "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n" },
  { "a word too few", "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n" },
  { "a word too many", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n" },
  { "two spaces", "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n" },
  { "a space at the end", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n" },
  { "a bare CR", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rx" },
  { "a line without an end", "PROXY UNKNOWN " .. ("x"):rep(93) },
  { "a line of 108 bytes", "PROXY UNKNOWN " .. ("x"):rep(92) .. "\r\n" },
  { "a version other than 2", v2("\17", TCP4, IP4) },
  { "a command that nobody knows", v2("\34", TCP4, IP4) },
  { "a family that nobody knows", v2(PROXY, "\65", IP4) },
  { "a transport that nobody knows", v2(PROXY, "\19", IP4) },
  { "addresses that do not fit their length", v2(PROXY, TCP4, IP4:sub(1, 11)) },
  { "IPv6 addresses that do not fit their length", v2(PROXY, TCP6, IP6:sub(1, 35)) },
  { "a header above the limit", v2(PROXY, TCP4, IP4, 4081) },
}

describe("the PROXY protocol", function()
  for _, case in ipairs(GOOD) do
    it("reads " .. case[1], function()
      local used, header = parse(case[2] .. "GET /")
      assert.equal(#case[2], used)
      assert.equal(case[3] and 1 or 0, header.has_addresses)
      if case[3] then
        assert.equal(case[3], text_of(header.source))
        assert.equal(case[4], text_of(header.destination))
      end
    end)

    it("waits for the rest of " .. case[1], function()
      for length = 0, #case[2] - 1 do
        assert.equal(0, (parse(case[2]:sub(1, length))))
      end
    end)
  end

  for _, case in ipairs(REFUSED) do
    it("refuses " .. case[1], function()
      assert.equal(BAD, (parse(case[2])))
    end)
  end

  it("takes a line of 107 bytes", function()
    local line = "PROXY UNKNOWN " .. ("x"):rep(91) .. "\r\n"
    assert.equal(107, (parse(line)))
  end)

  it("takes as many TLVs as the limit leaves room for", function()
    local header = v2(PROXY, TCP4, IP4 .. ("x"):rep(4096 - 16 - #IP4))
    assert.equal(4096, (parse(header)))
  end)

  -- source, destination, line
  local WRITTEN = {
    { { "10.0.0.1", 80 }, { "10.0.0.2", 443 }, "PROXY TCP4 10.0.0.1 10.0.0.2 80 443\r\n" },
    { { "::1", 65535 }, { "2001:db8::1", 1 }, "PROXY TCP6 ::1 2001:db8::1 65535 1\r\n" },
    { { "10.0.0.1", 80 }, { "::1", 443 }, "PROXY UNKNOWN\r\n" },
    { { "", 0 }, { "10.0.0.1", 443 }, "PROXY UNKNOWN\r\n" },
    { { "10.0.0.1", 80 }, { "", 0 }, "PROXY UNKNOWN\r\n" },
  }
  for _, case in ipairs(WRITTEN) do
    it(("is written for %s and %s"):format(case[1][1], case[2][1]), function()
      local line = ffi.new("char[?]", C.PROXY_PROTOCOL_LINE_BYTES)
      local length = C.proxy_protocol_write(case[1], case[2], line)
      assert.equal(case[3], ffi.string(line))
      assert.equal(#case[3], tonumber(length))
    end)
  end

  it("has room for the longest addresses, and takes no longer ones", function()
    local longest, too_long = ("1234:"):rep(7) .. "1234", ("1234:"):rep(8) .. "1234"
    local line = ffi.new("char[?]", C.PROXY_PROTOCOL_LINE_BYTES)
    C.proxy_protocol_write({ longest, 65535 }, { longest, 65535 }, line)
    assert.matches("^PROXY TCP6 .* 65535 65535\r\n$", ffi.string(line))
    C.proxy_protocol_write({ too_long, 65535 }, { too_long, 65535 }, line)
    assert.equal("PROXY UNKNOWN\r\n", ffi.string(line))
  end)
end)
