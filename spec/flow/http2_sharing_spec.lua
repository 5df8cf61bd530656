-- SPDX-License-Identifier: Apache-2.0
--
-- What one stream of HTTP/2 leaves to the others: answers on a client's connection, and uploads of
-- many clients on one connection to a backend.
local h2 = require("spec.support.h2")
local h2_upstream = require("spec.support.h2_upstream")
local mg = require("moongate")
local t = require("moongate.test")

local MIB = 1048576
local STEP, STEPS = h2.FRAME, 100

describe("answers on one connection of HTTP/2", function()
  local gateway

  setup(function()
    gateway = t.gateway({ proxy = "${app}", upstreams = { app = ("x"):rep(4 * MIB) } }):start()
  end)

  teardown(function()
    gateway:stop()
  end)

  -- Asks for as many answers as there are priorities. Once all have begun, the client takes STEP
  -- bytes at a time: whose they are is the gateway's choice. Returns the bytes of each.
  local function race(priorities)
    local conn = h2.connect(gateway, { manual = true,
      settings = { { h2.INITIAL_WINDOW_SIZE, 8 * MIB } } })
    for _, priority in ipairs(priorities) do
      conn:request({ headers = priority ~= "" and { priority = priority } or {} })
    end
    local got, begun, came = {}, 0, 0
    local function read()
      local frame = assert(conn:next())
      local i = (frame.stream + 1) / 2
      if frame.kind == h2.HEADERS then
        begun, got[i] = begun + 1, 0
      elseif frame.kind == h2.DATA then
        came = came + #frame.payload
        got[i] = got[i] + #frame.payload
      end
    end
    while begun < #priorities or came < h2.WINDOW do
      read()
    end
    for i = 1, #priorities do
      got[i] = 0
    end
    for step = 1, STEPS do
      conn:send(h2.WINDOW_UPDATE, 0, 0, h2.u32(STEP))
      while came < h2.WINDOW + step * STEP do
        read()
      end
    end
    conn:close()
    return got
  end

  it("take turns where the client says nothing", function()
    for i, bytes in ipairs(race({ "", "", "", "" })) do
      assert.is_true(bytes > STEPS * STEP / 8, ("%d bytes of the answer %d"):format(bytes, i))
    end
  end)

  it("take turns where the client asks for that", function()
    for i, bytes in ipairs(race({ "i", "u=3, i", "" })) do
      assert.is_true(bytes > STEPS * STEP / 6, ("%d bytes of the answer %d"):format(bytes, i))
    end
  end)

  it("come in the order of their urgency where the client gives it", function()
    local got = race({ "u=6", "", "u=1" })
    assert.is_true(got[3] > 0.8 * STEPS * STEP, ("%d bytes"):format(got[3]))
  end)
end)

describe("uploads on one connection of HTTP/2 to a backend", function()
  local gateway, app, got

  -- The backend counts what comes by path, and answers at the end.
  local function count(conn, request)
    local function is_over()
      return request.ended or request.error or conn.over
    end
    repeat
      t.wait_until(function()
        return #request.parts > 0 or is_over()
      end, "a piece")
      for _, part in ipairs(request.parts) do
        got[request.path] = (got[request.path] or 0) + #part
      end
      request.parts = {}
    until is_over()
    conn:send_fields(request.id, { { ":status", "200" } }, true)
  end

  before_each(function()
    got = {}
    gateway = t.gateway({ workers = 1, scripts = [[
      local mg = require("moongate")
      mg.route { path = "/", to = "h2c://127.0.0.1:${app.port}",
        settings = { body_limit_bytes = 0 } }
    ]] })
    app = h2_upstream.new(nil, { eager = true })
    gateway.upstreams.app = app
    gateway:start()
    gateway:client():get("/")
    app:answer({ raw = count })
  end)

  after_each(function()
    gateway:stop()
    assert.is_nil(app.failure)
  end)

  local function upload(path, size)
    local piece = ("x"):rep(65536)
    local client = gateway:client():raw()
    return mg.task.spawn(function()
      client:write(("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(path, size))
      for _ = 1, size / #piece do
        if not client:write(piece) then
          return
        end
      end
      return t.http1.read_response(client).status
    end), client
  end

  it("take turns, whoever began", function()
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = upload("/" .. i, 64 * MIB)
    end
    local least
    t.wait_until(function()
      least = math.min(got["/1"] or 0, got["/2"] or 0, got["/3"] or 0)
      return math.max(got["/1"] or 0, got["/2"] or 0, got["/3"] or 0) > 32 * MIB
    end, "half of an upload")
    assert.is_true(least > 16 * MIB, ("%d bytes"):format(least))
    for i = 1, 3 do
      assert.equal(200, (mg.task.join(tasks[i])))
      assert.equal(64 * MIB, got["/" .. i])
    end
    assert.equal(1, app.connections)
  end)

  it("hold up no small request", function()
    local writer, client = upload("/large", 1024 * MIB)
    t.wait_until(function()
      return (got["/large"] or 0) > MIB
    end, "the upload to run")
    for i = 1, 20 do
      local before = got["/large"]
      assert.equal(200, gateway:client():post("/small/" .. i, ("y"):rep(40000)).status)
      assert.equal(40000, got["/small/" .. i])
      assert.is_true(got["/large"] - before < 16 * MIB)
    end
    client:close()
    mg.task.join(writer)
  end)
end)

describe("answers of a backend over HTTP/2", function()
  local gateway, app, widest

  before_each(function()
    gateway = t.gateway({ workers = 1, scripts = [[
      require("moongate").route { path = "/", to = "h2c://127.0.0.1:${app.port}" }
    ]] })
    widest = 0
    app = h2_upstream.new({ raw = function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" } })
      for _ = 1, 1024 do
        widest = math.max(widest, request.window)
        conn:send_body(request.id, ("x"):rep(16384))
      end
      conn:send_body(request.id, "", true)
    end })
    gateway.upstreams.app = app
    gateway:start()
  end)

  after_each(function()
    gateway:stop()
    assert.is_nil(app.failure)
  end)

  it("may have much on its way to a client that has one request at a time", function()
    assert.equal(16 * MIB, #gateway:client():get("/").body)
    assert.is_true(widest > 256 * 1024, widest)
    assert.is_true(widest <= MIB, widest)
  end)

  it("may have less to a client that has many", function()
    local conn = h2.connect(gateway, { settings = { { h2.INITIAL_WINDOW_SIZE, 8 * MIB } } })
    conn:send(h2.WINDOW_UPDATE, 0, 0, h2.u32(8 * MIB))
    assert.equal(16 * MIB, #conn:exchange({}).body)
    assert.is_true(widest <= 256 * 1024, widest)
    conn:close()
  end)
end)
