-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local core = require("spec.support.core")

core.cdef({ "tls/certificate.h" })
ffi.cdef("int setenv(const char *, const char *, int); int unsetenv(const char *);")
local C = core.C

local function new(pem, key)
  local error = ffi.new("char[256]")
  local made = C.mg_certificate_new(pem, #pem, key, #key, error, 256)
  if made == nil then
    return nil, ffi.string(error)
  end
  return ffi.gc(made, C.mg_certificate_unref)
end

local function names_of(certificate)
  local names = {}
  for i = 0, C.mg_certificate_name_count(certificate) - 1 do
    names[i + 1] = ffi.string(C.mg_certificate_name(certificate, i))
  end
  return names
end

describe("certificate", function()
  local ca, ec, rsa

  setup(function()
    ca = certificates.make("ca", { ca = true })
    ec = certificates.make("ec", {
      cn = "Ignored.test",
      san = "DNS:A.test,DNS:*.b.test,IP:10.0.0.1,DNS:c.test",
      issuer = ca,
    })
    rsa = certificates.make("rsa", { cn = "Only.CN.test", key = "rsa", issuer = ca })
  end)

  it("is known by the DNS names of subjectAltName, in lower case", function()
    assert.same({ "a.test", "*.b.test", "c.test" }, names_of(assert(new(ec.certificate, ec.key))))
  end)

  it("is known by its common name where it has no other", function()
    assert.same({ "only.cn.test" }, names_of(assert(new(rsa.certificate, rsa.key))))
  end)

  it("has no name that is none", function()
    local odd = certificates.make("odd", { cn = "a name with spaces", issuer = ca })
    assert.same({}, names_of(assert(new(odd.certificate, odd.key))))
  end)

  it("may come with its chain and with text around it", function()
    local pem = "subject: a.test\n" .. ec.certificate .. "\nissuer:\n" .. ca.certificate
    assert.same({ "a.test", "*.b.test", "c.test" }, names_of(assert(new(pem, ec.key))))
  end)

  it("says when it ends", function()
    local certificate = assert(new(ec.certificate, ec.key))
    local left = tonumber(C.mg_certificate_not_after(certificate)) - os.time()
    assert.is_true(math.abs(left - 30 * 86400) < 3600)
  end)

  it("lives as long as somebody refers to it", function()
    local certificate = assert(new(ec.certificate, ec.key))
    assert.is_true(C.mg_certificate_ref(certificate) == certificate)
    C.mg_certificate_unref(certificate)
    assert.equal(3, C.mg_certificate_name_count(certificate))
  end)

  local function cut(pem)
    return pem:sub(1, #pem - 40)
  end

  local function garble(pem)
    return (pem:gsub("\n....", "\nAAAA", 3))
  end

  local ERRORS = {
    { "without a certificate", function() return "", ec.key end, "no certificate in the PEM" },
    { "with a key in the place of the certificate", function() return ec.key, ec.key end,
      "no certificate in the PEM" },
    { "that has no end", function() return cut(ec.certificate), ec.key end,
      "certificate 1 of the PEM: PEM - No PEM header or footer found" },
    { "whose chain cannot be read", function()
      return ec.certificate .. garble(ca.certificate), ec.key
    end, "certificate 2 of the PEM: X509 - " },
    { "without a key", function() return ec.certificate, "" end, "the key cannot be read: PK - " },
    { "with another one's key", function() return ec.certificate, rsa.key end,
      "the key does not belong to the first certificate" },
    { "whose chain begins at the wrong end", function()
      return ca.certificate .. ec.certificate, ec.key
    end, "the key does not belong to the first certificate" },
    { "with an encrypted key", function()
      local path = certificates.folder() .. "/encrypted.key"
      local command = "LD_PRELOAD= openssl ec -aes128 -passout pass:x -in %s -out %s 2>/dev/null"
      os.execute(command:format(ec.key_path, path))
      return ec.certificate, certificates.read(path)
    end, "the key is encrypted" },
  }
  for _, case in ipairs(ERRORS) do
    it("is refused " .. case[1], function()
      local made, err = new(case[2]())
      assert.is_nil(made)
      assert.equal(case[3], err:sub(1, #case[3]))
    end)
  end
end)

describe("trust", function()
  local function trust(pem)
    local error = ffi.new("char[256]")
    local made = C.tls_trust_new(pem, #pem, error, 256)
    if made == nil then
      return nil, ffi.string(error)
    end
    return ffi.gc(made, C.tls_trust_unref)
  end

  it("is read from PEM", function()
    local ca = certificates.make("trusted", { ca = true })
    assert(trust(ca.certificate .. ca.certificate))
  end)

  it("says what is wrong with the PEM", function()
    local made, err = trust("nothing")
    assert.is_nil(made)
    assert.equal("no certificate in the PEM", err)
  end)

  it("is the system's when none is given", function()
    local bundle = io.open("/etc/ssl/certs/ca-certificates.crt")
    local made, err = trust("")
    if bundle then
      bundle:close()
      assert(made, err)
    else
      assert.equal("/etc/ssl/certs/ca-certificates.crt cannot be read", err)
    end
  end)

  it("is another bundle where the environment names one", function()
    ffi.C.setenv("SSL_CERT_FILE", "/nowhere", 1)
    local made, err = trust("")
    ffi.C.unsetenv("SSL_CERT_FILE")
    assert.is_nil(made)
    assert.equal("/nowhere cannot be read", err)
  end)
end)
