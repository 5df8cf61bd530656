-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({
  "base/err.h",
  "base/log.h",
  "base/stats.h",
  "exchange/exchange.h",
  "exchange/access_log.h",
  "upstream/pool.h",
})
local C = core.C

local UV_RUN_NOWAIT, UV_RUN_DEFAULT = 2, 0
local ESCAPE = { default = 0, json = 1, none = 2 }

local function text_of(value)
  return ffi.new("struct mg_text", { data = value, length = #value })
end

describe("access_log", function()
  local loop, stats, log, path, exchanges, pool, exchange

  before_each(function()
    loop = ffi.new("uv_loop_t")
    assert.are.equal(0, C.uv_loop_init(loop))
    stats = ffi.new("struct stats")
    log = ffi.new("struct access_log")
    path = os.tmpname()
    assert.are.equal(0, C.access_log_init(log, loop, stats))
    exchanges = ffi.new("struct exchanges")
    local out = ffi.new("struct pool *[1]")
    assert.are.equal(0, C.pool_new(out, ffi.new("struct net_loop"), stats))
    pool = out[0]
    exchanges.pool = pool
    exchange = ffi.new("struct exchange")
    exchange.all = exchanges
    exchange.record.connect_s, exchange.record.first_byte_s = -1, -1
    exchange.record.endpoint = -1
  end)

  after_each(function()
    C.access_log_close(log)
    C.uv_run(loop, UV_RUN_DEFAULT)
    assert.are.equal(0, C.uv_loop_close(loop))
    C.access_log_fini(log)
    C.head_fini(exchange.request)
    C.head_fini(exchange.response)
    C.buf_fini(exchange.arena)
    C.pool_free(pool)
    os.remove(path)
  end)

  local function set(format, options)
    options = options or {}
    local skip = options.skip or ""
    local config = ffi.new("struct access_config")
    config.format, config.path, config.skip = text_of(format), text_of(path), text_of(skip)
    config.escape = ESCAPE[options.escape or "default"]
    config.not_found = options.not_found and 1 or 0
    assert.are.equal(0, C.access_log_set(log, config))
  end

  local function content()
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
  end

  local function line()
    C.access_log_write(log, exchange)
    C.access_log_flush(log)
    return content()
  end

  local function put(value)
    local span = ffi.new("struct span")
    assert.are.equal(0, C.text_put(exchange.arena, value, #value, span))
    return span
  end

  local function request(method, target, fields)
    exchange.request.method, exchange.request.target = put(method), put(target)
    exchange.request.version = 11
    for name, value in pairs(fields or {}) do
      assert.are.equal(0,
        C.head_add(exchange.request, exchange.arena, name, #name, value, #value))
    end
  end

  it("writes variables between the text of its format", function()
    request("GET", "/a?b=1", { ["User-Agent"] = "x/1" })
    exchange.record.status = 200
    exchange.record.bytes_out = 1234
    exchange.record.total_s = 0.0426
    set('"$request" $status ${body_bytes_sent}B $request_time [$http_user_agent] $')
    assert.are.equal('"GET /a?b=1 HTTP/1.1" 200 1234B 0.043 [x/1] $\n', line())
  end)

  local VALUES = {
    { "no value", "$http_x|$query_string|$upstream_addr|$ingress_name", "-|-|-|-\n" },
    { "an unknown variable", "$nothing_of_the_kind", "-\n" },
    { "a status that was never given", "$status", "000\n" },
    { "a duration below a millisecond", "$request_time", "0.000\n" },
    { "what TLS would say", "$ssl_protocol/$ssl_cipher", "-/-\n" },
  }
  for _, case in ipairs(VALUES) do
    it("writes " .. case[1], function()
      set(case[2])
      assert.are.equal(case[3], line())
    end)
  end

  local ESCAPED = {
    { "default", 'a"b\\c\n\1\195\169', [[a\x22b\x5Cc\x0A\x01\xC3\xA9]] },
    { "json", 'a"b\\c\n\1\195\169', [[a\"b\\c\u000a\u0001]] .. "\195\169" },
    { "none", 'a"b\\c\n\195\169', 'a"b\\c \195\169' },
  }
  for _, case in ipairs(ESCAPED) do
    it(("keeps a line one line with escape=%s"):format(case[1]), function()
      request("GET", "/", { ["x-text"] = case[2] })
      set("$http_x_text", { escape = case[1] })
      assert.are.equal(case[3] .. "\n", line())
    end)
  end

  it("leaves what has no value empty in JSON", function()
    set('{"a":"$http_a"}', { escape = "json" })
    assert.are.equal('{"a":""}\n', line())
  end)

  it("tells the user of Basic, but not the password", function()
    request("GET", "/", { Authorization = "Basic Ym9iOnNlY3JldA==" })
    set("$remote_user")
    assert.are.equal("bob\n", line())
  end)

  it("finds cookies and arguments by name", function()
    request("GET", "/", { Cookie = "a=1; id=7; ida=2" })
    exchange.record.query = text_of("xid=2&id=5")
    set("$cookie_id $arg_id $arg_none")
    assert.are.equal("7 5 -\n", line())
  end)

  it("tells of the last attempt", function()
    exchange.record.endpoint = C.pool_endpoint(pool, "10.0.0.1", 80, C.POOL_HTTP1, nil, nil)
    exchange.record.attempts = 2
    exchange.record.status, exchange.record.upstream_status = 200, 200
    exchange.record.total_s = 1.5
    exchange.started_ns, exchange.attempt_ns = 1000000000, 1250000000
    exchange.record.connect_s = 0.001
    set("$upstream_addr $upstream_status $upstream_response_time $upstream_connect_time")
    assert.are.equal("10.0.0.1:80 200 1.250 0.001\n", line())
  end)

  it("tells what a failed attempt was answered with", function()
    exchange.record.endpoint = C.pool_endpoint(pool, "10.0.0.1", 80, C.POOL_HTTP1, nil, nil)
    exchange.record.attempts = 1
    exchange.record.status = 502
    set("$upstream_status")
    assert.are.equal("502\n", line())
  end)

  it("takes names from the route", function()
    local route = "web-default-80"
    local names = ffi.new("struct mg_route_names")
    names.ingress.at, names.ingress.length = 0, 3
    names.space.at, names.space.length = 4, 7
    names.port.at, names.port.length = 12, 2
    exchange.record.route, exchange.record.names = ffi.cast("const char *", route), names
    set("$ingress_name $namespace $service_port $service_name")
    assert.are.equal("web default 80 -\n", line())
  end)

  it("writes when a quarter of a second is over", function()
    set("x")
    C.access_log_write(log, exchange)
    assert.are.equal("", content())
    C.uv_run(loop, UV_RUN_DEFAULT) -- the timer is the loop's one handle
    assert.are.equal("x\n", content())
  end)

  it("writes at once when much has gathered", function()
    set(("y"):rep(1023))
    for _ = 1, 31 do
      C.access_log_write(log, exchange)
    end
    assert.are.equal("", content())
    C.access_log_write(log, exchange)
    assert.are.equal(32768, #content())
  end)

  it("writes to a new file after the old one was moved", function()
    set("one")
    C.access_log_write(log, exchange)
    assert(os.rename(path, path .. ".1"))
    C.access_log_reopen(log)
    set("two")
    assert.are.equal("two\n", line())
    local moved = assert(io.open(path .. ".1"))
    assert.are.equal("one\n", moved:read("*a"))
    moved:close()
    os.remove(path .. ".1")
  end)

  local SKIPPED = {
    { "/healthz", "/healthz\n~^/static/", false },
    { "/healthz2", "/healthz\n~^/static/", true },
    { "/static/a", "/healthz\n~^/static/", false },
    { "/STATIC/a", "~*^/static/", false },
  }
  for _, case in ipairs(SKIPPED) do
    it(("%s a line for %s"):format(case[3] and "writes" or "leaves out", case[1]), function()
      exchange.record.target = text_of(case[1])
      set("x", { skip = case[2] })
      assert.are.equal(case[3] and "x\n" or "", line())
    end)
  end

  it("leaves out what nobody serves unless that is wanted", function()
    exchange.record.error = C.ERR_NOT_FOUND
    set("x")
    assert.are.equal("", line())
    set("x", { not_found = true })
    assert.are.equal("x\n", line())
  end)

  it("leaves out requests of routes without a log", function()
    exchange.record.no_log = 1
    set("x")
    assert.are.equal("", line())
  end)

  it("is off when its file cannot be opened", function()
    set("x")
    local config = ffi.new("struct access_config")
    config.format, config.path = text_of("x"), text_of("/nowhere/at/all")
    C.log_setup(C.LOG_OFF, 0)
    assert.is_true(C.access_log_set(log, config) < 0)
    assert.are.equal(0, log.on)
  end)

  it("names the first unknown variable of a format", function()
    local format, unknown = ffi.new("struct access_format"), ffi.new("struct mg_text")
    local text = "$status $http_x ${nope} $neither"
    assert.are.equal(0, C.access_format_init(format, text, #text, unknown))
    C.access_format_fini(format)
    assert.are.equal("${nope}", ffi.string(unknown.data, unknown.length))
    -- Requests and sessions have variables of their own.
    format, unknown = ffi.new("struct access_format", { streams = 1 }), ffi.new("struct mg_text")
    text = "$status $protocol $request"
    assert.are.equal(0, C.access_format_init(format, text, #text, unknown))
    C.access_format_fini(format)
    assert.are.equal("$request", ffi.string(unknown.data, unknown.length))
  end)

  describe("of sessions", function()
    local function session_line(format, fields)
      local config = ffi.new("struct access_config")
      config.format, config.path, config.streams = text_of(format), text_of(path), 1
      assert.are.equal(0, C.access_log_set(log, config))
      local session = ffi.new("struct access_session", fields)
      C.access_log_write_session(log, session)
      C.access_log_flush(log)
      return content()
    end

    it("writes what ingress-nginx writes by default", function()
      assert.matches("^%[10%.0%.0%.1%] %[%d+/%a+/%d+:%d+:%d+:%d+ [+-]%d+%] TCP 200 7 5 1%.500\n$",
        session_line("[$remote_addr] [$time_local] $protocol $status $bytes_sent "
          .. "$bytes_received $session_time", { protocol = "TCP", ip = "10.0.0.1", upstream_ip = "",
          status = 200, received = 5, sent = 7, seconds = 1.5 }))
    end)

    local SESSIONS = {
      { "10.0.0.2", "10.0.0.2:53" },
      { "2001:db8::1", "[2001:db8::1]:53" },
      { "", "-" },
    }
    for _, case in ipairs(SESSIONS) do
      it("writes the endpoint as " .. case[2], function()
        assert.are.equal("40000 53 " .. case[2] .. " -\n", session_line(
          "$remote_port $server_port $upstream_addr $host", { protocol = "UDP", ip = "10.0.0.1",
          port = 40000, local_port = 53, upstream_ip = case[1], upstream_port = 53 }))
      end)
    end
  end)

  it("does nothing while it is off", function()
    C.access_log_write_session(log, ffi.new("struct access_session"))
    C.access_log_write(log, exchange)
    assert.are.equal(0, C.uv_run(loop, UV_RUN_NOWAIT))
    assert.are.equal(0, tonumber(log.out.len))
  end)
end)
