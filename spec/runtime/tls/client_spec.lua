-- SPDX-License-Identifier: Apache-2.0
local certificates = require("spec.support.certificates")
local tls = require("spec.support.tls")

jit.off(true, true)

local VERSIONS = { ["TLSv1.2"] = 12, ["TLSv1.3"] = 13 }

describe("tls", function()
  local ca, made, pair

  setup(function()
    ca = certificates.make("ca", { ca = true })
    local middle = certificates.make("middle", { ca = true, issuer = ca })
    made = {
      a = certificates.make("a", { san = "DNS:a.test,IP:127.0.0.1", issuer = ca }),
      client = certificates.make("client", { san = "DNS:client.test", issuer = ca }),
      other_ca = certificates.make("other_ca", { ca = true }),
      chained = certificates.make("chained", { san = "DNS:a.test", issuer = middle }),
    }
    made.chained.certificate = made.chained.certificate .. middle.certificate
  end)

  before_each(function()
    pair = tls.open()
  end)

  after_each(function()
    pair:close()
  end)

  local function serve(name, options)
    local certificate = pair:keep(tls.certificate(made[name]))
    options = options or {}
    options.choose = function()
      return certificate, options.more
    end
    return pair:serve(options)
  end

  for version, number in pairs(VERSIONS) do
    describe(version, function()
      local function open(name, more)
        return serve(name, { min = number, max = number, more = more })
      end

      it("asks a client for its certificate where that is chosen", function()
        local trust = tls.trust(ca)
        local port, accepted = open("a", {
          client_auth = "TLS_CLIENT_AUTH_REQUIRED",
          trust = trust,
        })
        local client = pair:shake(port, accepted, { certificate = tls.certificate(made.client) })
        assert.is_nil(client.open_err)
        assert.is_nil(accepted[1].open_err)

        pair:connect(port, {}, {
          on_open = function(peer)
            peer:read(true)
          end,
        })
        pair.loop:wait(function()
          return tls.settled(accepted[2])
        end)
        assert.equal("ERR_TLS_HANDSHAKE", accepted[2].open_err)
        assert.equal("SSL - No client certification received from the client, but required "
          .. "by the authentication mode", tls.failure(accepted[2]))
      end)

      it("lets nobody in where there is nothing to hold a certificate against", function()
        local port, accepted = open("a", { client_auth = "TLS_CLIENT_AUTH_OPTIONAL" })
        pair:connect(port, {})
        pair.loop:wait(function()
          return tls.settled(accepted[1])
        end)
        assert.equal("ERR_TLS_HANDSHAKE", accepted[1].open_err)
      end)

      -- name, certificate, client settings, error, text
      local VERIFIED = {
        { "takes a name of the certificate", "a", { server_name = "a.test" } },
        { "takes an address of the certificate", "a", { server_name = "127.0.0.1" } },
        { "takes a name that is not the one sent", "a",
          { server_name = "b.test", verify_name = "a.test" } },
        { "takes any name where none is to be verified", "a", {} },
        { "takes a chain", "chained", { server_name = "a.test" } },
        { "takes a chain as long as the limit", "chained", { server_name = "a.test", depth = 1 } },
        { "refuses a longer one", "chained", { server_name = "a.test", depth = 0 },
          "ERR_TLS_UNTRUSTED", "Other reason (can be used by verify callback)" },
        { "refuses another name", "a", { server_name = "b.test" }, "ERR_TLS_UNTRUSTED",
          "The certificate Common Name (CN) does not match with the expected CN" },
        { "refuses another address", "a", { server_name = "127.0.0.2" }, "ERR_TLS_UNTRUSTED",
          "The certificate Common Name (CN) does not match with the expected CN" },
        { "refuses another name than the one to verify", "a",
          { server_name = "a.test", verify_name = "b.test" }, "ERR_TLS_UNTRUSTED",
          "The certificate Common Name (CN) does not match with the expected CN" },
        { "refuses another authority", "a", { server_name = "a.test", authority = "other_ca" },
          "ERR_TLS_UNTRUSTED", "The certificate is not correctly signed by the trusted CA" },
      }
      for _, case in ipairs(VERIFIED) do
        it(case[1], function()
          local port = open(case[2])
          local settings = { verify = 1 }
          for field, value in pairs(case[3]) do
            settings[field] = value
          end
          settings.trust = tls.trust(made[settings.authority] or ca)
          settings.authority = nil
          local client = pair:connect(port, settings)
          pair.loop:wait(function()
            return tls.settled(client)
          end)
          assert.equal(case[4], client.open_err)
          assert.equal(case[5] or "", tls.failure(client))
        end)
      end
    end)
  end

  it("does not verify where that is off", function()
    local port, accepted = serve("a")
    local client = pair:shake(port, accepted, { verify = 0, server_name = "nobody.test" })
    assert.is_nil(client.open_err)
  end)

  it("refuses settings that cannot be", function()
    local _, err = pair:configure({ verify = 1 })
    assert.equal("ERR_TLS_CONFIG", err)
    _, err = pair:configure({ min_version = 11 })
    assert.equal("ERR_TLS_CONFIG", err)
    _, err = pair:configure({ min_version = 13, max_version = 12 })
    assert.equal("ERR_TLS_CONFIG", err)
    _, err = pair:configure({ server_name = ("x"):rep(300) })
    assert.equal("ERR_TLS_CONFIG", err)
  end)
end)
