-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "tls/hello.h" })
local C = core.C

local function u16(value)
  return string.char(math.floor(value / 256), value % 256)
end

local function vector(prefix, bytes)
  return (prefix == 2 and u16(#bytes) or string.char(#bytes)) .. bytes
end

local function extension(id, bytes)
  return u16(id) .. vector(2, bytes)
end

local function name_extension(name, type)
  return extension(0, vector(2, string.char(type or 0) .. vector(2, name)))
end

local SUITES = "\19\1\19\2\192\43"
local RANDOM = ("r"):rep(32)

-- A message with these extensions (texts), or with none at all.
local function message(extensions, options)
  options = options or {}
  local body = (options.version or "\3\3")
    .. RANDOM
    .. vector(1, options.session_id or "")
    .. vector(2, options.suites or SUITES)
    .. vector(1, options.compression or "\0")
  if extensions then
    body = body .. vector(2, table.concat(extensions))
  end
  body = body .. (options.tail or "")
  return "\1\0" .. u16(#body) .. body
end

local function record(bytes)
  return "\22\3\1" .. vector(2, bytes)
end

-- The same message in records of `size` bytes.
local function records(bytes, size)
  local pieces = {}
  for at = 1, #bytes, size do
    pieces[#pieces + 1] = record(bytes:sub(at, at + size - 1))
  end
  return table.concat(pieces)
end

local scratch = ffi.new("unsigned char[?]", C.TLS_HELLO_MAX_BYTES)

local function parse(bytes)
  local hello = ffi.new("struct tls_hello")
  local copy = ffi.new("char[?]", #bytes + 1, bytes)
  return C.tls_hello_parse(copy, #bytes, scratch, hello), hello, copy
end

local function text(slice)
  return ffi.string(slice.at, slice.length)
end

local FULL = {
  name_extension("A.test"),
  extension(10, vector(2, "\0\29\0\23")),
  extension(11, vector(1, "\0")),
  extension(13, vector(2, "\4\3\8\4")),
  extension(16, vector(2, vector(1, "h2") .. vector(1, "http/1.1"))),
  extension(43, vector(1, "\58\58\3\4\3\3")),
  extension(0x3a3a, ""),
}

describe("a ClientHello", function()
  local function check_full(bytes)
    local used, hello, anchor = parse(bytes)
    assert.equal(#bytes, used)
    assert.equal("A.test", text(hello.name))
    assert.equal(SUITES, text(hello.suites))
    assert.equal("\0\29\0\23", text(hello.groups))
    assert.equal("\0", text(hello.points))
    assert.equal("\4\3\8\4", text(hello.signatures))
    assert.equal("\2h2\8http/1.1", text(hello.alpn))
    assert.equal("\58\58\3\4\3\3", text(hello.versions))
    assert.equal(13, C.tls_hello_version(hello))
    assert.equal(0x0303, hello.version)
    assert.equal(0x0301, hello.record_version)
    local ids = {}
    for i = 0, hello.extension_count - 1 do
      ids[#ids + 1] = hello.extensions[i]
    end
    assert.same({ 0, 10, 11, 13, 16, 43, 0x3a3a }, ids)
    return anchor
  end

  it("tells what the client asks for", function()
    check_full(record(message(FULL)))
  end)

  it("may come in any number of records", function()
    for _, size in ipairs({ 1, 3, 4, 5, 100 }) do
      check_full(records(message(FULL), size))
    end
  end)

  it("is waited for until it is whole", function()
    for _, size in ipairs({ 7, 16384 }) do
      local bytes = records(message(FULL), size)
      for length = 0, #bytes - 1 do
        assert.equal(0, (parse(bytes:sub(1, length))), "of " .. length .. " bytes")
      end
    end
  end)

  it("may have no extensions", function()
    local used, hello = parse(record(message(nil)))
    assert.is_true(used > 0)
    assert.equal(0, hello.name.length)
    assert.equal(12, C.tls_hello_version(hello))
  end)

  it("has the version of old clients", function()
    local _, hello = parse(record(message(nil, { version = "\3\1" })))
    assert.equal(10, C.tls_hello_version(hello))
  end)

  local BAD = {
    ["plain HTTP"] = { "GET / HTTP/1.1\r\n", "PLAIN_HTTP" },
    ["another protocol"] = { "SSH-2.0-x\r\n", "NOT_TLS" },
    ["an alert"] = { "\21\3\1\0\2\1\0", "NOT_TLS" },
    ["SSL 2"] = { "\128\46\1\0\2\0\21\0\0\0\16", "NOT_TLS" },
    ["a record of another major version"] = { "\22\2\0", "NOT_TLS" },
    ["an empty record"] = { "\22\3\1\0\0", "MALFORMED" },
    ["a record that is too long"] = { "\22\3\1\64\1\1", "MALFORMED" },
    ["another message"] = { record("\2\0\0\0"), "MALFORMED" },
    ["a message that is too long"] = { record("\1\1\0\0"), "TOO_LARGE" },
    ["more than the message in its record"] = { record(message(FULL) .. "x"), "MALFORMED" },
    ["a record of another kind within"] = {
      records(message(FULL), 50):sub(1, 55) .. "\23\3\3\0\1x",
      "MALFORMED",
    },
    ["no suites"] = { record(message(nil, { suites = "" })), "MALFORMED" },
    ["half a suite"] = { record(message(nil, { suites = "\19" })), "MALFORMED" },
    ["no compression"] = { record(message(nil, { compression = "" })), "MALFORMED" },
    ["a long session"] = { record(message(nil, { session_id = ("s"):rep(33) })), "MALFORMED" },
    ["bytes behind the extensions"] = { record(message({}, { tail = "x" })), "MALFORMED" },
    ["an extension twice"] = {
      record(message({ name_extension("a.test"), name_extension("b.test") })),
      "MALFORMED",
    },
    ["an extension that is cut"] = { record(message({ "\0\10\0\9\0" })), "MALFORMED" },
    ["a list longer than its extension"] = {
      record(message({ extension(10, "\0\4\0\29") })),
      "MALFORMED",
    },
    ["an empty protocol"] = { record(message({ extension(16, "\0\1\0") })), "MALFORMED" },
    ["two names"] = {
      record(message({ extension(0, vector(2, "\0\0\1a\0\0\1b")) })),
      "MALFORMED",
    },
    ["an empty name"] = { record(message({ name_extension("") })), "BAD_NAME" },
    ["a name of another kind"] = { record(message({ name_extension("a", 1) })), "BAD_NAME" },
    ["a name with a zero"] = { record(message({ name_extension("a\0b") })), "BAD_NAME" },
    ["a name with a line break"] = { record(message({ name_extension("a\nb") })), "BAD_NAME" },
    ["a name beyond ASCII"] = { record(message({ name_extension("\195\164") })), "BAD_NAME" },
    ["a name that is too long"] = {
      record(message({ name_extension(("a"):rep(256)) })),
      "BAD_NAME",
    },
  }
  for what, case in pairs(BAD) do
    it("is refused when it is " .. what, function()
      local fault = C["TLS_HELLO_" .. case[2]]
      assert.equal(fault, (parse(case[1])))
      assert.is_true(#ffi.string(C.tls_hello_fault_text(fault)) > 0)
    end)
  end

  it("has a bounded number of extensions", function()
    local many = {}
    for i = 1, C.TLS_HELLO_EXTENSIONS + 1 do
      many[i] = extension(1000 + i, "")
    end
    assert.equal(C.TLS_HELLO_TOO_LARGE, (parse(record(message(many)))))
    many[#many] = nil
    assert.is_true(parse(record(message(many))) > 0)
  end)
end)
