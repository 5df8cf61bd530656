-- SPDX-License-Identifier: Apache-2.0
--
-- Thousands of clients that keep their connections: they cost little, others are served, and their
-- time is over at some point.
local ffi = require("ffi")
local memory = require("spec.support.memory")
local mg = require("moongate")
local read_to_end = require("spec.support.read_to_end")
local t = require("moongate.test")

local SCALE = tonumber(os.getenv("MG_TEST_SCALE")) or 1
local COUNT = math.max(100, math.floor(5000 * SCALE))
local BYTES_EACH = 4096

-- Of this process, and so of the gateway that it starts.
local function allow_files(count)
  ffi.cdef([[
    struct spec_rlimit { unsigned long soft, hard; };
    int getrlimit(int what, struct spec_rlimit *limit);
    int setrlimit(int what, const struct spec_rlimit *limit);
  ]])
  local NOFILE = 7
  local limit = ffi.new("struct spec_rlimit")
  assert(ffi.C.getrlimit(NOFILE, limit) == 0)
  if limit.hard < count then
    return false
  end
  limit.soft = math.max(tonumber(limit.soft), count)
  return ffi.C.setrlimit(NOFILE, limit) == 0
end

describe(("%d idle connections"):format(COUNT), function()
  local gateway, conns

  local function start(settings)
    gateway = t.gateway({ upstreams = { app = true }, settings = settings,
      scripts = 'require("moongate").route({ to = "${app}" })\n' }):start()
    conns = {}
  end

  -- Each has served a request: it is kept, not new.
  local function open(count)
    local tasks = {}
    for lane = 1, 20 do
      tasks[lane] = mg.task.spawn(function()
        for _ = lane, count, 20 do
          local conn = gateway:connect()
          conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          assert(t.http1.read_response(conn))
          conns[#conns + 1] = conn
        end
      end)
    end
    local _, errors = mg.task.join(tasks)
    assert.is_nil(errors)
  end

  after_each(function()
    for _, conn in ipairs(conns or {}) do
      conn:close()
    end
    if gateway then
      gateway:stop()
      gateway = nil
    end
  end)

  it("cost less than 4 KiB each, and others are served meanwhile", function()
    if not allow_files(COUNT + 1000) then
      pending("thousands of connections: this user may not open that many files")
    end
    start({ ["keep-alive"] = "60s" })
    open(50) -- what the first ones cost is not theirs
    local before = memory.private(gateway)
    open(COUNT)
    assert.are.equal(COUNT + 50, gateway:metrics("moongate_connections", { state = "open" }))
    local each = (memory.private(gateway) - before) / COUNT
    if memory.is_measurable() then
      assert.is_true(each < BYTES_EACH, ("%d bytes each"):format(each))
    end
    local client = gateway:client()
    for _ = 1, 200 do
      assert.are.equal(200, client:get("/").status)
    end
    for i = 1, #conns, 500 do -- they serve still
      conns[i]:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.are.equal(200, t.http1.read_response(conns[i]).status)
    end
  end)

  it("are closed when their time is over, while one that is used stays", function()
    if not allow_files(COUNT + 1000) then
      pending("thousands of connections: this user may not open that many files")
    end
    start({ ["keep-alive"] = "1500ms" })
    local client = gateway:client()
    local over
    local busy = mg.task.spawn(function()
      while not over do
        assert(client:get("/").status == 200)
        mg.task.sleep("100ms")
      end
    end)
    open(math.floor(COUNT / 5))
    t.wait_until(function()
      return gateway:metrics("moongate_connections", { state = "open" }) == 1
    end, "the idle ones to be closed")
    for _, conn in ipairs(conns) do
      assert.are.equal("", read_to_end(conn))
    end
    over = true
    mg.task.join(busy)
    assert.are.equal(1, client.connections)
  end)
end)
