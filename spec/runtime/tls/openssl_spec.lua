-- SPDX-License-Identifier: Apache-2.0
-- Our TLS against another's: what two of ours agree upon may still be wrong.
local certificates = require("spec.support.certificates")
local core = require("spec.support.core")
local tls = require("spec.support.tls")

local C = core.C

jit.off(true, true)

local FLAGS = { ["TLSv1.2"] = "-tls1_2", ["TLSv1.3"] = "-tls1_3" }
local BIG = ("0123456789abcde\n"):rep(65536)

describe("tls and openssl", function()
  local ca, leaf, pair

  setup(function()
    ca = certificates.make("ca", { ca = true })
    leaf = certificates.make("leaf", { san = "DNS:a.test", issuer = ca })
  end)

  before_each(function()
    pair = tls.open()
  end)

  after_each(function()
    pair:close()
  end)

  -- A server that answers the first bytes, and ends. Returns what the client printed.
  local function s_client(arguments, answer)
    local certificate = pair:keep(tls.certificate(leaf))
    local port, accepted = pair:serve({
      choose = function()
        return certificate
      end,
    }, {
      on_open = function(peer, err)
        if err < 0 then
          peer:close()
        else
          peer:read(true)
        end
      end,
      on_data = function(peer)
        peer:write(answer)
        peer:finish()
      end,
      on_end = function(peer)
        peer:close()
      end,
    })
    local command = "echo ping | LD_PRELOAD= timeout 20 openssl s_client -connect 127.0.0.1:%d "
      .. "-servername a.test -CAfile %s -verify_return_error -ign_eof %s 2>&1"
    local pipe = assert(io.popen(command:format(port, ca.certificate_path, arguments)))
    pair.loop:wait(function()
      return accepted[1] and accepted[1].closed
    end)
    local text = pipe:read("*a")
    pipe:close()
    return text, accepted[1]
  end

  -- openssl s_server that turns each line around; returns our side, closed.
  local function s_server(arguments, lines)
    local command = "LD_PRELOAD= timeout 20 openssl s_server -accept 127.0.0.1:0 -cert %s -key %s "
      .. "-naccept 1 -rev %s 2>&1"
    local pipe = assert(io.popen(command:format(leaf.certificate_path, leaf.key_path, arguments)))
    local port
    for line in pipe:lines() do
      port = line:match("^ACCEPT .*:(%d+)$")
      if port then
        break
      end
    end
    local settings = { verify = 1, trust = pair:keep(tls.trust(ca)), server_name = "a.test" }
    local peer = pair:connect(tonumber(port), settings)
    pair.loop:wait(function()
      return tls.settled(peer)
    end)
    assert.is_nil(peer.open_err)
    peer.version = tls.text(C.tls_version(peer.stream))
    peer:read(true)
    peer:write(lines)
    pair.loop:wait(function()
      return #peer:text() >= #lines
    end)
    peer:finish()
    pair.loop:wait(function()
      return peer.closed
    end)
    pipe:close()
    return peer
  end

  for version, flag in pairs(FLAGS) do
    it("speak " .. version .. ", openssl being the client", function()
      local text, peer = s_client(flag, "pong\n" .. BIG)
      assert.equal("ping\n", peer:text())
      assert.matches("Verify return code: 0 (ok)", text, 1, true)
      assert.matches(version, text, 1, true)
      assert.matches("pong\n" .. BIG, text, 1, true)
    end)

    it("speak " .. version .. ", openssl being the server", function()
      local peer = s_server(flag, "moon\ngate\n")
      assert.equal(version, peer.version)
      assert.equal("noom\netag\n", peer:text())
    end)
  end

  it("agree on a second hello where the first has no common group", function()
    local text = s_client("-tls1_3 -groups X448:P-256", "pong\n")
    assert.matches("Verify return code: 0 (ok)", text, 1, true)
    assert.matches("pong", text, 1, true)
  end)

  local groups = { X25519 = "X25519", ["P-256"] = "prime256v1", ["P-384"] = "secp384r1" }
  for group, name in pairs(groups) do
    it("exchange keys on " .. group, function()
      local text = s_client("-tls1_3 -groups " .. group, "pong\n")
      assert.matches("Verify return code: 0 (ok)", text, 1, true)
      assert.matches("Server Temp Key: [^\n]*" .. name, text)
      assert.matches("pong", text, 1, true)
    end)
  end

  it("agree on ChaCha20 where the client wants nothing else", function()
    local text = s_client("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", "pong\n")
    assert.matches("Cipher is ECDHE-ECDSA-CHACHA20-POLY1305", text, 1, true)
    text = s_client("-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256", "pong\n")
    assert.matches("Cipher is TLS_CHACHA20_POLY1305_SHA256", text, 1, true)
  end)

  it("do not agree on what is too weak", function()
    for _, arguments in ipairs({
      "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256",
      "-tls1_1 -cipher DEFAULT@SECLEVEL=0",
    }) do
      local text, peer = s_client(arguments, "pong\n")
      assert.matches("alert", text, 1, true)
      assert.equal("ERR_TLS_HANDSHAKE", peer.open_err)
    end
  end)
end)
