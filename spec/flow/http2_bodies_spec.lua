-- SPDX-License-Identifier: Apache-2.0
--
-- Bodies through a connection to a backend that speaks HTTP/2: what they take of memory, and of
-- each other.
local h2_upstream = require("spec.support.h2_upstream")
local memory = require("spec.support.memory")
local mg = require("moongate")
local t = require("moongate.test")

local SCRIPT = [[
require("moongate").route { host = "*", path = "/", to = "h2c://127.0.0.1:${app.port}" }
]]

local app, gateway

local function start(options)
  gateway = t.gateway({ scripts = SCRIPT, workers = 1 })
  app = h2_upstream.new(nil, options)
  gateway.upstreams.app = app
  gateway:start()
end

describe("bodies over HTTP/2 to a backend", function()
  after_each(function()
    gateway:stop()
    assert.is_nil(app.failure)
  end)

  it("of others pass while a slow client holds its answer up", function()
    start()
    local size = 40 * 1048576
    app:answer(function(request, conn)
      if request.path == "/large" then
        return { raw = function()
          conn:send_fields(request.id, { { ":status", "200" } })
          for _ = 1, size / 65536 do
            if not conn:send_body(request.id, ("x"):rep(65536)) then
              return
            end
          end
        end }
      end
      return ("y"):rep(100000)
    end)
    local slow = {}
    for i = 1, 20 do
      slow[i] = gateway:client():raw()
      slow[i]:write("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    app:request(20)
    local before = memory.resident(gateway)
    mg.task.sleep("500ms")
    for _ = 1, 5 do
      assert.equal(100000, #gateway:client():get("/").body)
    end
    assert.equal(1, app.connections)
    if memory.is_measurable() then
      assert.is_true(memory.resident(gateway) - before < 40 * 1048576)
    end
    for i = 1, 20 do
      slow[i]:close()
    end
  end)

  it("pass both ways at once, 100 MB each, in bounded memory", function()
    start({ eager = true })
    local lines = {}
    for i = 1, 8192 do
      lines[i] = ("%07d\n"):format(i)
    end
    local size, piece = 100 * 1048576, table.concat(lines)
    local long = piece:rep(17) -- whatever of up to 1 MiB begins within a piece
    -- Whether `data` is what stands behind the first `at` bytes.
    local function is_next(data, at)
      local from = at % #piece
      return long:sub(from + 1, from + #data) == data
    end
    app:answer({ raw = function(conn, request)
      conn:send_fields(request.id, { { ":status", "200" }, { "content-length", tostring(size) } })
      local sent, seen = 0, 0
      while seen < size do
        t.wait_until(function()
          return #request.parts > 0 or request.ended
        end, "a piece")
        local parts = request.parts
        request.parts = {}
        for _, part in ipairs(parts) do
          assert(is_next(part, seen), "other bytes came to the backend")
          seen = seen + #part
        end
        while sent < seen do
          local len = math.min(#piece, size - sent)
          if not conn:send_body(request.id, piece:sub(1, len), sent + len == size) then
            return
          end
          sent = sent + len
        end
      end
    end })
    local client = gateway:client():raw()
    client:write(("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(size))
    mg.task.spawn(function()
      for _ = 1, size / #piece do
        client:write(piece)
      end
    end)
    local response = t.http1.read_head(client)
    assert.equal(200, response.status)
    local got, most = 0, 0
    local before = memory.resident(gateway)
    while got < size do
      local data = assert(client:read(1048576))
      assert.is_true(is_next(data, got))
      got = got + #data
      most = math.max(most, memory.resident(gateway) - before)
    end
    if memory.is_measurable() then
      assert.is_true(most < 32 * 1048576, most)
    end
  end)
end)
