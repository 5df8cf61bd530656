-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local core = require("spec.support.core")
local tls = require("spec.support.tls")

local C = core.C

jit.off(true, true)

local VERSIONS = { ["TLSv1.2"] = 12, ["TLSv1.3"] = 13 }

describe("sessions of tls", function()
  local ca, made, pair

  setup(function()
    ca = certificates.make("ca", { ca = true })
    made = {
      a = certificates.make("a", { san = "DNS:*.test", issuer = ca }),
      client = certificates.make("client", { san = "DNS:client.test", issuer = ca }),
    }
  end)

  before_each(function()
    pair = tls.open()
  end)

  after_each(function()
    pair:close()
  end)

  local function tickets(lifetime_s)
    local set = C.tls_tickets_new(lifetime_s or 600)
    assert(set ~= nil)
    return pair:keep(ffi.gc(set, C.tls_tickets_unref))
  end

  -- choice: more fields of struct tls_choice, by name; nil: none.
  local function serve(number, set, choice, context)
    local certificate = pair:keep(tls.certificate(made.a))
    return pair:serve({
      min = number,
      max = number,
      context = context,
      settings = { tickets = set },
      choose = function(name)
        return certificate, choice and choice[name]
      end,
    })
  end

  -- Shakes hands, moves a few bytes so that tickets arrive, and ends. Returns whether it was
  -- resumed.
  local function visit(port, accepted, config)
    local client, server = pair:shake(port, accepted, config)
    assert.is_nil(client.open_err)
    assert.is_nil(server.open_err)
    client:read(true)
    server:read(true)
    assert.equal(0, server:write("hello"))
    assert.equal(0, client:write("hello"))
    pair.loop:wait(function()
      return #client.received > 0 and #server.received > 0
    end)
    local resumed = C.tls_resumed(client.stream)
    assert.equal(resumed, C.tls_resumed(server.stream))
    client:close()
    server:close()
    pair.loop:wait(function()
      return client.closed and server.closed
    end)
    return resumed == 1
  end

  local function client(options)
    options = options or {}
    options.verify, options.trust = 1, pair:keep(tls.trust(ca))
    options.server_name = options.server_name or "a.test"
    return assert(pair:configure(options))
  end

  for version, number in pairs(VERSIONS) do
    describe("of " .. version, function()
      it("are resumed", function()
        local port, accepted = serve(number, tickets())
        local config = client()
        assert.is_false(visit(port, accepted, config))
        for _ = 1, 3 do
          assert.is_true(visit(port, accepted, config))
        end
      end)

      it("are resumed by another worker", function()
        local set = tickets()
        local config = client()
        local port, accepted = serve(number, set)
        local port2, accepted2 = serve(number, set, nil, pair:another_context())
        assert.is_false(visit(port, accepted, config))
        assert.is_true(visit(port2, accepted2, config))
        assert.is_true(visit(port, accepted, config))
      end)

      it("are not resumed where there are no tickets", function()
        local port, accepted = serve(number, nil)
        local config = client()
        assert.is_false(visit(port, accepted, config))
        assert.is_false(visit(port, accepted, config))
      end)

      it("outlive one change of keys, not two", function()
        local set = tickets()
        local port, accepted = serve(number, set)
        local config = client()
        assert.is_false(visit(port, accepted, config))
        assert.equal(0, C.tls_tickets_rotate(set))
        assert.is_true(visit(port, accepted, config))
        C.tls_tickets_rotate(set)
        C.tls_tickets_rotate(set)
        assert.is_false(visit(port, accepted, config))
        assert.is_true(visit(port, accepted, config))
      end)

      it("end with their lifetime", function()
        local port, accepted = serve(number, tickets(0))
        local config = client()
        assert.is_false(visit(port, accepted, config))
        assert.is_false(visit(port, accepted, config))
      end)

      it("are another configuration's business", function()
        local port, accepted = serve(number, tickets())
        assert.is_false(visit(port, accepted, client()))
        assert.is_false(visit(port, accepted, client()))
      end)

      it("verify another name than the one sent, when they are new", function()
        local port, accepted = serve(number, tickets())
        local config = client({ server_name = "a.test", verify_name = "b.test" })
        assert.is_false(visit(port, accepted, config))
        assert.is_true(visit(port, accepted, config))
      end)

      it("are not resumed with a client that has to show a certificate", function()
        local trust = pair:keep(tls.trust(ca))
        local port, accepted = serve(number, tickets(), {
          ["a.test"] = { client_auth = "TLS_CLIENT_AUTH_REQUIRED", trust = trust, depth = 1 },
        })
        local config = client({ certificate = pair:keep(tls.certificate(made.client)) })
        assert.is_false(visit(port, accepted, config))
        assert.is_false(visit(port, accepted, config))
      end)
    end)
  end

  -- What openssl saves under one name and offers under another: it does not mind.
  local function s_client(port, arguments)
    local command = "sleep 0.3 | LD_PRELOAD= timeout 20 openssl s_client "
      .. "-connect 127.0.0.1:%d %s 2>&1"
    return assert(io.popen(command:format(port, arguments)))
  end

  local function openssl_visits(port, accepted, arguments)
    local pipe = s_client(port, arguments)
    local coming = #accepted + 1
    local text
    pair.loop:wait(function()
      local server = accepted[coming]
      return server and (server.open_err ~= nil or server.ended)
    end)
    accepted[coming]:close()
    text = pipe:read("*a")
    pipe:close()
    return text, accepted[coming]
  end

  local function reading()
    return {
      on_open = function(peer, err)
        if err == 0 then
          peer:read(true)
          peer.resumed = C.tls_resumed(peer.stream)
          peer:write("hello")
        end
      end,
      on_end = function(peer)
        peer.ended = true
      end,
    }
  end

  for version, flag in pairs({ ["TLSv1.2"] = "-tls1_2", ["TLSv1.3"] = "-tls1_3" }) do
    it("of " .. version .. " stay with the name they began under", function()
      local certificate = pair:keep(tls.certificate(made.a))
      local port, accepted = pair:serve({
        settings = { tickets = tickets() },
        choose = function()
          return certificate
        end,
      }, reading())
      local path = certificates.folder() .. "/session" .. flag
      local with = flag .. " -servername %s -sess_%s " .. path
      openssl_visits(port, accepted, with:format("a.test", "out"))
      local text, server = openssl_visits(port, accepted, with:format("a.test", "in"))
      assert.matches("\nReused, " .. version, text, 1, true)
      assert.equal(1, server.resumed)
      text, server = openssl_visits(port, accepted, with:format("b.test", "in"))
      assert.matches("\nNew, " .. version, text, 1, true)
      assert.equal(0, server.resumed)
    end)

    it("of " .. version .. " do not stand for a certificate that is asked for since", function()
      local certificate = pair:keep(tls.certificate(made.a))
      local trust = pair:keep(tls.trust(ca))
      local more
      local port, accepted = pair:serve({
        settings = { tickets = tickets() },
        choose = function()
          return certificate, more
        end,
      }, reading())
      local path = certificates.folder() .. "/auth" .. flag
      local with = flag .. " -servername a.test -sess_%s " .. path
      openssl_visits(port, accepted, with:format("out"))
      more = { client_auth = "TLS_CLIENT_AUTH_REQUIRED", trust = trust, depth = 1 }
      local _, server = openssl_visits(port, accepted, with:format("in"))
      assert.equal("ERR_TLS_HANDSHAKE", server.open_err)
    end)
  end
end)
