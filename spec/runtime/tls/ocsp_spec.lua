-- SPDX-License-Identifier: Apache-2.0
--
-- Responses of OCSP that come with a chain (RFC 6960): which are sent along, and until when.
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local core = require("spec.support.core")

core.cdef({ "tls/certificate.h" })
local C = core.C

describe("a response of OCSP in a chain", function()
  local ca, made, other, der, block

  setup(function()
    ca = certificates.make("ca", { ca = true })
    made = certificates.make("made", { san = "DNS:made.test", issuer = ca })
    other = certificates.make("other", { san = "DNS:other.test", issuer = ca })
    der, block = certificates.ocsp(made, ca)
  end)

  local function load(pem)
    local error = ffi.new("char[256]")
    local certificate = C.mg_certificate_new(pem, #pem, made.key, #made.key, error, 256)
    assert.is_true(certificate ~= nil, ffi.string(error))
    return ffi.gc(certificate, C.mg_certificate_unref)
  end

  local function fault_of(text)
    local certificate = load(made.certificate .. text)
    local fault = ffi.string(C.mg_certificate_response_fault(certificate))
    if fault ~= "" then
      assert.equal(0, tonumber(C.mg_certificate_response_until(certificate)))
      assert.is_true(C.certificate_response(certificate, os.time()) == nil)
    end
    return fault
  end

  local function sent_at(certificate, time)
    local response = C.certificate_response(certificate, time)
    return response ~= nil and ffi.string(response.data, response.len) or nil
  end

  it("is sent from its thisUpdate until its nextUpdate", function()
    local certificate = load(made.certificate .. block .. ca.certificate)
    assert.equal("", ffi.string(C.mg_certificate_response_fault(certificate)))
    local ends = tonumber(C.mg_certificate_response_until(certificate))
    assert.is_true(math.abs(ends - os.time() - 3 * 86400) < 3600)
    assert.equal(der, sent_at(certificate, ends - 1))
    assert.is_nil(sent_at(certificate, ends))
    assert.equal(der, sent_at(certificate, ends - 3 * 86400))
    assert.is_nil(sent_at(certificate, ends - 3 * 86400 - 1))
  end)

  it("may be the only one of several that is about the certificate", function()
    local _, of_other = certificates.ocsp(other, ca)
    assert.equal("", fault_of(of_other .. block))
    assert.equal("", fault_of(block .. of_other))
  end)

  it("is not there in a chain without one", function()
    assert.equal("", fault_of(ca.certificate))
    assert.equal(0, tonumber(C.mg_certificate_response_until(load(made.certificate))))
  end)

  it("is not sent when it is about another certificate", function()
    local _, of_other = certificates.ocsp(other, ca)
    assert.equal("the OCSP response is about another certificate", fault_of(of_other))
  end)

  it("is not sent when it comes from another authority with the same serial number", function()
    local wrong = der:gsub("\4\20" .. ("."):rep(20), "\4\20" .. ("x"):rep(20), 1)
    assert.equal("the OCSP response is about another certificate",
      fault_of(certificates.ocsp_block(wrong)))
  end)

  it("is not sent when it says that the certificate is revoked", function()
    local _, revoked = certificates.ocsp(made, ca, "R")
    assert.equal("the OCSP response does not say that the certificate is good", fault_of(revoked))
  end)

  it("is not sent when it is a refusal", function()
    assert.equal("the OCSP response is a refusal of the responder",
      fault_of(certificates.ocsp_block("\48\3\10\1\6")))
  end)

  it("is not sent when it is of another kind", function()
    local unknown = der:gsub("\43\6\1\5\5\7\48\1\1", "\43\6\1\5\5\7\48\1\2", 1)
    assert.equal("the OCSP response is of a kind that is not known",
      fault_of(certificates.ocsp_block(unknown)))
  end)

  it("is not sent when a time in it is none", function()
    local wrong = der:gsub("(%d+)Z", function(digits)
      return ("x"):rep(#digits) .. "Z"
    end)
    assert.equal("a time in the OCSP response is none", fault_of(certificates.ocsp_block(wrong)))
  end)

  it("is not sent when it is cut anywhere, or goes on", function()
    for length = 1, #der - 1, 17 do
      local block_of_part = certificates.ocsp_block(der:sub(1, length))
      assert.equal("the OCSP response is malformed", fault_of(block_of_part), length)
    end
    assert.equal("the OCSP response is malformed", fault_of(certificates.ocsp_block(der .. "x")))
  end)

  -- Without the issuer there is nothing to hold it against: that is for clients.
  it("is not sent when the chain's issuer has not signed it", function()
    local _, at = der:find(("%d"):rep(14)) -- the last digit of producedAt
    local forged = certificates.ocsp_block(der:sub(1, at - 1)
      .. (der:sub(at, at) == "0" and "1" or "0") .. der:sub(at + 1))
    assert.equal("nobody has signed the OCSP response who may", fault_of(ca.certificate .. forged))
    assert.equal("", fault_of(forged))
    assert.equal("", fault_of(ca.certificate .. block))
  end)

  it("is not sent when it is no PEM", function()
    for _, text in ipairs({ block:sub(1, -40), (block:gsub("\n%w%w", "\n%%%%", 1)) }) do
      assert.equal("the OCSP response is no PEM", fault_of(text))
    end
  end)

  it("is not sent where it does not fit into a record with the chain", function()
    local _, letters = ca.certificate:gsub("-----[^\n]*", ""):gsub("[%w+/]", "")
    local room = 16384 - #der - 1000
    local copies = math.floor(room / (letters * 3 / 4))
    assert.equal("", fault_of(ca.certificate:rep(copies) .. block))
    assert.equal("the OCSP response is too large to be sent with the chain",
      fault_of(ca.certificate:rep(copies + 6) .. block))
  end)
end)
