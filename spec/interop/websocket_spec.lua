-- SPDX-License-Identifier: Apache-2.0
--
-- WebSocket between the library `websockets` on both sides of the gateway, and to it from HTTP/2.
local certificates = require("spec.support.certificates")
local h2 = require("spec.support.h2")
local json = require("moongate.api.json")
local program = require("spec.support.program")
local t = require("moongate.test")
local websocket = require("spec.support.websocket")

local CASES = { "text", "binary", "large", "fragments", "both_at_once", "server_first", "pings",
  "subprotocol", "request_headers", "closed_by_server", "closed_by_client", "gone", "refused",
  "many" }

local server, ca, pair

local function start(workers, settings)
  settings["access-log-path"] = "/dev/null"
  return t.gateway({
    workers = workers,
    settings = settings,
    scripts = ('require("moongate").route({ to = "http://127.0.0.1:%d" })\n'):format(server.port),
    args = { "--cert", pair.certificate_path, "--key", pair.key_path },
  }):start()
end

local function run(port, cases, tls)
  local arguments = { program.PYTHON, "spec/interop/websocket_client.py", tostring(port) }
  for _, case in ipairs(cases) do
    table.insert(arguments, case)
  end
  if tls then
    table.insert(arguments, "--ca=" .. ca.certificate_path)
  end
  local ran, outcome = program.run(arguments, 100), {}
  for name in ran.output:gmatch("ok (%S+)") do
    outcome[name] = "ok"
  end
  for name, why in ran.output:gmatch("failed (%S+): ([^\n]*)") do
    outcome[name] = why
  end
  outcome.errors = ran.errors
  return outcome
end

setup(function()
  ca = certificates.make("ca", { ca = true })
  pair = certificates.make("pair", { san = "DNS:a.test", issuer = ca })
  server = program.serve({ program.PYTHON, "spec/interop/websocket_server.py" })
end)

for scheme, is_secure in pairs({ ws = false, wss = true }) do
  describe(scheme .. ":// of a client", function()
    local gateway, outcome

    setup(function()
      gateway = start(2, {})
      outcome = run(is_secure and gateway.https_port or gateway.port, CASES, is_secure)
    end)

    teardown(function()
      gateway:stop()
    end)

    for _, case in ipairs(CASES) do
      it("is as without a gateway: " .. case, function()
        assert.equal("ok", outcome[case] or outcome.errors)
      end)
    end
  end)
end

describe("a tunnel that is idle", function()
  it("is ended, and no other", function()
    local gateway = start(1, { ["tunnel-timeout"] = "2s", ["proxy-read-timeout"] = "1s" })
    local outcome = run(gateway.port, { "idle" })
    assert.equal("ok", outcome.idle or outcome.errors)
    gateway:stop()
  end)
end)

describe("a WebSocket of HTTP/2", function()
  local gateway, conn

  setup(function()
    gateway = start(1, { ["tunnel-timeout"] = "2s", ["proxy-read-timeout"] = "1s" })
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    conn = h2.connect(gateway)
  end)

  after_each(function()
    conn:close()
  end)

  local function open(path, fields)
    local socket = websocket.open(conn, path, fields)
    assert.equal(200, socket.stream.status)
    return socket
  end

  local function server_knows(code, reason)
    t.wait_until(function()
      local last = json.decode(open("/last"):message())
      return last[1] == code and last[2] == reason
    end, ("the end with %d at the server"):format(code))
  end

  it("carries texts and bytes of any size", function()
    local socket = open("/echo")
    for _, size in ipairs({ 0, 1, 125, 126, 65535, 65536, 1048576 }) do
      for _, opcode in ipairs({ websocket.TEXT, websocket.BINARY }) do
        local payload = ("0123456789abcdef"):rep(math.ceil(size / 16)):sub(1, size)
        socket:send(opcode, payload)
        local frame = socket:receive()
        assert.equal(opcode, frame.opcode)
        assert.is_true(frame.payload == payload)
      end
    end
  end)

  it("carries messages in fragments", function()
    local socket = open("/pieces")
    local parts = {}
    for i = 1, 30 do
      parts[i] = ("piece %d "):format(i):rep(100)
      socket:send(i == 1 and websocket.TEXT or websocket.CONTINUATION, parts[i], i < 30)
    end
    assert.equal(table.concat(parts), socket:message())
  end)

  it("carries PING", function()
    local socket = open("/echo")
    socket:send(websocket.PING, "are you there")
    assert.same({ opcode = websocket.PONG, final = true, payload = "are you there" },
      socket:receive())
  end)

  it("is one of many on a connection", function()
    local sockets = {}
    for i = 1, 40 do
      sockets[i] = open("/echo")
      sockets[i]:send(websocket.TEXT, "to " .. i)
    end
    for i = 40, 1, -1 do
      assert.equal("to " .. i, sockets[i]:message())
    end
  end)

  it("agrees on a protocol", function()
    local socket = open("/echo", { { "sec-websocket-protocol", "other, chat" } })
    assert.equal("chat", socket.stream:header("sec-websocket-protocol"))
  end)

  it("is closed by the server with a code", function()
    local socket = open("/close")
    assert.same({ opcode = websocket.CLOSE, final = true, payload = "\16\225enough" },
      socket:receive())
    socket:send(websocket.CLOSE, "\16\225")
    assert.is_nil(socket:receive())
    assert.is_nil(socket.stream.error)
  end)

  it("is closed by the client with a code", function()
    local socket = open("/echo")
    socket:send(websocket.CLOSE, "\19\135bye")
    assert.equal(websocket.CLOSE, socket:receive().opcode)
    assert.is_nil(socket:receive())
    server_knows(4999, "bye")
  end)

  it("is given up by the client, and the server knows", function()
    local socket = open("/wait")
    conn:cancel(socket.id)
    server_knows(1006, "")
  end)

  it("is refused by the server", function()
    local socket = websocket.open(conn, "/nothing")
    assert.equal(403, socket.stream.status)
    assert.equal("no such path", socket.stream:header("x-why"))
  end)

  it("is ended when it is idle, and no other", function()
    local idle, busy = open("/wait"), open("/echo")
    repeat
      busy:send(websocket.TEXT, "still here")
      assert.equal("still here", busy:message())
    until idle.stream.error or idle.stream.ended
    busy:send(websocket.TEXT, "and here")
    assert.equal("and here", busy:message())
  end)
end)
