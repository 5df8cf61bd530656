-- SPDX-License-Identifier: Apache-2.0
--
-- Large bodies stream through: every byte, in order, in bounded memory.
local memory = require("spec.support.memory")
local mg = require("moongate")
local t = require("moongate.test")

local SCALE = tonumber(os.getenv("MG_TEST_SCALE")) or 1
local PIECE_BYTES = 262144
local PIECES = math.max(40, math.floor(800 * SCALE)) -- 200 MiB
local SIZE = PIECES * PIECE_BYTES
local BOUND = 32 * 1048576

-- A piece tells its place, and differs from its neighbours in every byte.
local FILLING = {}
for i = 0, 25 do
  FILLING[i] = string.char(97 + i):rep(PIECE_BYTES - 16)
end

local function piece(i)
  return ("%015d:"):format(i) .. FILLING[i % 26]
end

local FRAMINGS = {
  ["with a length"] = {
    head = ("Content-Length: %d\r\n"):format(SIZE),
    frame = function(data) return data end,
    last = "",
  },
  ["in chunks"] = {
    head = "Transfer-Encoding: chunked\r\n",
    frame = t.http1.chunk,
    last = t.http1.last_chunk({ ["X-Sum"] = "end" }),
  },
}

local function send(conn, framing)
  for i = 1, PIECES do
    assert(conn:write(framing.frame(piece(i))))
  end
  assert(conn:write(framing.last))
end

-- Compares what comes with what was sent, piece by piece, whatever its framing now is.
local function checker()
  local self = { count = 0, rest = "" }
  function self.take(data)
    local text = self.rest .. data
    local at = 1
    while #text - at + 1 >= PIECE_BYTES do
      self.count = self.count + 1
      if text:sub(at, at + PIECE_BYTES - 1) ~= piece(self.count) then
        error(("piece %d is not what was sent"):format(self.count), 0)
      end
      at = at + PIECE_BYTES
    end
    self.rest = text:sub(at)
  end
  return self
end

local function read_chunks(conn, check)
  while true do
    local size = tonumber(assert(conn:read_until("\r\n", 64)):match("^%x+"), 16)
    local left = size
    while left > 0 do
      local data = assert(conn:read(left))
      check.take(data)
      left = left - #data
    end
    if size == 0 then
      local trailer = conn:read_until("\r\n")
      return trailer ~= "" and conn:read_until("\r\n") and trailer or nil
    end
    conn:read_exactly(2)
  end
end

local function read(conn, message)
  local check = checker()
  local trailer
  if message:header("transfer-encoding") then
    trailer = read_chunks(conn, check)
  else
    local left = tonumber(message:header("content-length"))
    while left > 0 do
      local data = assert(conn:read(left))
      check.take(data)
      left = left - #data
    end
  end
  return check.count == PIECES and check.rest == "", trailer
end

describe(("a body of %d MiB"):format(SIZE / 1048576), function()
  local gateway, app

  setup(function()
    gateway = t.gateway({
      proxy = "${app}",
      upstreams = {},
      args = { "--set", "proxy-body-size=0" },
    })
    app = gateway:upstream("app", nil, { eager = true })
    gateway:start()
    gateway:client():get("/") -- what the first request costs is not counted
  end)

  teardown(function()
    gateway:stop()
  end)

  -- The most that it has more than at the beginning, while `fn` runs.
  local function growth_during(fn)
    local before, most, over = memory.resident(gateway), 0, false
    local watch = mg.task.spawn(function()
      while not over do
        most = math.max(most, memory.resident(gateway) - before)
        mg.task.sleep("10ms")
      end
    end)
    fn()
    over = true
    mg.task.join(watch)
    return most
  end

  local function assert_bounded(growth)
    if memory.is_measurable() then
      assert.is_true(growth < BOUND, ("grew by %d bytes"):format(growth))
    end
  end

  local function download(framing)
    local conn = gateway:client():raw()
    conn:write("GET /down HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n")
    local response = t.http1.read_head(conn)
    local whole, trailer = read(conn, response)
    conn:close()
    return whole and (framing.last == "" or trailer == "X-Sum: end")
  end

  local function upload(framing, path)
    local conn = gateway:client():raw()
    conn:write("PUT " .. path .. " HTTP/1.1\r\nHost: a\r\n" .. framing.head .. "\r\n")
    send(conn, framing)
    local response = t.http1.read_response(conn)
    conn:close()
    return response.status == 200 and response.body == "whole"
  end

  local function answer_upload(request, conn)
    local whole = read(conn, request)
    return { body = whole and "whole" or "cut" }
  end

  for what, framing in pairs(FRAMINGS) do
    local function answer_download(_, conn)
      conn:write("HTTP/1.1 200 OK\r\n" .. framing.head .. "\r\n")
      send(conn, framing)
      return { raw = "" }
    end

    it("comes down " .. what, function()
      app:answer(answer_download)
      assert_bounded(growth_during(function()
        assert.is_true(download(framing))
      end))
    end)

    it("goes up " .. what, function()
      app:answer(answer_upload)
      assert_bounded(growth_during(function()
        assert.is_true(upload(framing, "/up"))
      end))
    end)
  end

  it("moves in both directions at once, several of them", function()
    local framing = FRAMINGS["in chunks"]
    app:answer(function(request, conn)
      if request.path == "/up" then
        return answer_upload(request, conn)
      end
      conn:write("HTTP/1.1 200 OK\r\n" .. framing.head .. "\r\n")
      send(conn, framing)
      return { raw = "" }
    end)
    assert_bounded(growth_during(function()
      local tasks = {}
      for i = 1, 4 do
        tasks[i] = mg.task.spawn(i % 2 == 0 and download or upload, framing, "/up")
      end
      local results, errors = mg.task.join(tasks)
      assert.is_nil(errors)
      assert.are.same({ true, true, true, true }, results)
    end))
  end)
end)
