-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local core = require("spec.support.core")
local tls = require("spec.support.tls")

local C = core.C

core.cdef({ "tls/records.h" })
ffi.cdef([[
int mbedtls_ssl_start_handshake_msg(mbedtls_ssl_context *ssl, unsigned type, unsigned char **at,
                                    size_t *room);
int mbedtls_ssl_finish_handshake_msg(mbedtls_ssl_context *ssl, size_t room, size_t length);
]])

jit.off(true, true)

local VERSIONS = { ["TLSv1.2"] = 12, ["TLSv1.3"] = 13 }

describe("tls", function()
  local ca, made, pair

  setup(function()
    ca = certificates.make("ca", { ca = true })
    made = {
      a = certificates.make("a", { san = "DNS:a.test", issuer = ca }),
      rsa = certificates.make("rsa", { san = "DNS:b.test", key = "rsa", issuer = ca }),
    }
  end)

  before_each(function()
    pair = tls.open()
  end)

  after_each(function()
    pair:close()
  end)

  local function serve(options, handlers)
    if not options.choose then
      local certificate = pair:keep(tls.certificate(made.a))
      options.choose = function()
        return certificate
      end
    end
    return pair:serve(options, handlers)
  end

  for version, number in pairs(VERSIONS) do
    describe(version, function()
      local function open(options, handlers)
        options = options or {}
        options.min, options.max = number, number
        return serve(options, handlers)
      end

      it("carries bytes both ways", function()
        local port, accepted = open()
        local client, server = pair:shake(port, accepted, { server_name = "a.test" })
        assert.is_nil(client.open_err)
        assert.is_nil(server.open_err)
        client:read(true)
        server:read(true)
        assert.equal(0, client:write("from the client"))
        assert.equal(0, server:write("from the server"))
        pair.loop:wait(function()
          return #client.received > 0 and #server.received > 0
        end)
        assert.equal("from the client", server:text())
        assert.equal("from the server", client:text())
      end)

      it("says what was agreed upon", function()
        local port, accepted = open({ alpn = { "h2", "http/1.1" } })
        local client, server = pair:shake(port, accepted, {
          server_name = "A.test",
          alpn = { "http/1.1" },
        })
        for _, peer in ipairs({ client, server }) do
          assert.equal(version, tls.text(C.tls_version(peer.stream)))
          assert.equal("http/1.1", tls.text(C.tls_alpn(peer.stream)))
          local cipher = number == 13 and "TLS_AES_128_GCM_SHA256"
            or "ECDHE-ECDSA-AES128-GCM-SHA256"
          assert.equal(cipher, tls.text(C.tls_cipher(peer.stream)))
        end
        assert.equal("a.test", tls.text(C.tls_sni(server.stream)))
        assert.equal("", tls.failure(server))
      end)

      it("speaks RSA too", function()
        local rsa = tls.certificate(made.rsa)
        local port, accepted = open({
          choose = function()
            return rsa
          end,
        })
        local client = pair:shake(port, accepted, {
          server_name = "b.test",
          verify = 1,
          trust = tls.trust(ca),
        })
        assert.is_nil(client.open_err)
        assert.is_true(C.tls_certificate(accepted[1].stream) == rsa)
      end)

      it("puts a head and its body into one record", function()
        local port, accepted = open()
        local client, server = pair:shake(port, accepted, {})
        server:read(true)
        local body = ("x"):rep(10000)
        assert.equal(0, client:write("head", body, "\r\n"))
        pair.loop:wait(function()
          return #server.received > 0
        end)
        assert.equal("head" .. body .. "\r\n", server.received[1])
      end)

      it("carries much, and does not lose its place when the reader pauses", function()
        local pieces = {}
        for i = 1, 64 do
          pieces[i] = (("%08d"):format(i)):rep(4096 + i)
        end
        local whole = table.concat(pieces)
        local port, accepted = open()
        local client, server = pair:shake(port, accepted, {})
        for _, way in ipairs({ { client, server }, { server, client } }) do
          local from, to = way[1], way[2]
          local next_piece, got, paused = 1, 0, 0
          local function send()
            while next_piece <= #pieces and C.stream_queued(from.stream) == 0 do
              assert(from:write(pieces[next_piece]) == 0)
              next_piece = next_piece + 1
            end
          end
          from.handlers = { on_drained = send }
          to.handlers = {
            on_data = function(peer, len)
              assert(not peer.paused, "told while it does not read")
              got = got + tonumber(len)
              if paused < 20 then
                paused, peer.paused = paused + 1, true
                peer:read(false)
              end
            end,
          }
          to:read(true)
          send()
          pair.loop:wait(function()
            if to.paused then
              pair.loop:turn()
              to.paused = false
              to:read(true)
            end
            return got >= #whole
          end)
          assert.is_true(to:text() == whole)
        end
      end)

      it("hands out what it held back though the peer sends no more", function()
        local port, accepted = open()
        local client, server = pair:shake(port, accepted, {})
        server.handlers = {
          on_data = function(peer)
            peer:read(false)
          end,
        }
        server:read(true)
        for i = 1, 5 do
          assert.equal(0, client:write("record " .. i .. "\n"))
        end
        for i = 1, 5 do
          pair.loop:wait(function()
            return #server.received >= i
          end)
          pair.loop:turn()
          assert.equal(i, #server.received)
          server:read(true)
        end
        assert.equal("record 5\n", server.received[5])
      end)

      it("tells an orderly end from one that cuts off", function()
        local port, accepted = open()
        local client, server = pair:shake(port, accepted, {})
        server:read(true)
        client:write("bye")
        client:finish()
        pair.loop:wait(function()
          return server.ended
        end)
        assert.equal("bye", server:text())
        assert.is_nil(server.end_err)

        client, server = pair:connect(port, {}), nil
        pair.loop:wait(function()
          server = accepted[2]
          return tls.settled(client) and tls.settled(server)
        end)
        client:read(true)
        server:write("half of it")
        server:close()
        pair.loop:wait(function()
          return client.ended
        end)
        assert.equal("half of it", client:text())
        assert.equal("ERR_TLS_TRUNCATED", client.end_err)
      end)

      it("lets the server answer a client that has said good-bye", function()
        local port, accepted = open()
        local client, server = pair:shake(port, accepted, {})
        server:read(true)
        client:write("question")
        C.stream_linger(client.stream)
        pair.loop:wait(function()
          return server.ended
        end)
        assert.equal(0, server:write("answer"))
        server:finish()
        pair.loop:wait(function()
          return client.ended
        end)
        assert.equal("answer", client:text())
        assert.is_nil(client.end_err)
      end)

      it("ends at a record that is not valid", function()
        local port, accepted = open()
        local client, server = pair:shake(port, accepted, {})
        server:read(true)
        local junk = "\23\3\3\0\32" .. ("x"):rep(32)
        local buf = ffi.new("uv_buf_t", { base = ffi.cast("char *", junk), len = #junk })
        assert.equal(0, C.stream_write_raw(client.stream, buf, 1))
        pair.loop:wait(function()
          return server.ended
        end)
        assert.equal("ERR_TLS_BROKEN", server.end_err)
        assert.equal("", server:text())
      end)

      it("passes over records without content", function()
        local port, accepted = open()
        local client, server = pair:shake(port, accepted, {})
        local session = ffi.cast("struct tls_session *", client.stream.filter_data)
        server:read(true)
        assert.equal(0, C.records_lend(session))
        for _ = 1, 2 do
          assert.equal(0, C.mbedtls_ssl_write(session.ssl, "", 0))
        end
        assert.equal(0, client:write("something"))
        pair.loop:wait(function()
          return server.ended or #server.received > 0
        end)
        assert.equal("something", server:text())
      end)

      it("chooses by the name that the client sends", function()
        local asked = {}
        local port, accepted = open({
          choose = function(name)
            asked[#asked + 1] = name
            return nil
          end,
        })
        local names = { "x.A.test", "", "A.TEST." }
        for i, name in ipairs(names) do
          local client = pair:connect(port, { server_name = name })
          pair.loop:wait(function()
            return tls.settled(client) and tls.settled(accepted[i])
          end)
          assert.equal("ERR_TLS_NO_CERTIFICATE", accepted[i].open_err)
          assert.equal("ERR_TLS_HANDSHAKE", client.open_err)
          local text = "SSL - A fatal alert message was received from our peer"
          assert.equal(text, tls.failure(client))
        end
        assert.same({ "x.a.test", "", "a.test" }, asked)
      end)

      it("can be asked until the stream is gone", function()
        local port, accepted = open()
        local _, server = pair:shake(port, accepted, { server_name = "a.test" })
        local told
        server.handlers = {
          on_closed = function(peer)
            told = tls.text(C.tls_sni(peer.stream))
          end,
        }
        server:close()
        pair.loop:wait(function()
          return server.closed
        end)
        assert.equal("a.test", told)
      end)

      it("keeps a connection's certificate when nobody else does", function()
        local mine = tls.certificate(made.rsa)
        local port, accepted = open({
          choose = function()
            return mine
          end,
        })
        local client, server = pair:shake(port, accepted, { server_name = "a.test" })
        C.mg_certificate_unref(ffi.gc(mine, nil))
        local kept = C.tls_certificate(server.stream)
        assert.equal("b.test", ffi.string(C.mg_certificate_name(kept, 0)))
        server:read(true)
        client:write("still here")
        pair.loop:wait(function()
          return #server.received > 0
        end)
      end)
    end)
  end

  -- HelloRequest, which mbedTLS refuses with an alert each time. Small buffers of the system soon
  -- hold no more of them.
  it("ends when answers that it is asked for are not taken", function()
    local port, accepted = serve({ max = 12 })
    local client, server = pair:shake(port, accepted, {})
    local session = ffi.cast("struct tls_session *", server.stream.filter_data)
    local size = ffi.new("int[1]", 4096)
    assert.equal(0, C.uv_send_buffer_size(ffi.cast("uv_handle_t *", client.stream.uv), size))
    assert.equal(0, C.uv_recv_buffer_size(ffi.cast("uv_handle_t *", server.stream.uv), size))
    client:read(true)
    local bytes, room = ffi.new("unsigned char *[1]"), ffi.new("size_t[1]")
    local sent = 0
    pair.loop:wait(function()
      for _ = 1, 100 do
        assert.equal(0, C.records_lend(session))
        assert.equal(0, C.mbedtls_ssl_start_handshake_msg(session.ssl, 0, bytes, room))
        assert.equal(0, C.mbedtls_ssl_finish_handshake_msg(session.ssl, room[0], 0))
      end
      assert(client.ended or server:write("x") == 0)
      sent = sent + 1
      assert(sent < 3000, "there is no end to it")
      return client.ended
    end)
    assert.equal("ERR_TLS_BROKEN", client.end_err)
  end)

  it("does not meet a peer of other versions", function()
    local port, accepted = serve({ min = 13 })
    local client, server = pair:shake(port, accepted, { max_version = 12 })
    assert.equal("ERR_TLS_HANDSHAKE", client.open_err)
    assert.equal("ERR_TLS_HANDSHAKE", server.open_err)
  end)

  it("does not meet a peer of other protocols", function()
    local port, accepted = serve({ alpn = { "http/1.1" } })
    local client, server = pair:shake(port, accepted, { alpn = { "h2" } })
    assert.equal("ERR_TLS_HANDSHAKE", client.open_err)
    assert.equal("ERR_TLS_HANDSHAKE", server.open_err)
  end)

  it("knows plain HTTP from a handshake", function()
    local port, accepted = serve({})
    pair.loop:connect(port, {
      on_open = function(peer)
        peer:write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
      end,
    })
    pair.loop:wait(function()
      return tls.settled(accepted[1])
    end)
    assert.equal("ERR_TLS_HANDSHAKE", accepted[1].open_err)
  end)

  it("tells of a peer that leaves during the handshake", function()
    local port, accepted = serve({})
    pair.loop:connect(port, {
      on_open = function(peer)
        peer:finish()
      end,
    })
    pair.loop:wait(function()
      return tls.settled(accepted[1])
    end)
    assert.equal("ERR_TLS_HANDSHAKE", accepted[1].open_err)
    assert.equal("SSL - The connection indicated an EOF", tls.failure(accepted[1]))
  end)

  it("says nothing of a stream that is plain", function()
    local accepted
    local port = pair.loop:listen({}, function(peer)
      accepted = peer
    end)
    pair.loop:connect(port)
    pair.loop:wait(function()
      return accepted
    end)
    assert.is_nil(tls.text(C.tls_version(accepted.stream)))
    assert.is_nil(tls.text(C.tls_cipher(accepted.stream)))
    assert.is_nil(tls.text(C.tls_sni(accepted.stream)))
    assert.equal("", tls.failure(accepted))
  end)
end)
