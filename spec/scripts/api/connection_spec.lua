-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local connection = require("moongate.api.connection")

local anchors = {}

local function set(text, bytes)
  table.insert(anchors, bytes)
  text.data, text.length = bytes, #bytes
end

local function pairs_of(list)
  local bytes = {}
  for i, hex in ipairs(list) do
    bytes[i] = string.char(tonumber(hex:sub(1, 2), 16), tonumber(hex:sub(3), 16))
  end
  return table.concat(bytes)
end

local function words(text)
  local list = {}
  for word in text:gmatch("%x+") do
    list[#list + 1] = word
  end
  return list
end

-- The example of the fingerprint's own description, with GREASE among its values.
local function example(options)
  local hello = ffi.new("struct mg_hello")
  if options.sni then
    set(hello.sni, options.sni)
  end
  set(hello.ip, "192.0.2.1")
  hello.port, hello.version, hello.legacy_version = 4711, 13, 0x0303
  set(hello.alpn, options.alpn or "\2h2\8http/1.1")
  set(hello.suites, pairs_of(words("1a1a 1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c013 c014 "
    .. "009c 009d 002f 0035")))
  set(hello.groups, pairs_of(words("baba 001d 0017 0018")))
  set(hello.signatures, pairs_of(words("0403 0804 0401 0503 0805 0501 0806 0601")))
  set(hello.versions, pairs_of(words("0304 0303")))
  set(hello.points, "\0")
  local extensions = words("3a3a 001b 0000 0033 0010 4469 0017 002d 000d 0005 0023 0012 002b ff01 "
    .. "000b 000a 0015")
  for i, hex in ipairs(extensions) do
    hello.extensions[i - 1] = tonumber(hex, 16)
  end
  hello.extension_count = #extensions
  return connection.new(hello)
end

describe("a connection before its handshake", function()
  it("has what the client said", function()
    local conn = example({ sni = "a.test" })
    assert.equal("a.test", conn.sni)
    assert.equal("192.0.2.1", conn.ip)
    assert.equal(4711, conn.port)
    assert.same({ "h2", "http/1.1" }, conn.alpn)
    assert.same({ 0x0304, 0x0303 }, conn.versions)
    assert.same({ 0xbaba, 29, 23, 24 }, conn.groups)
    assert.same({ 0 }, conn.points)
    assert.equal(17, #conn.extensions)
    assert.equal(0x1a1a, conn.suites[1])
  end)

  it("has the fingerprint that is written about it", function()
    local conn = example({ sni = "a.test" })
    assert.equal("t13d1516h2_8daaf6152771_e5627efa2ab1", conn:ja4())
    assert.equal("771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,"
      .. "27-0-51-16-17513-23-45-13-5-35-18-43-65281-11-10-21,29-23-24,0", conn:ja3_text())
    assert.matches("^t13i1516h2_", example({}):ja4())
    assert.matches("^t13i151600_", example({ alpn = "" }):ja4())
    assert.matches("^t13i1516h1_", example({ alpn = "\8http/1.1" }):ja4())
  end)

  it("takes no certificate that is none", function()
    local conn = example({})
    local ok, err, code = conn:use_certificate("x", "y")
    assert.is_nil(ok)
    assert.equal("no certificate in the PEM", err)
    assert.equal("invalid", code)
    assert.is_nil(conn:chosen())
  end)
end)
