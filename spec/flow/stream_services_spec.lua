-- SPDX-License-Identifier: Apache-2.0
--
-- TCP services of --tcp-services-configmap (CFG-007): bytes both ways, the PROXY protocol,
-- endpoints that are not there, ports that come and go while the gateway serves.
local full_queue = require("spec.support.full_queue")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local nobody = require("spec.support.nobody")
local streams = require("spec.support.streams")
local t = require("moongate.test")
local udp = require("spec.support.udp")

local SIZE = 3 * 1024 * 1024

describe("a TCP service", function()
  local gateway, port, servers

  before_each(function()
    servers, port = {}, udp.free_port()
  end)

  after_each(function()
    gateway:stop()
    for _, server in ipairs(servers) do
      server:close()
    end
  end)

  local function server(serve)
    servers[#servers + 1] = streams.server(serve)
    return servers[#servers].port
  end

  -- A gateway whose port goes to the service `web`, with these endpoints.
  local function serve(endpoints, value, options)
    gateway = streams.gateway({ manifests.service("web", endpoints) },
      { [port] = value or "default/web:80" }, nil, options):start()
  end

  local function connect(number)
    return assert(mg.tcp.connect("127.0.0.1", number or port))
  end

  local function ask(text, number)
    local conn = connect(number)
    conn:write(text)
    conn:shutdown()
    local got = streams.read_all(conn)
    conn:close()
    return got
  end

  local function says(text)
    return server(function(conn)
      streams.read_all(conn)
      conn:write(text)
    end)
  end

  -- The lines of the access log, once there are that many.
  local function lines(count)
    local found
    t.wait_until(function()
      found = {}
      for _, line in ipairs(gateway.output) do
        found[#found + 1] = line:find('"protocol":"TCP"', 1, true) and mg.json.decode(line) or nil
      end
      return #found >= count
    end, count .. " lines of the access log")
    return found
  end

  local function fault_of(key)
    for _, entry in ipairs(gateway:logs("fault")) do
      if entry.fault:find(('ConfigMap edge/tcp: data["%s"]: '):format(key), 1, true)
        or entry.fault:find(("ConfigMap edge/tcp: data.%s: "):format(key), 1, true) then
        return entry.fault
      end
    end
  end

  it("is reached on its port (CFG-007)", function()
    serve({ says("here") })
    assert.equal("here", ask("who is there?"))
  end)

  it("gets and sends 3 MiB, whichever side ends first", function()
    serve({ server(streams.echo) })
    local sent = ("0123456789abcdef"):rep(SIZE / 16)
    local conn = connect()
    local got
    mg.task.spawn(function()
      got = streams.read_all(conn)
    end)
    conn:write(sent)
    conn:shutdown()
    t.wait_until(function()
      return got
    end, "the echo")
    assert.is_true(got == sent)
    local line = lines(1)[1]
    assert.same({ 200, SIZE, SIZE, port },
      { line.status, line.bytes_sent, line.bytes_received, line.server_port })
    assert.equal("127.0.0.1", line.remote_addr)
    assert.equal("127.0.0.1:" .. servers[1].port, line.upstream_addr)
  end)

  it("goes on saying what it has to say when its client has ended", function()
    serve({ server(function(conn)
      local asked = streams.read_all(conn)
      conn:write(("x"):rep(SIZE) .. asked)
    end) })
    assert.equal(SIZE + 3, #ask("end"))
  end)

  it("hears its client when it has ended itself", function()
    local heard
    serve({ server(function(conn)
      conn:write("greeting")
      conn:shutdown()
      heard = streams.read_all(conn)
    end) })
    local conn = connect()
    assert.equal("greeting", (streams.read_all(conn)))
    conn:write(("y"):rep(SIZE))
    conn:shutdown()
    t.wait_until(function()
      return heard
    end, "the server to hear it")
    assert.equal(SIZE, #heard)
    conn:close()
  end)

  it("is named by a port's name", function()
    serve({ says("by name") }, "default/web:http")
    assert.equal("by name", ask("?"))
  end)

  it("stops reading for whom the client does not read", function()
    local written = 0
    serve({ server(function(conn)
      conn:set_timeout(0.5)
      local piece = ("z"):rep(64 * 1024)
      while written < 256 * 1024 * 1024 and conn:write(piece) do
        written = written + #piece
      end
    end) })
    local before = gateway:metrics("process_resident_memory_bytes")
    local conn = connect()
    conn:write("go")
    t.wait_until(function()
      local now = written
      mg.task.sleep(0.2)
      return now > 0 and now == written
    end, "the writer to be held up")
    assert.is_true(written < 64 * 1024 * 1024, written)
    assert.is_true(gateway:metrics("process_resident_memory_bytes") - before < 8 * 1024 * 1024)
    conn:close()
  end)

  it("is not asked for longer than the silence that is permitted", function()
    serve({ server(streams.echo) }, nil, { settings = { ["proxy-stream-timeout"] = "1s" } })
    local conn = connect()
    for _ = 1, 4 do -- longer than that in all
      mg.task.sleep(0.3)
      conn:write("x")
      assert.equal("x", (conn:read()))
    end
    local _, _, code = conn:read()
    assert.is_truthy(code == "closed" or code == "econnreset", code)
    assert.equal(200, lines(1)[1].status)
  end)

  -- --- endpoints -------------------------------------------------------------

  -- A worker begins anywhere and then goes on in turn: what one of them does can be told.
  it("is reached at another endpoint where one refuses", function()
    serve({ nobody.port(), says("the other one") }, nil, { workers = 1 })
    for _ = 1, 6 do
      assert.equal("the other one", ask("?"))
    end
    assert.is_true(gateway:metrics("moongate_stream_retries_total") >= 2)
    assert.equal(6, gateway:metrics("moongate_stream_sessions_total", { protocol = "tcp" }))
    assert.equal(0, gateway:metrics("moongate_stream_sessions_failed_total", { protocol = "tcp" }))
  end)

  it("is reached at another endpoint where one does not take connections in time", function()
    local full = full_queue.new()
    serve({ full.port, says("the other one") }, nil,
      { workers = 1, settings = { ["proxy-connect-timeout"] = "1s" } })
    for _ = 1, 2 do
      assert.equal("the other one", ask("?"))
    end
    assert.equal("proxy-connect-timeout", gateway:wait_log("limit_exceeded").limit)
    full:close()
  end)

  it("is not tried again where that is off", function()
    serve({ nobody.port(), says("the other one") }, nil,
      { workers = 1, settings = { ["proxy-stream-next-upstream"] = "false" } })
    local got = { ask("?"), ask("?") }
    table.sort(got)
    assert.same({ "", "the other one" }, got)
    local statuses = {}
    for i, line in ipairs(lines(2)) do
      statuses[i] = line.status
    end
    table.sort(statuses)
    assert.same({ 200, 502 }, statuses)
  end)

  it("is tried as often as there are tries, and each endpoint once", function()
    serve({ nobody.port(), nobody.port(), nobody.port(), nobody.port() }, nil,
      { settings = { ["proxy-stream-next-upstream-tries"] = 2 } })
    assert.equal("", ask("?"))
    gateway:wait_log("stream_failed")
    assert.equal(1, gateway:metrics("moongate_stream_retries_total"))
    gateway:stop()
    serve({ nobody.port(), nobody.port(), nobody.port(), nobody.port() }, nil,
      { settings = { ["proxy-stream-next-upstream-tries"] = 0 } })
    assert.equal("", ask("?"))
    gateway:wait_log("stream_failed")
    assert.equal(4, gateway:metrics("moongate_stream_retries_total"))
  end)

  it("without endpoints closes connections at once", function()
    serve({})
    assert.equal("", ask("?"))
    assert.matches("no endpoint", gateway:wait_log("stream_failed").error)
    assert.equal(502, lines(1)[1].status)
    assert.equal(1, gateway:metrics("moongate_stream_sessions_failed_total", { protocol = "tcp" }))
  end)

  -- --- the PROXY protocol ----------------------------------------------------

  local V2 = "\r\n\r\n\0\r\nQUIT\n\33\17\0\12\1\2\3\4\5\6\7\8\0\80\1\187"

  local V1 = "PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\n"
  local V1_6 = "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"
  local OWN = "PROXY TCP4 127%.0%.0%.1 127%.0%.0%.1 %d+ %d+\r\n"

  -- value, what the client sends, what the server hears, who the client is
  local PROXY = {
    { "::PROXY", "hello", OWN .. "hello", "127.0.0.1" },
    { ":PROXY", V1 .. "hello", "hello", "1.2.3.4" },
    { ":PROXY", V2 .. "hello", "hello", "1.2.3.4" },
    { ":PROXY:PROXY", V1 .. "hello", V1 .. "hello", "1.2.3.4" },
    { ":proxy:proxy", V2 .. "hello", V1 .. "hello", "1.2.3.4" },
    { ":PROXY:PROXY", V1_6 .. "hello", V1_6 .. "hello", "2001:db8::1" },
    { ":PROXY:PROXY", "PROXY UNKNOWN\r\nhello", OWN .. "hello", "127.0.0.1" },
    { ":PROXY:PROXY", V1, V1, "1.2.3.4" },
  }
  for i, row in ipairs(PROXY) do
    it(("has a PROXY header with %s (%d)"):format(row[1], i), function()
      local heard
      serve({ server(function(conn)
        heard = streams.read_all(conn)
      end) }, "default/web:80" .. row[1])
      assert.equal("", ask(row[2]))
      t.wait_until(function()
        return heard
      end, "the server to hear it")
      assert.matches("^" .. row[3] .. "$", heard)
      assert.equal(row[4], lines(1)[1].remote_addr)
    end)
  end

  it("takes nobody in without the PROXY header that it waits for", function()
    local heard = false
    serve({ server(function()
      heard = true
    end) }, "default/web:80:PROXY", { settings = { ["proxy-protocol-header-timeout"] = "200ms" } })
    assert.equal("", ask("GET / HTTP/1.1\r\n\r\n"))
    gateway:wait_log("proxy_header_refused")
    local silent = connect()
    assert.equal("", (streams.read_all(silent)))
    assert.equal("proxy-protocol-header-timeout", gateway:wait_log("limit_exceeded").limit)
    assert.is_false(heard)
  end)

  -- --- ports that come and go ------------------------------------------------

  local function is_refused(number)
    local conn = mg.tcp.connect("127.0.0.1", number)
    if conn then
      conn:close()
    end
    return conn == nil
  end

  it("has its port opened, moved, turned and closed while connections go on", function()
    local one, two = says("one"), says("two")
    gateway = streams.gateway({ manifests.service("one", { one }),
      manifests.service("two", { two }), manifests.service("echo", { server(streams.echo) }) },
      {}, nil, { workers = 2 }):start()
    local other = udp.free_port()
    assert.is_true(is_refused(port))

    streams.change(gateway, "tcp", { [port] = "default/one:80" })
    assert.equal("one", ask("?"))

    streams.change(gateway, "tcp", { [port] = "default/two:80", [other] = "default/echo:80" })
    assert.equal("two", ask("?"))
    local kept = connect(other)
    kept:write("a")
    assert.equal("a", (kept:read()))

    streams.change(gateway, "tcp", { [port] = "default/two:80::PROXY" })
    assert.equal("two", ask("?"))
    assert.is_true(is_refused(other))
    kept:write("still here")
    assert.equal("still here", (kept:read_exactly(10)))

    streams.change(gateway, "tcp", {})
    assert.is_true(is_refused(port))
    streams.change(gateway, "tcp", { [other] = "default/one:80" })
    assert.equal("one", ask("?", other))
    kept:shutdown()
    assert.equal("", (streams.read_all(kept)))
  end)

  it("keeps its port through many changes", function()
    local two = udp.free_port()
    gateway = streams.gateway({ manifests.service("web", { says("here") }) }, {}, nil,
      { workers = 2 }):start()
    for i = 1, 8 do
      streams.change(gateway, "tcp", { [i % 2 == 0 and port or two] = "default/web:80" })
      assert.equal("here", ask("?", i % 2 == 0 and port or two))
      streams.change(gateway, "tcp", {})
    end
    assert.same({}, gateway:logs("fault"))
  end)

  it("lets its connections go on for as long as the end may take", function()
    serve({ server(streams.echo) }, nil, { settings = { ["worker-shutdown-timeout"] = "2s" } })
    local conn = connect()
    conn:write("a")
    assert.equal("a", (conn:read()))
    gateway:kill(15)
    t.wait_until(function()
      return is_refused(port)
    end, "the port to be closed")
    conn:write("b")
    assert.equal("b", (conn:read()))
    assert.equal("", (streams.read_all(conn)))
    assert.equal(0, gateway:stop())
  end)

  it("has no port while somebody else has it, and others have theirs", function()
    local taken = assert(mg.tcp.listen("127.0.0.1:" .. udp.free_port()))
    gateway = streams.gateway({ manifests.service("web", { says("here") }) },
      { [port] = "default/web:80", [taken.port] = "default/web:80" }):start()
    assert.equal("here", ask("?"))
    assert.matches("port " .. taken.port .. " of TCP cannot be opened: .*choose another port",
      fault_of(taken.port))
    local page = mg.json.decode(gateway:admin():get("/snapshot").body)
    local is_open = {}
    for _, one in ipairs(page.ports) do
      is_open[one.port] = one.open
    end
    assert.same({ [port] = true, [taken.port] = false }, is_open)
    local number = taken.port
    taken:close()
    t.wait_until(function()
      local conn = mg.tcp.connect("127.0.0.1", number)
      return conn and (conn:close() or true)
    end, "the port to be opened when it is free")
    assert.equal("here", ask("?", number))
  end)

  it("may not have a port of the gateway itself", function()
    gateway = streams.gateway({ manifests.service("web", { says("here") }) },
      { [port] = "default/web:80" }):start()
    for name, number in pairs({ ["--http"] = gateway.port, ["--https"] = gateway.https_port,
      ["--admin"] = gateway.admin_port }) do
      streams.change(gateway, "tcp", { [port] = "default/web:80", [number] = "default/web:80" })
      assert.matches("is a port of the gateway itself %(" .. name:gsub("%-", "%%-")
        .. "%); choose another one", fault_of(number))
      assert.equal("here", ask("?"))
    end
    assert.equal(404, gateway:client():get("/").status)
  end)

  -- key (nil: the port), value, what is said
  local WRONG = {
    { "http", "default/web:80", "is no port from 1 to 65535" },
    { "0", "default/web:80", "is no port from 1 to 65535" },
    { "65536", "default/web:80", "is no port from 1 to 65535" },
    { "0080", "default/web:80", "is no port from 1 to 65535" },
    { nil, "", '"" is no namespace/service' },
    { nil, "web:80", '"web" is no namespace/service' },
    { nil, "default/web/x:80", '"default/web/x" is no namespace/service' },
    { nil, "Default/web:80", '"Default/web" is no namespace/service' },
    { nil, "default/web", "names no port of the Service" },
    { nil, "default/web:", "must name a port" },
    { nil, "default/web:0", '"0" is no port' },
    { nil, "default/web:99999", '"99999" is no port' },
    { nil, "default/web:a b", 'port "a b" must be a port name' },
    { nil, "default/web:80:PROXIED", '"PROXIED" is not PROXY' },
    { nil, "default/web:80:PROXY:yes", '"yes" is not PROXY' },
    { nil, "default/web:80:PROXY:PROXY:", "has more than four fields" },
  }
  it("has no port where its entry is wrong, each kind is told, and others are served", function()
    local good = port
    local entries, wanted = { [good] = "default/web:80" }, {}
    for _, row in ipairs(WRONG) do
      local key = row[1] or tostring(udp.free_port())
      entries[key], wanted[key] = row[2], row[3]
    end
    gateway = streams.gateway({ manifests.service("web", { says("here") }) }, entries):start()
    assert.equal("here", ask("?"))
    for key, text in pairs(wanted) do
      local fault = assert(fault_of(key), key)
      assert.truthy(fault:find(text, 1, true), fault)
      assert.is_true(tonumber(key) == nil or tonumber(key) < 1 or tonumber(key) > 65535
        or key:find("^0") ~= nil or is_refused(tonumber(key)), key)
    end
  end)

  -- value, what is said of it
  local MISSING = {
    { "default/gone:80", "Service default/gone does not exist; connections to port" },
    { "other/web:80", "Service other/web does not exist" },
    { "default/web:81", "Service default/web has no port 81 of TCP" },
    { "default/web:dns", "Service default/web has no port dns of TCP" },
  }
  for _, row in ipairs(MISSING) do
    it("closes connections at once where there is no " .. row[1], function()
      serve({ says("here") }, row[1])
      assert.equal("", ask("?"))
      assert.truthy(fault_of(port):find(row[2], 1, true), fault_of(port))
    end)
  end

  it("is told of where its ConfigMap is not there", function()
    gateway = t.gateway({ args = { "--tcp-services-configmap=edge/none",
      "--udp-services-configmap=edge" }, manifests = { ["a.yaml"] = manifests.CLASS } }):start()
    local said = {}
    for i, entry in ipairs(gateway:logs("fault")) do
      said[i] = entry.fault
    end
    table.sort(said)
    assert.matches("^%-%-tcp%-services%-configmap: ConfigMap edge/none does not exist", said[1])
    assert.matches('^%-%-udp%-services%-configmap: "edge" is no namespace/name', said[2])
  end)

  it("has the log that log-format-stream says, or none", function()
    serve({ says("here") }, nil, { settings = {
      ["log-format-stream"] = "<$protocol $status $bytes_sent $bytes_received $remote_addr>" } })
    ask("what?")
    t.wait_until(function()
      return gateway.output[1]
    end, "a line")
    assert.same({ "<TCP 200 4 5 127.0.0.1>" }, gateway.output)
    gateway:stop()
    serve({ says("here") }, nil, { settings = { ["disable-stream-access-log"] = "true" } })
    ask("what?")
    gateway:client():get("/")
    gateway:stop()
    assert.same({}, gateway.output)
  end)
end)
