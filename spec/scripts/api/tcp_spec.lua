-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")

describe("mg.tcp", function()
  local listener

  before_each(function()
    listener = assert(mg.tcp.listen("127.0.0.1:0"))
  end)

  after_each(function()
    listener:close()
  end)

  -- Lets a task that was just spawned come to its first wait: tasks begin in their order.
  local function settle()
    mg.task.join(mg.task.spawn(function() end))
  end

  -- Both ends of a connection.
  local function pair(options)
    local client = assert(mg.tcp.connect("127.0.0.1", listener.port, options))
    return client, assert(listener:accept("5s"))
  end

  it("reads up to a delimiter, a number of bytes, and what is there", function()
    local client, server = pair()
    assert(server:write("first line\r\nexactrest"))
    assert.are.equal("first line", client:read_until("\r\n"))
    assert.are.equal("exact", client:read_exactly(5))
    assert.are.equal("re", client:read(2))
    assert.are.equal("st", client:read())
  end)

  it("finds a delimiter that comes in pieces", function()
    local client, server = pair()
    mg.task.spawn(function()
      for piece in ("a|b||c"):gmatch(".") do
        server:write(piece)
        mg.task.sleep(0)
      end
    end)
    assert.are.equal("a|b", client:read_until("||"))
    assert.are.equal("c", client:read_exactly(1))
  end)

  it("refuses a line that is longer than it may be", function()
    local client, server = pair()
    server:write(("x"):rep(50))
    local line, _, code = client:read_until("\n", 20)
    assert.is_nil(line)
    assert.are.equal("too_long", code)
  end)

  it("tells of the peer's end after what it had sent", function()
    local client, server = pair()
    server:write("last words")
    server:close()
    assert.is_nil((client:read_exactly(11)))
    assert.are.equal("last words", client:read())
    assert.are.equal("closed", select(3, client:read()))
    assert.is_true(client:is_over())
  end)

  it("ends one side and reads on", function()
    local client, server = pair()
    client:write("question")
    client:shutdown()
    assert.are.equal("question", server:read_exactly(8))
    assert.are.equal("closed", select(3, server:read()))
    server:write("answer")
    assert.are.equal("answer", client:read())
  end)

  it("stops waiting when its time is over", function()
    local client = pair({ timeout = "20ms" })
    assert.are.equal("timeout", select(3, client:read()))
  end)

  it("names what keeps it from connecting", function()
    local free = assert(mg.tcp.listen("127.0.0.1:0"))
    local port = free.port
    free:close()
    assert.are.equal("econnrefused", select(3, mg.tcp.connect("127.0.0.1", port)))
    assert.are.equal("enoent", select(3, mg.tcp.connect("unix:/no/such/socket")))
  end)

  it("moves more than the buffers hold, and slows the writer down meanwhile", function()
    local client, server = pair()
    local size, written = 8 * 1048576, false
    local writer = mg.task.spawn(function()
      assert(server:write(("0123456789abcdef"):rep(size / 16)))
      written = true
      server:close()
    end)
    mg.task.sleep(0.05)
    assert.is_false(written)
    local total = 0
    local data = client:read()
    while data do
      total = total + #data
      data = client:read()
    end
    mg.task.join(writer)
    assert.are.equal(size, total)
  end)

  for what, finish in pairs({
    ["is shut down by another task"] = function(client, writer)
      client:shutdown()
      mg.task.join(writer)
    end,
    ["is shut down and closed"] = function(client)
      client:shutdown()
      client:close()
    end,
  }) do
    it("sends all of it when it " .. what .. " that is still writing", function()
      local client, server = pair({ timeout = "5s" })
      local size, result = 8 * 1048576, nil
      local writer = mg.task.spawn(function()
        result = { client:write(("0123456789abcdef"):rep(size / 16)) }
      end)
      settle()
      local finisher = mg.task.spawn(finish, client, writer)
      settle()
      local total = 0
      local data = server:read()
      while data do
        total = total + #data
        data = server:read()
      end
      mg.task.join({ writer, finisher })
      assert.are.equal(size, total)
      assert.truthy(result[1] or result[3] == "ecanceled", result[3])
    end)
  end

  it("makes what was closed stale", function()
    local client = pair()
    client:close()
    assert.are.equal("closed", select(3, client:read()))
    assert.are.equal("closed", select(3, client:write("x")))
    client:close()
  end)

  it("may be closed by whoever reads when it breaks as it ends", function()
    for _ = 1, 20 do
      local client, server = pair()
      server:reset()
      client:shutdown()
      assert.is_nil((client:read()))
      client:close()
    end
  end)

  it("wakes a task whose connection another one closes", function()
    local client = pair()
    local reader = mg.task.spawn(function()
      return select(3, client:read())
    end)
    settle()
    client:close()
    assert.are.equal("ecanceled", mg.task.join(reader))
  end)

  it("lets one task at a time read", function()
    local client = pair()
    mg.task.spawn(function()
      client:read()
    end)
    settle()
    assert.are.equal("ebusy", select(3, client:read()))
    client:close()
  end)

  it("closes what nobody refers to any more", function()
    local server = select(2, pair())
    collectgarbage()
    collectgarbage()
    assert.are.equal("closed", select(3, server:read()))
  end)

  it("connects through a unix socket", function()
    local path = os.tmpname()
    os.remove(path)
    local unix = assert(mg.tcp.listen("unix:" .. path))
    local client = assert(mg.tcp.connect("unix:" .. path))
    local server = assert(unix:accept("5s"))
    client:write("over a pipe")
    assert.are.equal("over a pipe", server:read())
    unix:close()
    os.remove(path)
  end)
end)
