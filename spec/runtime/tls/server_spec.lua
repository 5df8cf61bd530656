-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local core = require("spec.support.core")
local tls = require("spec.support.tls")

local C = core.C
ffi.cdef("int fileno(void *file);")

jit.off(true, true)

describe("the server's side of tls", function()
  local ca, made, pair

  setup(function()
    ca = certificates.make("ca", { ca = true })
    made = {
      a = certificates.make("a", { san = "DNS:a.test", issuer = ca }),
      b = certificates.make("b", { san = "DNS:b.test", issuer = ca }),
    }
  end)

  before_each(function()
    pair = tls.open()
  end)

  after_each(function()
    pair:close()
  end)

  local function text(slice)
    return ffi.string(slice.at, slice.length)
  end

  local function serve(settings, handlers, options)
    local certificate = pair:keep(tls.certificate(made.a))
    options = options or {}
    options.settings = settings
    options.choose = function()
      return certificate
    end
    return pair:serve(options, handlers)
  end

  it("tells of the hello before anything is answered", function()
    local told
    local port, accepted = serve({
      hello = function(_, stream, hello)
        told = {
          name = text(hello.name),
          alpn = text(hello.alpn),
          stream = stream,
          version = C.tls_version(stream),
        }
        return C.TLS_GO
      end,
    }, nil, { alpn = { "h2" } })
    local client = pair:shake(port, accepted, { server_name = "A.test", alpn = { "h2" } })
    assert.is_nil(client.open_err)
    assert.equal("A.test", told.name)
    assert.equal("\2h2", told.alpn)
    assert.is_true(told.stream == accepted[1].stream)
    assert.is_true(told.version == nil)
  end)

  it("takes a certificate from who reads the hello", function()
    local other = pair:keep(tls.certificate(made.b))
    local port, accepted = serve({
      hello = function(_, _, _, choice)
        choice.certificate = other
        return C.TLS_GO
      end,
    })
    pair:shake(port, accepted, { server_name = "a.test" })
    assert.is_true(C.tls_certificate(accepted[1].stream) == other)
  end)

  -- Waits until the hello of the first client waits.
  local function held()
    local asked = 0
    local port, accepted = serve({
      hello = function()
        asked = asked + 1
        return C.TLS_WAIT
      end,
    })
    local client = pair:connect(port, { server_name = "a.test" })
    pair.loop:wait(function()
      return asked == 1
    end)
    pair.loop:turn()
    return client, accepted[1], function()
      return asked
    end
  end

  it("waits for a verdict, and tells of the hello meanwhile", function()
    local client, server, asked = held()
    assert.is_false(tls.settled(server))
    local hello = ffi.new("struct tls_hello")
    assert.equal(1, C.tls_server_hello(server.stream, hello))
    assert.equal("a.test", text(hello.name))
    assert.equal(
      "no script has judged the ClientHello within tls-handshake-timeout",
      tls.failure(server)
    )
    local other = pair:keep(tls.certificate(made.b))
    local choice = ffi.new("struct tls_choice", { certificate = other })
    C.tls_server_resume(server.stream, C.TLS_GO, choice)
    pair.loop:wait(function()
      return tls.settled(client) and tls.settled(server)
    end)
    assert.is_nil(client.open_err)
    assert.is_true(C.tls_certificate(server.stream) == other)
    assert.equal(1, asked())
    assert.equal(0, C.tls_server_hello(server.stream, hello))
    C.tls_server_resume(server.stream, C.TLS_REFUSE, nil) -- nobody waits
    assert.is_nil(server.open_err)
  end)

  it("asks for the certificate once the wait is over", function()
    local client, server = held()
    C.tls_server_resume(server.stream, C.TLS_GO, nil)
    pair.loop:wait(function()
      return tls.settled(client)
    end)
    assert.is_nil(client.open_err)
  end)

  it("can be closed while it waits", function()
    local _, server = held()
    server:close()
    C.tls_server_resume(server.stream, C.TLS_GO, nil)
    pair.loop:wait(function()
      return server.closed
    end)
  end)

  for _, when in ipairs({ "at once", "after a wait" }) do
    it("refuses " .. when, function()
      local client, server
      if when == "at once" then
        local port, accepted = serve({
          hello = function()
            return C.TLS_REFUSE
          end,
        })
        client = pair:connect(port, {})
        pair.loop:wait(function()
          server = accepted[1]
          return tls.settled(server)
        end)
      else
        client, server = held()
        C.tls_server_resume(server.stream, C.TLS_REFUSE, nil)
      end
      assert.equal("ERR_TLS_HANDSHAKE", server.open_err)
      assert.equal("the ClientHello was refused", tls.failure(server))
      pair.loop:wait(function()
        return tls.settled(client)
      end)
      local alert = "SSL - A fatal alert message was received from our peer"
      assert.equal(alert, tls.failure(client))
    end)

    it("passes all bytes on " .. when, function()
      local passed
      local port, accepted = serve({
        hello = function()
          return when == "at once" and C.TLS_PASS or C.TLS_WAIT
        end,
        pass = function(_, stream, bytes, length)
          passed = { stream = stream, bytes = ffi.string(bytes, length) }
          C.stream_read(stream, 1)
        end,
      })
      local sent
      local client = pair:connect(port, { server_name = "a.test" })
      pair.loop:wait(function()
        if accepted[1] and when ~= "at once" then
          C.tls_server_resume(accepted[1].stream, C.TLS_PASS, nil)
        end
        return passed
      end)
      assert.equal("\22\3", passed.bytes:sub(1, 2))
      assert.equal(#passed.bytes, passed.bytes:byte(4) * 256 + passed.bytes:byte(5) + 5)
      assert.is_true(passed.stream.filter == nil)
      -- What comes later is told as it is.
      sent = ffi.new("uv_buf_t", { base = ffi.cast("char *", "more"), len = 4 })
      assert.equal(0, C.stream_write_raw(client.stream, sent, 1))
      pair.loop:wait(function()
        return accepted[1]:text() == "more"
      end)
    end)
  end

  -- Bytes of a client's hello, as they are sent.
  local function hello_bytes()
    local bytes
    local port = pair.loop:listen({
      on_data = function(peer)
        bytes = peer:text()
      end,
    }, function(peer)
      peer:read(true)
    end)
    pair:connect(port, { server_name = "a.test" })
    pair.loop:wait(function()
      return bytes
    end)
    return bytes
  end

  it("reads a hello that comes byte by byte and in many records", function()
    local message = hello_bytes():sub(6)
    local port, accepted = serve({})
    local client = pair.loop:connect(port)
    pair.loop:wait(function()
      return accepted[1]
    end)
    local bytes = {}
    for at = 1, #message, 50 do
      local piece = message:sub(at, at + 49)
      bytes[#bytes + 1] = "\22\3\1\0" .. string.char(#piece) .. piece
    end
    bytes = table.concat(bytes)
    for i = 1, #bytes do
      assert.equal(
        "the ClientHello has not come within tls-handshake-timeout",
        tls.failure(accepted[1])
      )
      assert.equal(0, client:write(bytes:sub(i, i)))
      pair.loop:turn()
    end
    client:read(true)
    pair.loop:wait(function()
      return #client.received > 0
    end)
    assert.equal("\22\3\3", client:text():sub(1, 3)) -- its server's hello
    assert.equal(
      "the handshake is not done within tls-handshake-timeout",
      tls.failure(accepted[1])
    )
  end)

  local NO_HELLO = {
    { "GET / HTTP/1.1\r\n\r\n", "the client speaks plain HTTP to a port of TLS", "" },
    { "SSH-2.0-x\r\n", "the client does not speak TLS", "" },
    { "\22\3\1\0\4\1\255\255\255", "the ClientHello is too large", "\21\3\3\0\2\2\50" },
    { "\22\3\1\0\5\1\0\0\1x", "the ClientHello is malformed", "\21\3\3\0\2\2\50" },
  }
  for _, case in ipairs(NO_HELLO) do
    it("says what came instead of a hello: " .. case[2], function()
      local port, accepted = serve({}, {
        on_open = function(peer)
          peer.why = tls.failure(peer)
          peer:finish()
        end,
      })
      local client = pair.loop:connect(port, {
        on_open = function(peer)
          peer:read(true)
          peer:write(case[1])
        end,
      })
      pair.loop:wait(function()
        return client.ended
      end)
      assert.equal(case[2], accepted[1].why)
      assert.equal(case[3], client:text())
    end)
  end

  it("shakes hands with one client in a turn of the loop", function()
    local hello = hello_bytes()
    local port, accepted = serve({})
    local clients = {}
    for i = 1, 8 do
      clients[i] = pair.loop:connect(port)
    end
    pair.loop:wait(function()
      return #accepted == #clients
    end)
    for _, client in ipairs(clients) do
      client:write(hello)
      client:read(true)
    end
    local begun, most = 0, 0
    pair.loop:wait(function()
      local now = 0
      for _, server in ipairs(accepted) do
        now = now + C.tls_session_of(server.stream).begun
      end
      most = math.max(most, now - begun)
      begun = now
      return begun == #clients
    end)
    assert.equal(1, most)
    pair.loop:wait(function()
      for _, client in ipairs(clients) do
        if #client.received == 0 then
          return false
        end
      end
      return true
    end)
  end)

  for version, number in pairs({ ["TLSv1.2"] = 12, ["TLSv1.3"] = 13 }) do
    it("holds no buffers of records while nothing is under way, with " .. version, function()
      local port, accepted = serve({}, nil, { min = number, max = number })
      local client, server = pair:shake(port, accepted, {})
      local function is_lean(peer)
        local ssl = C.tls_session_of(peer.stream).ssl
        return ssl.private_in_buf == nil and ssl.private_out_buf == nil
      end
      local function are_lean()
        return is_lean(client) and is_lean(server)
      end
      assert.is_true(are_lean())
      assert.is_true(C.tls_session_of(server.stream).ssl.private_handshake == nil)
      client:read(true)
      server:read(true)
      for i = 1, 5 do
        for _, from in ipairs({ client, server }) do
          local to = from == client and server or client
          local before = #to:text()
          from:write(("x"):rep(40000 * i))
          pair.loop:wait(function()
            return #to:text() == before + 40000 * i
          end)
        end
        assert.is_true(are_lean())
      end
      -- A part of a record keeps the one buffer that it needs.
      local junk = ffi.new("uv_buf_t", { base = ffi.cast("char *", "\23\3\3\1\0xx"), len = 7 })
      assert.equal(0, C.stream_write_raw(client.stream, junk, 1))
      pair.loop:wait(function()
        return C.tls_session_of(server.stream).ssl.private_in_buf ~= nil
      end)
      assert.is_true(C.tls_session_of(server.stream).ssl.private_out_buf == nil)
    end)

    it("logs secrets where it is told to, with " .. version, function()
      local path = os.tmpname()
      local port, accepted = serve({}, nil, { min = number, max = number })
      pair:shake(port, accepted, {})
      local file = assert(io.open(path, "w"))
      local fd = ffi.C.fileno(file)
      C.tls_context_log_keys(pair.context, fd)
      pair:shake(port, accepted, {})
      C.tls_context_log_keys(pair.context, -1)
      pair:shake(port, accepted, {})
      file:close()
      local labels = {}
      for line in io.lines(path) do
        local label, random, secret = line:match("^(%u[%u%d_]+) (%x+) (%x+)$")
        assert.equal(64, #random)
        assert.is_true(#secret == 64 or #secret == 96)
        labels[label] = (labels[label] or 0) + 1
      end
      os.remove(path)
      -- Both sides of the one connection are ours.
      local expected = number == 12 and { CLIENT_RANDOM = 2 }
        or {
          CLIENT_HANDSHAKE_TRAFFIC_SECRET = 2,
          SERVER_HANDSHAKE_TRAFFIC_SECRET = 2,
          CLIENT_TRAFFIC_SECRET_0 = 2,
          SERVER_TRAFFIC_SECRET_0 = 2,
        }
      assert.same(expected, labels)
    end)
  end
end)
