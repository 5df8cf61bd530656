-- SPDX-License-Identifier: Apache-2.0
--
-- Connections to the TLS port that come to nothing, and too many connections at all: each ends
-- within
-- its time, and ordinary clients are served meanwhile.
local floods = require("spec.support.floods")
local mg = require("moongate")
local program = require("spec.support.program")
local read_to_end = require("spec.support.read_to_end")
local state = require("moongate.test.state")
local t = require("moongate.test")

-- A ClientHello as openssl writes it, taken from a connection to a listener of our own.
local function client_hello()
  local listener = assert(mg.tcp.listen("127.0.0.1:0"))
  local child = mg.task.spawn(program.run,
    { "openssl", "s_client", "-connect", "127.0.0.1:" .. listener.port })
  local conn = assert(listener:accept(state.patience()))
  local head = assert(conn:read_exactly(5))
  local hello = head .. assert(conn:read_exactly(head:byte(4) * 256 + head:byte(5)))
  conn:close()
  listener:close()
  mg.task.join(child)
  return hello
end

local function curl(gateway)
  local said = program.curl(gateway, "127.0.0.1", "-w", "%{http_code} %{time_total}\n",
    "-o", "/dev/null")
  return said.code, tonumber(said.output:match("^200 (%S+)$"))
end

local function tls_is_served(gateway)
  local code, took = curl(gateway)
  assert.equal(0, code)
  assert.is_true(took < floods.patience(), ("a client of TLS was answered after %s s"):format(took))
end

describe("under a flood, the TLS port of the gateway", function()
  local gateway, hello

  setup(function()
    hello = client_hello()
  end)

  local function start(timeout)
    gateway = t.gateway({
      upstreams = { app = true },
      settings = { ["tls-handshake-timeout"] = timeout, ["client-header-timeout"] = "2s",
        ["access-log-path"] = "/dev/null" },
      scripts = 'require("moongate").route({ to = "${app}" })\n',
    }):start()
    tls_is_served(gateway)
  end

  after_each(function()
    gateway:stop()
  end)

  local function connect()
    return assert(mg.tcp.connect("127.0.0.1", gateway.https_port, { timeout = state.patience() }))
  end

  for what, bytes in pairs({
    ["nothing"] = function() return "" end,
    ["half a record's head"] = function() return hello:sub(1, 3) end,
    ["half a ClientHello"] = function() return hello:sub(1, #hello / 2) end,
    ["a ClientHello alone"] = function() return hello end,
  }) do
    it(("ends connections on which %s comes"):format(what), function()
      start("1s")
      local conn = connect()
      conn:write(bytes())
      read_to_end(conn)
      conn:close()
      assert.equal("tls-handshake-timeout", gateway:wait_log("limit_exceeded").limit)
      assert.equal(1, floods.count(gateway, "tls-handshake-timeout"))
      local attacks = floods.run(gateway, function()
        local one = connect()
        one:write(bytes())
        read_to_end(one)
        one:close()
      end, { lanes = 300 })
      assert.equal(1 + attacks, floods.count(gateway, "tls-handshake-timeout"))
      tls_is_served(gateway)
    end)
  end

  it("ends a connection whose ClientHello comes byte by byte", function()
    start("1s")
    local conn, sent = connect(), 0
    local writer = mg.task.spawn(function()
      while sent < #hello and conn:write(hello:sub(sent + 1, sent + 1)) do
        sent = sent + 1
        mg.task.sleep("20ms")
      end
    end)
    read_to_end(conn)
    assert.is_true(sent < #hello)
    conn:close()
    mg.task.join(writer)
    assert.equal(1, floods.count(gateway, "tls-handshake-timeout"))
  end)

  for what, bytes in pairs({
    ["plain HTTP"] = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ["an alert"] = "\21\3\3\0\2\2\80",
    ["data before a handshake"] = "\23\3\3\0\16" .. ("x"):rep(16),
    ["a record of 65535 bytes"] = "\22\3\1\255\255" .. ("x"):rep(65535),
    ["a handshake message of 16 MB"] = "\22\3\1\64\0\1\255\255\255" .. ("x"):rep(16380),
    ["SSL 2"] = "\128\46\1\0\2\0\21\0\0\0\16" .. ("x"):rep(40),
  }) do
    it(("ends connections with %s at once"):format(what), function()
      start("60s")
      local function attack()
        local conn = connect()
        conn:write(bytes)
        read_to_end(conn)
        conn:close()
      end
      attack()
      local failed = { result = "failed" }
      assert.equal(1, gateway:metrics("moongate_tls_handshakes_total", failed))
      local attacks = floods.run(gateway, attack)
      assert.equal(1 + attacks, gateway:metrics("moongate_tls_handshakes_total", failed))
      tls_is_served(gateway)
    end)
  end

  it("renegotiates nothing with TLS 1.2", function()
    start("60s")
    local command = ([[
      { printf 'HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n'; sleep 0.2; echo R; sleep 1; } |
        openssl s_client -tls1_2 -connect 127.0.0.1:%d 2>&1
    ]]):format(gateway.https_port)
    local text = program.shell(command).output
    assert.truthy(text:find("HTTP/1.1 200", 1, true), text)
    assert.truthy(text:find("RENEGOTIATING", 1, true), text)
    assert.truthy(text:find("no renegotiation", 1, true) or text:find("alert", 1, true), text)
    tls_is_served(gateway)
  end)
end)

describe("with more connections than allowed, the gateway", function()
  it("turns away those that come last, and tells", function()
    local gateway = t.gateway({ workers = 1, proxy = "${app}", upstreams = { app = true },
      settings = { ["max-worker-connections"] = 20, ["client-header-timeout"] = "20s" } }):start()
    local conns = {}
    for i = 1, 20 do
      conns[i] = gateway:connect()
      conns[i]:write("GET / HTTP/1.1\r\n")
    end
    t.wait_until(function()
      return gateway:metrics("moongate_connections", { state = "open" }) >= 20
    end, "twenty connections")
    local one = gateway:connect()
    assert.equal("", read_to_end(one))
    assert.equal("max-worker-connections", gateway:wait_log("limit_exceeded").limit)
    assert.equal(1, floods.count(gateway, "max-worker-connections"))
    conns[1]:write("Host: a\r\n\r\n")
    assert.equal(200, t.http1.read_response(conns[1]).status)
    conns[1]:close()
    t.wait_until(function()
      local again = gateway:client():request({ path = "/" })
      return again and again.status == 200
    end, "a new client to be served")
    for _, conn in ipairs(conns) do
      conn:close()
    end
    gateway:stop()
  end)
end)
