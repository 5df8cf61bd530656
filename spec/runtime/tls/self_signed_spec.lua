-- SPDX-License-Identifier: Apache-2.0
--
-- The certificate that is served while nobody has given one, as others read it.
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local core = require("spec.support.core")

core.cdef({ "tls/self_signed.h" })
local C = core.C

local function make(name)
  local chain, key = ffi.new("struct buf"), ffi.new("struct buf")
  assert.equal(0, C.self_signed_make(name, chain, key))
  local pem = ffi.string(chain.data, chain.len)
  C.buf_fini(chain)
  C.buf_fini(key)
  return { certificate = pem, certificate_path = certificates.write("self_signed.pem", pem) }
end

describe("a certificate of the gateway's own", function()
  -- DER has no zeroes before a number (X.690 8.3.2), and OpenSSL reads no certificate that has.
  it("has a serial number of one length, that is positive", function()
    for _ = 1, 24 do
      local serial = certificates.describe(make("a.test"), "-serial"):match("^serial=(%x+)")
      assert.equal(32, #(serial or ""), serial)
      local first = tonumber(serial:sub(1, 2), 16)
      assert.is_true(first >= 0x40 and first < 0x80, serial)
    end
  end)

  it("is good for its name, from yesterday for a year", function()
    local text = certificates.describe(make("a.test"),
      "-subject -ext subjectAltName -checkend 31000000")
    assert.matches("CN = a.test", text, 1, true)
    assert.matches("DNS:a.test", text, 1, true)
    assert.matches("Certificate will not expire", text, 1, true)
  end)
end)
