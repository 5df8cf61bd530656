-- SPDX-License-Identifier: Apache-2.0
--
-- UDP services of --udp-services-configmap: sessions by client, their end, endpoints that are not
-- there, ports that come and go.
local mg = require("moongate")
local streams = require("spec.support.streams")
local t = require("moongate.test")
local udp = require("spec.support.udp")

describe("a UDP service", function()
  local gateway, port, sockets

  before_each(function()
    sockets, port = {}, udp.free_port()
  end)

  after_each(function()
    gateway:stop()
    for _, socket in ipairs(sockets) do
      socket:close()
    end
  end)

  local function keep(socket)
    sockets[#sockets + 1] = socket
    return socket
  end

  local function echo(data)
    return data
  end

  local function server(answer)
    return keep(udp.server(answer or echo))
  end

  local function client()
    return keep(udp.socket())
  end

  local function serve(endpoints, settings, value, workers)
    gateway = streams.gateway({ streams.udp_service("web", endpoints) }, {},
      { [port] = value or "default/web:53" }, { settings = settings, workers = workers }):start()
  end

  local function ask(socket, text, ip)
    socket:send(text, port, ip)
    return socket:receive()
  end

  local function count(name)
    return gateway:metrics("moongate_stream_" .. name, { protocol = "udp" })
  end

  local function wait_count(name, wanted)
    t.wait_until(function()
      return count(name) == wanted
    end, ("%s to be %d"):format(name, wanted))
  end

  -- The lines of the access log, once there are that many.
  local function lines(wanted)
    local found
    t.wait_until(function()
      found = {}
      for _, line in ipairs(gateway.output) do
        found[#found + 1] = line:find('"protocol":"UDP"', 1, true) and mg.json.decode(line) or nil
      end
      return #found >= wanted
    end, wanted .. " lines of the access log")
    return found
  end

  it("answers from the port and the address that its client spoke to", function()
    local app = server()
    serve({ app.port })
    for _, ip in ipairs({ "127.0.0.1", "127.0.0.7" }) do
      local data, from, address = ask(client(), "who is there?", ip)
      assert.same({ "who is there?", port, ip }, { data, from, address })
    end
    local line = lines(1)[1]
    assert.same({ 200, 13, 13, port, "127.0.0.1:" .. app.port }, { line.status, line.bytes_sent,
      line.bytes_received, line.server_port, line.upstream_addr })
  end)

  it("is named by a port's name, among others of TCP", function()
    serve({ server().port }, nil, "default/web:dns")
    assert.equal("x", (ask(client(), "x")))
  end)

  it("gets datagrams of any size whole", function()
    serve({ server().port })
    local socket = client()
    -- 65507 is the largest there is (RFC 768, RFC 791).
    for _, size in ipairs({ 0, 1, 1472, 9000, 65507 }) do
      assert.equal(size, #ask(socket, ("d"):rep(size)), size)
    end
  end)

  it("does not mix its clients up", function()
    serve({ server(function(data)
      return data .. "!"
    end).port }, { ["proxy-stream-responses"] = 100 }, nil, 3)
    local clients = {}
    for i = 1, 20 do
      clients[i] = client()
    end
    for round = 1, 5 do
      for i, one in ipairs(clients) do
        one:send(("%d of %d"):format(round, i), port)
      end
      for i, one in ipairs(clients) do
        assert.equal(("%d of %d!"):format(round, i), (one:receive()))
      end
    end
    assert.equal(20, count("sessions"))
    assert.equal(20, count("sessions_total"))
  end)

  it("keeps a client with an endpoint for a session", function()
    local one, two = server(), server()
    serve({ one.port, two.port }, { ["proxy-stream-responses"] = 100 })
    local socket = client()
    for _ = 1, 4 do
      ask(socket, "x")
    end
    local heard = { #one.heard, #two.heard }
    table.sort(heard)
    assert.same({ 0, 4 }, heard)
  end)

  it("ends a session when all answers are there", function()
    local one, two = server(), server()
    serve({ one.port, two.port }, nil, nil, 1)
    local socket = client()
    for _ = 1, 4 do
      ask(socket, "x")
    end
    wait_count("sessions", 0)
    assert.equal(4, count("sessions_total"))
    assert.same({ 2, 2 }, { #one.heard, #two.heard })
  end)

  it("gives each client as many answers as there are to be", function()
    serve({ server(function()
      return "one", "two", "three"
    end).port }, { ["proxy-stream-responses"] = 3 })
    local socket = client()
    assert.equal("one", (ask(socket, "x")))
    assert.equal("two", (socket:receive()))
    assert.equal("three", (socket:receive()))
    wait_count("sessions", 0)
  end)

  it("ends a session at once where no answer is expected", function()
    local app = server(function() end)
    serve({ app.port }, { ["proxy-stream-responses"] = 0 })
    local socket = client()
    for i = 1, 3 do
      socket:send("line", port)
      t.wait_until(function()
        return #app.heard == i
      end, "the line")
    end
    assert.equal(0, count("sessions"))
    assert.equal(3, count("sessions_total"))
  end)

  it("ends a session after a time of silence", function()
    local app = server(function(data)
      return data == "answer" and data or nil
    end)
    serve({ app.port }, { ["proxy-stream-timeout"] = "1s", ["proxy-stream-responses"] = 9 })
    local socket = client()
    for _ = 1, 4 do -- longer than that in all
      mg.task.sleep(0.3)
      ask(socket, "answer")
    end
    assert.equal(1, count("sessions_total"))
    wait_count("sessions", 0)
    local line = lines(1)[1]
    assert.same({ 200, 24, 24 }, { line.status, line.bytes_sent, line.bytes_received })
    ask(socket, "answer")
    assert.equal(2, count("sessions_total"))
  end)

  it("has no more sessions than there may be: the longest silent one goes", function()
    serve({ server().port }, { ["max-worker-udp-sessions"] = 4, ["proxy-stream-responses"] = 9 },
      nil, 1)
    local clients = {}
    for i = 1, 4 do
      clients[i] = client()
      ask(clients[i], "x")
    end
    ask(clients[1], "x") -- now the second one has been silent for longest
    ask(client(), "x")
    assert.equal(4, count("sessions"))
    local limit = { limit = "max-worker-udp-sessions" }
    assert.equal(1, gateway:metrics("moongate_limit_exceeded_total", limit))
    assert.equal(clients[2].port, tonumber(lines(1)[1].remote_port))
    for _, i in ipairs({ 1, 3, 4 }) do
      ask(clients[i], "x")
    end
    assert.equal(5, count("sessions_total"))
    ask(clients[2], "x")
    assert.equal(6, count("sessions_total"))
  end)

  it("goes on when an endpoint is not there", function()
    serve({ udp.free_port() })
    client():send("x", port)
    assert.matches("refused", gateway:wait_log("stream_failed").error)
    wait_count("sessions", 0)
    assert.equal(1, count("sessions_failed_total"))
    assert.equal(502, lines(1)[1].status)
  end)

  it("finds another endpoint for the next datagram where one is not there", function()
    local app = server()
    serve({ udp.free_port(), app.port })
    local socket = client()
    local got
    for _ = 1, 4 do
      socket:send("x", port)
      t.wait_until(function()
        got = socket:poll()
        return got or count("sessions") == 0
      end, "an answer, or the end of the session")
      got = got or socket:poll()
      if got then
        break
      end
    end
    assert.equal("x", got)
  end)

  it("goes on when its endpoint comes back", function()
    local number = udp.free_port()
    serve({ number })
    local socket = client()
    socket:send("x", port)
    gateway:wait_log("stream_failed")
    keep(udp.server(echo, number))
    assert.equal("y", (ask(socket, "y")))
  end)

  it("without endpoints drops what comes", function()
    serve({})
    client():send("x", port)
    assert.matches("no endpoint", gateway:wait_log("stream_failed").error)
    assert.equal(1, gateway:metrics("moongate_stream_datagrams_dropped_total"))
    assert.equal(502, lines(1)[1].status)
    assert.equal(0, count("sessions_total"))
  end)

  it("says nothing to whom has said nothing", function()
    local app = server(function() end)
    serve({ app.port }, { ["proxy-stream-responses"] = 9 })
    local asked, stranger = client(), client()
    asked:send("x", port)
    t.wait_until(function()
      return app.heard[1]
    end, "the datagram")
    -- Who is not the endpoint has no way in, and the endpoint's word goes to its client alone.
    stranger:send("forged", app.heard[1].port)
    app:send("right", app.heard[1].port)
    assert.equal("right", (asked:receive()))
    assert.is_nil(asked:poll())
    assert.is_nil(stranger:poll())
  end)

  -- --- ports that come and go ------------------------------------------------

  it("has its port opened, turned and closed while the gateway serves", function()
    local one = server(function()
      return "one"
    end)
    local two = server(function()
      return "two"
    end)
    gateway = streams.gateway({ streams.udp_service("one", { one.port }),
      streams.udp_service("two", { two.port }) }, {}, {}, { workers = 3 }):start()
    for _ = 1, 3 do
      streams.change(gateway, "udp", { [port] = "default/one:53" })
      for _ = 1, 5 do
        assert.equal("one", (ask(client(), "?")))
      end
      streams.change(gateway, "udp", { [port] = "default/two:53" })
      for _ = 1, 5 do
        assert.equal("two", (ask(client(), "?")))
      end
      streams.change(gateway, "udp", {})
      local free = keep(udp.socket(port)) -- nobody has it any more
      free:close()
    end
    assert.same({}, gateway:logs("fault"))
  end)

  it("gets answers through that are under way when its port goes, and may come again", function()
    local held = server(function() end)
    local now = server(function()
      return "now"
    end)
    gateway = streams.gateway({ streams.udp_service("held", { held.port }),
      streams.udp_service("now", { now.port }) }, {}, { [port] = "default/held:53" },
      { workers = 3 }):start()
    local waiting = {}
    for i = 1, 6 do
      waiting[i] = client()
      waiting[i]:send("x", port)
    end
    t.wait_until(function()
      return #held.heard == 6
    end, "all to have asked")
    streams.change(gateway, "udp", {})
    waiting[1]:send("dropped", port)
    streams.change(gateway, "udp", { [port] = "default/now:53" })
    for _ = 1, 9 do
      assert.equal("now", (ask(client(), "?")))
    end
    assert.equal(6, #held.heard)
    for _, one in ipairs(held.heard) do
      held:send("late", one.port)
    end
    for _, one in ipairs(waiting) do
      assert.equal("late", (one:receive()))
    end
    wait_count("sessions", 0)
    assert.same({}, gateway:logs("fault"))
  end)

  it("gets answers through that are under way at the end", function()
    local held = server(function() end)
    serve({ held.port })
    local socket = client()
    socket:send("x", port)
    t.wait_until(function()
      return held.heard[1]
    end, "the question")
    gateway:kill(15)
    gateway:wait_log("stopping")
    t.wait_until(function()
      return not mg.tcp.connect("127.0.0.1", gateway.port)
    end, "the listeners to close")
    held:send("late", held.heard[1].port)
    assert.equal("late", (socket:receive()))
    assert.equal(0, gateway:stop())
    assert.equal(200, lines(1)[1].status)
  end)

  it("has no port while somebody else has it", function()
    local other = keep(udp.socket())
    gateway = streams.gateway({ streams.udp_service("web", { server().port }) }, {},
      { [port] = "default/web:53", [other.port] = "default/web:53" }):start()
    assert.equal("x", (ask(client(), "x")))
    assert.matches("port " .. other.port .. " of UDP cannot be opened: .*choose another port",
      gateway:logs("fault")[1].fault)
  end)

  it("may have the number of a port of TCP, the gateway's own too", function()
    gateway = streams.gateway({ streams.udp_service("web", { server().port }) }, {}, {}):start()
    port = gateway.port
    streams.change(gateway, "udp", { [port] = "default/web:53" })
    assert.equal("x", (ask(client(), "x")))
    assert.equal(404, gateway:client():get("/").status)
  end)

  it("has no PROXY protocol, which is told", function()
    serve({ server().port }, nil, "default/web:53:PROXY")
    assert.equal("x", (ask(client(), "x")))
    assert.matches("warning: ConfigMap edge/udp: data%[\"" .. port .. "\"%]: UDP has no PROXY",
      gateway:logs("fault")[1].fault)
  end)

  it("does not go to a port of TCP", function()
    serve({ server().port }, nil, "default/web:dns-tcp")
    client():send("x", port)
    gateway:wait_log("stream_failed")
    assert.matches("has no port dns%-tcp of UDP", gateway:logs("fault")[1].fault)
  end)
end)
