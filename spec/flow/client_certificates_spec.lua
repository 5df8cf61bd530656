-- SPDX-License-Identifier: Apache-2.0
--
-- Certificates of clients by host (MTLS-001 to -016), as the annotations
-- nginx.ingress.kubernetes.io/auth-tls-* ask for them.
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local program = require("spec.support.program")
local t = require("moongate.test")

local annotations = manifests.annotations

describe("certificates of clients", function()
  local gateway, made, other_ca

  local function hosts()
    local list = {
      must = annotations({ ["auth-tls-secret"] = "default/ca",
        ["auth-tls-pass-certificate-to-upstream"] = "true" }),
      optional = annotations({ ["auth-tls-secret"] = "default/ca",
        ["auth-tls-verify-client"] = "optional" }),
      any = annotations({ ["auth-tls-secret"] = "default/ca",
        ["auth-tls-verify-client"] = "optional_no_ca" }),
      never = annotations({ ["auth-tls-secret"] = "default/ca",
        ["auth-tls-verify-client"] = "off" }),
      nevercn = annotations({ ["auth-tls-secret"] = "default/ca",
        ["auth-tls-verify-client"] = "off", ["auth-tls-match-cn"] = "CN=stranger" }),
      depth = annotations({ ["auth-tls-secret"] = "default/ca", ["auth-tls-verify-depth"] = "0" }),
      page = annotations({ ["auth-tls-secret"] = "default/ca",
        ["auth-tls-error-page"] = "http://pages.test/error.html" }),
      cn = annotations({ ["auth-tls-secret"] = "default/ca",
        ["auth-tls-match-cn"] = "CN=(alice|bob)" }),
      crl = annotations({ ["auth-tls-secret"] = "default/with-crl" }),
      gone = annotations({ ["auth-tls-secret"] = "default/nobody" }),
      plain = {},
    }
    local texts = { manifests.CLASS, manifests.service("web", { gateway:upstream("app").port }) }
    table.insert(texts, manifests.secret("pair", made.server))
    table.insert(texts, manifests.authority("ca", made.ca))
    table.insert(texts, manifests.authority("with-crl", made.ca,
      certificates.revocations(made.ca, { made.revoked })))
    table.insert(texts, manifests.authority("other", other_ca))
    table.insert(texts, manifests.authority("broken", { certificate = "nothing\n" }))
    list["*.wild"] = annotations({ ["auth-tls-secret"] = "default/other" })
    list["broken.wild"] = annotations({ ["auth-tls-secret"] = "default/broken" })
    for name, its in pairs(list) do
      table.insert(texts, manifests.ingress((name:gsub("%*", "any")), { service = "web",
        host = ("'%s.test'"):format(name), secret = "pair", annotations = its }))
    end
    return manifests.join(unpack(texts))
  end

  setup(function()
    local ca = certificates.make("ca", { ca = true })
    other_ca = certificates.make("other_ca", { ca = true })
    local middle = certificates.make("middle", { ca = true, issuer = ca })
    made = {
      ca = ca,
      server = certificates.make("server", { san = "DNS:*.test", issuer = ca }),
      alice = certificates.make("alice", { subject = "/O=Acme, Inc/CN=alice", issuer = ca }),
      mallory = certificates.make("mallory", { issuer = ca }),
      stranger = certificates.make("stranger", { issuer = other_ca }),
      revoked = certificates.make("revoked", { issuer = ca }),
      deep = certificates.make("deep", { issuer = middle }),
    }
    local chain = certificates.write("deep-chain.pem", made.deep.certificate .. middle.certificate)
    made.deep.certificate_path = chain
    gateway = t.gateway({ workers = 2 })
    gateway:upstream("app")
    gateway.options.manifests = { ["all.yaml"] = hosts() }
    gateway:start()
  end)

  teardown(function()
    gateway:stop()
  end)

  -- The status, and the whole answer.
  local function ask(host, client, ...)
    local words = { "-i", ... }
    if client then
      for _, word in ipairs({ "--cert", made[client].certificate_path, "--key",
        made[client].key_path }) do
        table.insert(words, word)
      end
    end
    local text = program.curl(gateway, host .. ".test", unpack(words)).output
    return tonumber(text:match("^HTTP/[%d.]+ (%d+)")), text
  end

  local function last_request()
    local app = gateway:upstream("app")
    return app:request(#app.requests)
  end

  -- host, client, status, what the service is told of its verification
  local CASES = {
    { "must", nil, 400 },
    { "must", "alice", 200, "SUCCESS" },
    { "must", "stranger", 400 },
    { "must", "deep", 200, "SUCCESS" },
    { "depth", "deep", 400 },
    { "depth", "alice", 200, "SUCCESS" },
    { "optional", nil, 200, "NONE" },
    { "optional", "alice", 200, "SUCCESS" },
    { "optional", "stranger", 400 },
    { "any", nil, 200, "NONE" },
    { "any", "stranger", 200, "FAILED:unable to verify the first certificate" },
    { "never", "alice", 200, "NONE" },
    { "page", nil, 302 },
    { "page", "alice", 200, "SUCCESS" },
    { "cn", "alice", 200, "SUCCESS" },
    { "cn", "mallory", 403 },
    { "crl", "alice", 200, "SUCCESS" },
    { "crl", "revoked", 400 },
    { "crl", "deep", 400 }, -- nobody tells what `middle` has revoked
    { "must", "revoked", 200, "SUCCESS" },
    { "gone", "alice", 403 },
    { "plain", nil, 200 },
    { "one.wild", "stranger", 200, "SUCCESS" },
    { "broken.wild", "stranger", 400 }, -- who is good for the wildcard alone
  }
  for _, case in ipairs(CASES) do
    local host, client, status, told = case[1], case[2], case[3], case[4]
    it(("are judged: %s.test, %s: %d"):format(host, client or "none", status), function()
      local got, text = ask(host, client)
      assert.equal(status, got, text)
      if status == 200 then
        assert.equal(told, last_request():header("ssl-client-verify"))
      end
    end)
  end

  it("are told of to the service, and by nobody else (MTLS-002, -008, -012)", function()
    ask("must", "alice", "-H", "ssl-client-cert: forged", "-H", "SSL-Client-Subject-DN: forged")
    local request = last_request()
    assert.equal("CN=alice,O=Acme\\, Inc", request:header("ssl-client-subject-dn"))
    assert.equal("CN=ca", request:header("ssl-client-issuer-dn"))
    local sent = request:header("ssl-client-cert"):gsub("%%(%x%x)", function(code)
      return string.char(tonumber(code, 16))
    end)
    assert.equal(made.alice.certificate, sent)
    ask("optional", nil, "-H", "ssl-client-cert: forged", "-H", "SSL-Client-Subject-DN: forged")
    assert.is_nil(last_request():header("ssl-client-cert"))
    assert.is_nil(last_request():header("ssl-client-subject-dn"))
  end)

  it("send to a page where there is one (MTLS-011)", function()
    local _, text = ask("page", nil)
    assert.matches("\n[Ll]ocation: http://pages.test/error.html", text)
  end)

  it("are asked for on a connection of their own: 421", function()
    local status = ask("plain", "alice", "-H", "Host: must.test")
    assert.equal(421, status)
    assert.equal(200, (ask("must", "alice", "-H", "Host: plain.test")))
  end)

  it("count for nothing where nobody is asked, though another host has seen one", function()
    assert.equal(200, (ask("must", "alice", "-H", "Host: never.test")))
    assert.equal("NONE", last_request():header("ssl-client-verify"))
    assert.is_nil(last_request():header("ssl-client-subject-dn"))
    assert.equal(403, (ask("any", "stranger", "-H", "Host: nevercn.test")))
  end)

  it("cannot be left out by plain HTTP (MTLS-014)", function()
    assert.equal(308, gateway:client():get("/", { Host = "must.test" }).status)
  end)
end)
