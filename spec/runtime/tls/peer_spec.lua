-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local core = require("spec.support.core")
local tls = require("spec.support.tls")

local C = core.C

jit.off(true, true)

local VERSIONS = { ["TLSv1.2"] = 12, ["TLSv1.3"] = 13 }

local function fact(peer, name, size)
  size = size or 8192
  local out = ffi.new("char[?]", size)
  local length = C.tls_peer(peer.stream, C["TLS_PEER_" .. name], out, size)
  return length >= 0 and ffi.string(out, length) or length
end

describe("a client's certificate", function()
  local ca, made, pair, trusts

  setup(function()
    ca = certificates.make("ca", { ca = true, subject = "/C=DE/O=The CA/CN=ca" })
    local other_ca = certificates.make("other_ca", { ca = true })
    local middle = certificates.make("middle", { ca = true, issuer = ca })
    local lower = certificates.make("lower", { ca = true, issuer = middle })
    made = {
      server = certificates.make("server", { san = "DNS:a.test", issuer = ca }),
      client = certificates.make("client", {
        subject = [[/C=DE/O=Some, "Co" <x>;\\\\y/OU= two  /CN=Jürgen #1+UID=7/street=#5]],
        issuer = ca,
      }),
      alone = certificates.make("alone", {}),
      stranger = certificates.make("stranger", { issuer = other_ca }),
      expired = certificates.make("expired", { issuer = ca, days = -1 }),
      revoked = certificates.make("revoked", { issuer = ca }),
      deep = certificates.make("deep", { issuer = middle }),
      deeper = certificates.make("deeper", { issuer = lower }),
    }
    made.deep.certificate = made.deep.certificate .. middle.certificate
    made.deeper.certificate = made.deeper.certificate .. lower.certificate .. middle.certificate
    trusts = {
      ca = ca,
      with_list = {
        certificate = ca.certificate .. certificates.revocations(ca, { made.revoked }),
      },
    }
  end)

  before_each(function()
    pair = tls.open()
  end)

  after_each(function()
    pair:close()
  end)

  -- The server's side after a handshake with this client.
  local function meet(number, mode, client, options)
    options = options or {}
    local certificate = pair:keep(tls.certificate(made.server))
    local trust = options.trust ~= false and pair:keep(tls.trust(trusts[options.trust or "ca"]))
    local choice = { client_auth = "TLS_CLIENT_AUTH_" .. mode, depth = options.depth or 1 }
    choice.trust = trust or nil
    local port, accepted = pair:serve({
      min = number,
      max = number,
      choose = function()
        return certificate, choice
      end,
    })
    local shown = client and pair:keep(tls.certificate(made[client]))
    pair:connect(port, { certificate = shown })
    pair.loop:wait(function()
      return tls.settled(accepted[1])
    end)
    return accepted[1]
  end

  -- mode, client, options, verdict, whether only the authority is unknown
  local MET = {
    { "OPTIONAL", nil, {}, "NONE" },
    { "OPTIONAL_NO_CA", nil, { trust = false }, "NONE" },
    { "OPTIONAL", "client", {}, "SUCCESS" },
    { "REQUIRED", "client", {}, "SUCCESS" },
    { "OPTIONAL", "alone", {}, "FAILED:self-signed certificate", 1 },
    { "OPTIONAL_NO_CA", "alone", { trust = false }, "FAILED:self-signed certificate", 1 },
    { "OPTIONAL", "stranger", {}, "FAILED:unable to verify the first certificate", 1 },
    { "OPTIONAL_NO_CA", "client", { trust = false },
      "FAILED:unable to verify the first certificate", 1 },
    { "OPTIONAL", "expired", {}, "FAILED:certificate has expired" },
    { "OPTIONAL", "revoked", {}, "SUCCESS" },
    { "OPTIONAL", "revoked", { trust = "with_list" }, "FAILED:certificate revoked" },
    { "OPTIONAL", "client", { trust = "with_list" }, "SUCCESS" },
    { "OPTIONAL", "deep", {}, "SUCCESS" },
    { "OPTIONAL", "deep", { depth = 0 }, "FAILED:certificate chain too long" },
    { "OPTIONAL", "deeper", { depth = 1 }, "FAILED:certificate chain too long" },
    { "OPTIONAL", "deeper", { depth = 2 }, "SUCCESS" },
    { "OPTIONAL", "deeper", { depth = -1 }, "SUCCESS" },
  }

  -- client, options, why
  local REFUSED = {
    { nil, {}, "SSL - No client certification received from the client, but required by the "
      .. "authentication mode" },
    { "alone", {}, "The certificate is not correctly signed by the trusted CA" },
    { "expired", {}, "The certificate validity has expired" },
    { "revoked", { trust = "with_list" }, "The certificate has been revoked (is on a CRL)" },
    { "deep", { depth = 0 }, "Other reason (can be used by verify callback)" },
  }

  for version, number in pairs(VERSIONS) do
    describe("with " .. version, function()
      for _, case in ipairs(MET) do
        local mode, client, options, verdict = case[1], case[2], case[3], case[4]
        local what = ("%s, %s, trust %s, depth %s"):format(
          mode,
          tostring(client),
          tostring(options.trust),
          tostring(options.depth)
        )
        it("is judged: " .. what, function()
          local server = meet(number, mode, client, options)
          assert.is_nil(server.open_err)
          assert.equal(verdict, fact(server, "VERIFY"))
          assert.equal(case[5] or 0, C.tls_peer_is_only_unknown(server.stream))
        end)
      end

      for _, case in ipairs(REFUSED) do
        it("fails the handshake where it is required: " .. case[3], function()
          local server = meet(number, "REQUIRED", case[1], case[2])
          assert.is_not_nil(server.open_err)
          assert.equal(case[3], tls.failure(server))
        end)
      end

      it("is told of as openssl does", function()
        local server = meet(number, "OPTIONAL", "client")
        local function says(arguments)
          return certificates.describe(made.client, arguments):match("=(.-)%s*$")
        end
        assert.equal(says("-subject -nameopt RFC2253"), fact(server, "SUBJECT"))
        assert.equal(says("-issuer -nameopt RFC2253"), fact(server, "ISSUER"))
        assert.equal("CN=ca,O=The CA,C=DE", fact(server, "ISSUER"))
        assert.equal(says("-serial"), fact(server, "SERIAL"))
        local digest = says("-fingerprint -sha1"):gsub(":", ""):lower()
        assert.equal(digest, fact(server, "SHA1"))
        digest = says("-fingerprint -sha256"):gsub(":", ""):lower()
        assert.equal(digest, fact(server, "SHA256"))
        assert.equal(made.client.certificate, fact(server, "PEM"))
      end)

      it("is cut nowhere", function()
        local server = meet(number, "OPTIONAL", "client")
        for _, name in ipairs({ "VERIFY", "SUBJECT", "ISSUER", "SERIAL", "SHA1", "PEM" }) do
          local text = fact(server, name)
          assert.equal(text, fact(server, name, #text + 1))
          assert.equal(C.UV_ENOBUFS, fact(server, name, #text))
        end
      end)
    end)
  end

  it("is not there where nobody asks for one", function()
    local server = meet(13, "NONE", "client")
    assert.equal("NONE", fact(server, "VERIFY"))
    assert.equal("", fact(server, "SUBJECT"))
    assert.equal("", fact(server, "PEM"))
  end)
end)
