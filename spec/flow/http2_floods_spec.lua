-- SPDX-License-Identifier: Apache-2.0
--
-- Clients of HTTP/2 that mean harm: each is let go with a code that says why, the limit is counted
-- and logged by the name of its setting, and nobody else notices.
local floods = require("spec.support.floods")
local h2 = require("spec.support.h2")
local hpack = require("spec.support.hpack")
local mg = require("moongate")
local t = require("moongate.test")

local GET = hpack.encode(h2.request_fields({ path = "/plain" }))
local HELD = hpack.encode(h2.request_fields({ path = "/held" }))
local POST = hpack.encode(h2.request_fields({ method = "POST", path = "/plain" }))
local LARGE = hpack.encode(h2.request_fields({ path = "/large" }))
local WHOLE = h2.END_HEADERS + h2.END_STREAM
local FRAMES_MAX = 20000
-- What the gateway has to reset is counted when it does so: by then much else may have come.
local EITHER = "http2-max-resets http2-max-control-frames"

-- Each makes the frames of its `i`-th step; `id` is the stream of the step, 1, 3, 5 ….
local FLOODS = {
  ["streams that are given up at once"] = {
    limit = "http2-max-resets",
    step = function(id)
      return h2.frame(h2.HEADERS, WHOLE, id, GET) .. h2.frame(h2.RST_STREAM, 0, id,
        h2.error("CANCEL"))
    end,
  },
  ["streams that are given up behind their head"] = {
    limit = "http2-max-resets",
    step = function(id)
      return h2.frame(h2.HEADERS, h2.END_HEADERS, id, POST)
        .. h2.frame(h2.RST_STREAM, 0, id, h2.error("NO_ERROR"))
    end,
  },
  ["streams that the gateway is made to reset by too large a window"] = {
    limit = EITHER,
    step = function(id)
      return h2.frame(h2.HEADERS, WHOLE, id, HELD)
        .. h2.frame(h2.WINDOW_UPDATE, 0, id, h2.u32(0x7fffffff))
    end,
  },
  ["streams that the gateway is made to reset by DATA of another length"] = {
    limit = EITHER,
    step = function(id)
      return h2.frame(h2.HEADERS, h2.END_HEADERS, id,
        POST .. hpack.literal("content-length", "1")) .. h2.frame(h2.DATA, 0, id, "more")
    end,
  },
  ["streams that the gateway is made to reset by trailers without an end"] = {
    limit = EITHER,
    step = function(id)
      return h2.frame(h2.HEADERS, h2.END_HEADERS, id, POST)
        .. h2.frame(h2.HEADERS, h2.END_HEADERS, id, hpack.literal("x", "y"))
    end,
  },
  ["heads that are malformed"] = {
    limit = EITHER,
    step = function(id)
      return h2.frame(h2.HEADERS, WHOLE, id, GET .. hpack.literal("X", "y"))
    end,
  },
  ["a head in frames without end"] = {
    limit = "http2-max-continuations",
    step = function(_, i)
      return i == 1 and h2.frame(h2.HEADERS, h2.END_STREAM, 1, GET)
        or h2.frame(h2.CONTINUATION, 0, 1, hpack.literal("x", "y"))
    end,
  },
  ["a head in frames that are empty"] = {
    limit = "http2-max-continuations",
    step = function(_, i)
      return i == 1 and h2.frame(h2.HEADERS, h2.END_STREAM, 1, "") or h2.frame(h2.CONTINUATION, 0,
        1, "")
    end,
  },
  ["SETTINGS"] = {
    limit = "http2-max-control-frames",
    step = function()
      return h2.frame(h2.SETTINGS, 0, 0, h2.settings({ { h2.INITIAL_WINDOW_SIZE, 100 } }))
    end,
  },
  ["SETTINGS that are empty"] = {
    limit = "http2-max-control-frames",
    step = function()
      return h2.frame(h2.SETTINGS, 0, 0, "")
    end,
  },
  ["SETTINGS of one frame, thousands of them"] = {
    limit = "http2-max-control-frames",
    step = function()
      return h2.frame(h2.SETTINGS, 0, 0, h2.settings({ { h2.HEADER_TABLE_SIZE, 100 } }):rep(2000))
    end,
  },
  ["PING"] = {
    limit = "http2-max-control-frames",
    step = function()
      return h2.frame(h2.PING, 0, 0, "12345678")
    end,
  },
  ["answers to a PING that was not sent"] = {
    limit = "http2-max-control-frames",
    step = function()
      return h2.frame(h2.PING, h2.ACK, 0, "12345678")
    end,
  },
  ["WINDOW_UPDATE of the connection"] = {
    limit = "http2-max-control-frames",
    step = function()
      return h2.frame(h2.WINDOW_UPDATE, 0, 0, h2.u32(1))
    end,
  },
  ["WINDOW_UPDATE of a stream"] = {
    limit = "http2-max-control-frames",
    step = function(_, i)
      return i == 1 and h2.frame(h2.HEADERS, WHOLE, 1, HELD)
        or h2.frame(h2.WINDOW_UPDATE, 0, 1, h2.u32(1))
    end,
  },
  ["DATA that is empty"] = {
    limit = "http2-max-control-frames",
    step = function(_, i)
      return i == 1 and h2.frame(h2.HEADERS, h2.END_HEADERS, 1, POST) or h2.frame(h2.DATA, 0, 1, "")
    end,
  },
  ["PRIORITY"] = {
    limit = "http2-max-control-frames",
    step = function(id)
      return h2.frame(h2.PRIORITY, 0, id, h2.u32(0) .. "\1")
    end,
  },
  ["frames of an unknown type"] = {
    limit = "http2-max-control-frames",
    step = function()
      return h2.frame(0x42, 0, 0, "odd")
    end,
  },
  ["PRIORITY_UPDATE"] = {
    limit = "http2-max-control-frames",
    step = function(id)
      return h2.frame(0x10, 0, 0, h2.u32(id) .. "u=1")
    end,
  },
}

local large = ("0123456789abcdef"):rep(65536)

-- What takes time without being asked about takes it because the machine is busy.
local function new_gateway(settings)
  local all = { ["client-header-timeout"] = "10s", ["client-body-timeout"] = "10s",
    ["client-send-timeout"] = "10s", ["keep-alive"] = "10s", ["access-log-path"] = "/dev/null" }
  for name, value in pairs(settings) do
    all[name] = value
  end
  local gateway = t.gateway({
    upstreams = { app = true },
    settings = all,
    scripts = 'require("moongate").route({ to = "${app}", settings = { tries = 1 } })\n',
  }):start()
  gateway:upstream("app"):answer(function(request)
    return request.path == "/held" and { hold = true } or request.path == "/large" and large or "ok"
  end)
  return gateway
end

describe("under a flood, HTTP/2 of the gateway", function()
  local gateway

  before_each(function()
    gateway = new_gateway({ ["http2-max-resets"] = 50, ["http2-max-control-frames"] = 100 })
  end)

  after_each(function()
    gateway:stop()
  end)

  -- Sends steps until the gateway takes no more; returns the name of GOAWAY's code.
  local function flood(step)
    local conn = h2.connect(gateway, { manual = true })
    local i = 0
    local writer = mg.task.spawn(function()
      repeat
        local out = {}
        for k = 1, 50 do
          i = i + 1
          out[k] = step(2 * i - 1, i)
        end
      until not conn.conn:write(table.concat(out)) or conn.goaway or i >= FRAMES_MAX
    end)
    local code = conn:read_to_end()
    conn:close()
    mg.task.join(writer)
    return code
  end

  for what, case in pairs(FLOODS) do
    it(("ends a connection with %s"):format(what), function()
      assert.equal("ENHANCE_YOUR_CALM", flood(case.step))
      assert.equal(1, floods.count(gateway, case.limit))
      t.wait_until(function()
        return floods.lines(gateway, case.limit) == 1
      end, "the log line of " .. case.limit)
      local attacks = floods.run(gateway, function()
        flood(case.step)
      end)
      assert.equal(1 + attacks, floods.count(gateway, case.limit))
    end)
  end
end)

-- --- clients that are slow ------------------------------------------------------------------

-- What each connection sends; it reads to the end, or (mute) does not read at all.
local SLOW = {
  ["half a preface"] = { limit = "client-header-timeout", bytes = "PRI * HTTP/2.0\r\n\r\nSM" },
  ["a head that does not end"] = {
    limit = "client-header-timeout",
    frames = { h2.frame(h2.HEADERS, h2.END_STREAM, 1, GET) },
  },
  ["a head that ends within a frame"] = {
    limit = "client-header-timeout",
    frames = { h2.frame(h2.HEADERS, WHOLE, 1, GET):sub(1, -3) },
  },
  ["a body that does not come"] = {
    limit = "client-body-timeout",
    frames = { h2.frame(h2.HEADERS, h2.END_HEADERS, 1, POST) },
  },
  ["a body that ends within a frame"] = {
    limit = "client-body-timeout",
    frames = { h2.frame(h2.HEADERS, h2.END_HEADERS, 1, POST), h2.frame(h2.DATA, 1, 1,
      "body"):sub(1, -3) },
  },
  ["answers that may not be sent"] = {
    limit = "client-send-timeout",
    settings = { { h2.INITIAL_WINDOW_SIZE, 0 } },
    frames = { h2.frame(h2.HEADERS, WHOLE, 1, LARGE), h2.frame(h2.HEADERS, WHOLE, 3, LARGE),
      h2.frame(h2.HEADERS, WHOLE, 5, LARGE) },
  },
  ["answers that are not read"] = {
    limit = "client-send-timeout",
    settings = { { h2.INITIAL_WINDOW_SIZE, 0x7fffffff } },
    frames = { h2.frame(h2.WINDOW_UPDATE, 0, 0, h2.u32(0x7fff0000)), h2.frame(h2.HEADERS, WHOLE, 1,
      LARGE),
      h2.frame(h2.HEADERS, WHOLE, 3, LARGE), h2.frame(h2.HEADERS, WHOLE, 5, LARGE),
      h2.frame(h2.HEADERS, WHOLE, 7, LARGE), h2.frame(h2.HEADERS, WHOLE, 9, LARGE) },
    mute = true,
  },
}

describe("with slow clients, HTTP/2 of the gateway", function()
  local gateway

  after_each(function()
    gateway:stop()
  end)

  local function limited(limit)
    gateway = new_gateway({ [limit] = "1s", ["keep-alive"] = "2s" })
  end

  local function begin(case)
    local conn
    if case.bytes then
      conn = h2.over(gateway:connect())
      conn.conn:write(case.bytes)
    else
      conn = h2.connect(gateway, { settings = case.settings, manual = true })
      conn.conn:write(table.concat(case.frames))
    end
    return conn
  end

  for what, case in pairs(SLOW) do
    it(("waits no longer than allowed for %s"):format(what), function()
      limited(case.limit)
      local conn = begin(case)
      assert.equal(case.limit, gateway:wait_log("limit_exceeded").limit)
      assert.equal(1, floods.count(gateway, case.limit))
      if not case.mute then
        conn:read_to_end()
      end
      conn:close()
      floods.run(gateway, function()
        local one = begin(case)
        mg.task.sleep("1500ms")
        one:close()
      end, { lanes = case.limit == "client-send-timeout" and 25 or 50 })
    end)
  end

  it("waits no longer than allowed for a head that comes byte by byte", function()
    limited("client-header-timeout")
    local conn = h2.connect(gateway, { manual = true })
    local head = h2.frame(h2.HEADERS, WHOLE, 1, GET .. hpack.literal("x", ("y"):rep(1000)))
    local sent, over = 0, false
    local writer = mg.task.spawn(function()
      while not over and conn.conn:write(head:sub(sent + 1, sent + 1)) do
        sent = sent + 1
        mg.task.sleep("20ms")
      end
    end)
    assert.equal(408, conn:response(1).status)
    assert.is_true(sent < #head)
    over = true
    conn:close()
    mg.task.join(writer)
    assert.equal(1, floods.count(gateway, "client-header-timeout"))
  end)

  it("takes padding for no progress of a body", function()
    limited("client-body-timeout")
    local conn = h2.connect(gateway, { manual = true })
    conn:send(h2.HEADERS, h2.END_HEADERS, 1, POST)
    local over
    local writer = mg.task.spawn(function()
      repeat
        mg.task.sleep("20ms")
      until over or not conn:send(h2.DATA, h2.PADDED, 1, "\7" .. ("\0"):rep(7))
    end)
    local response = conn:response(1)
    over = true
    assert.equal(408, response and response.status)
    mg.task.join(writer)
    conn:close()
  end)
end)

-- --- clients that want too much -------------------------------------------------------------

describe("with greedy clients, HTTP/2 of the gateway", function()
  local gateway

  before_each(function()
    gateway = new_gateway({ ["http2-max-concurrent-streams"] = 20, ["http2-max-resets"] = 50 })
  end)

  after_each(function()
    gateway:stop()
  end)

  it("ends a connection with more streams than it allows", function()
    local conn = h2.connect(gateway)
    while not conn.settings[h2.MAX_CONCURRENT_STREAMS] do
      assert.is_table(conn:next())
    end
    assert.equal(20, conn.settings[h2.MAX_CONCURRENT_STREAMS])
    for _ = 1, 20 do
      conn:request({ path = "/held" })
    end
    -- It was told so, and yet: the connection ends (RFC 9113 5.1.2, 5.4.1).
    local _, err = conn:response(conn:request({ path = "/plain" }))
    assert.equal("PROTOCOL_ERROR", err)
    assert.equal(1, floods.count(gateway, "http2-max-concurrent-streams"))
    assert.equal("http2-max-concurrent-streams", gateway:wait_log("limit_exceeded").limit)
    conn:close()
  end)

  -- A field of 4000 bytes goes into the table, and is then named ten thousand times by a byte.
  local function bomb(id)
    local first = id == 1 and hpack.literal("x", ("y"):rep(4000), "indexed") or ""
    return GET .. first .. hpack.indexed(62):rep(10000)
  end

  it("expands no head beyond its limit", function()
    local conn = h2.connect(gateway)
    local id = conn:request({ fields = bomb(1) })
    local response, err = conn:response(id)
    assert.is_true(response and response.status == 431 or err ~= nil)
    conn:close()
    floods.run(gateway, function()
      local one = h2.connect(gateway)
      for i = 1, 100 do
        local got, why = one:response(one:request({ fields = bomb(i) }))
        if not got and why ~= "INTERNAL_ERROR" then
          break
        end
      end
      one:close()
    end)
    assert.is_true(floods.count(gateway, "max-header-size") > 0)
  end)
end)
