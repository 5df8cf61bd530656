-- SPDX-License-Identifier: Apache-2.0
--
-- Several requests at once, of workers that count together: so the running gateway.
local mg = require("moongate")
local t = require("moongate.test")

local SCRIPT = [[
local mg = require("moongate")
mg.route({ host = "*", path = "/", to = "${app}", plugins = {
  { name = "concurrency-limit", config = { max = 2, scope = "all" } },
} })
mg.route({ host = "*", path = "/other", to = "${app}", plugins = {
  { name = "concurrency-limit", config = { max = 1, key = "$http_x_key", status = 429 } },
} })
]]

describe("the plugin concurrency-limit", function()
  local gateway, held

  -- The service keeps requests to /held until `free` is called.
  local function answer(request)
    if request.path:find("held", 1, true) then
      local here = held
      here.count = here.count + 1
      t.wait_until(function()
        return here.free
      end, "the end of the held requests")
    end
    return { body = "fine" }
  end

  local function free()
    held.free = true
    held = { count = 0 }
  end

  before_each(function()
    held = { count = 0 }
    gateway = t.gateway({
      scripts = { ["a.lua"] = SCRIPT },
      upstreams = { app = answer },
      workers = 3,
    }):start()
  end)

  after_each(function()
    free()
    gateway:stop()
  end)

  local function status(path, headers)
    local client = gateway:client()
    local response = client:get(path, headers)
    client:close()
    return response.status
  end

  -- Requests under way, once the service has them.
  local function hold(number, path, headers)
    local tasks = {}
    local wanted = held.count + number
    for i = 1, number do
      tasks[i] = mg.task.spawn(status, path or "/held", headers)
    end
    t.wait_until(function()
      return held.count == wanted
    end, number .. " requests under way")
    return tasks
  end

  it("refuses one more than may be under way, until one has ended", function()
    local tasks = hold(2)
    for _ = 1, 5 do
      assert.equal(503, status("/"))
    end
    free()
    assert.same({ 200, 200 }, mg.task.join(tasks))
    for _ = 1, 5 do
      assert.equal(200, status("/"))
    end
    assert.equal(5, gateway:metrics("moongate_limit_exceeded_total",
      { limit = "concurrency-limit" }))
    assert.truthy(gateway:wait_log("limit_exceeded"))
  end)

  it("gives back what a client holds that leaves in the middle", function()
    for _ = 1, 3 do
      local connections = {}
      for i = 1, 2 do
        connections[i] = gateway:connect()
        connections[i]:write("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
      end
      t.wait_until(function()
        return held.count == 2
      end, "two requests under way")
      assert.equal(503, status("/"))
      for _, connection in ipairs(connections) do
        connection:close()
      end
      t.wait_until(function()
        return gateway:metrics("moongate_requests_in_flight") == 0
      end, "both to be gone")
      assert.equal(200, status("/"))
      free()
    end
  end)

  it("leaves exempt addresses alone", function()
    local h = t.plugin("concurrency-limit", { max = 1, exempt = { "10.0.0.0/8" } })
    h:upstream(answer)
    for address, wanted in pairs({ ["10.0.0.1"] = 200, ["192.0.2.1"] = 503 }) do
      local function ask(path)
        return h:request({ path = path, client_ip = address }).status
      end
      local one = mg.task.spawn(ask, "/held")
      t.wait_until(function()
        return held.count == 1
      end, "a request under way")
      assert.equal(wanted, ask("/"))
      free()
      assert.equal(200, mg.task.join(one))
    end
  end)

  it("comes before whatever authenticates", function()
    local here = held
    local h = t.plugins({
      { "concurrency-limit", { max = 1, scope = "authenticates" } },
      { { name = "acme-auth", stage = "authenticate", access = function(ctx)
        here.count = here.count + 1
        t.wait_until(function()
          return here.free
        end, "the end of the check")
        return ctx:respond(401)
      end } },
    })
    local function ask()
      return h:request().status
    end
    local one = mg.task.spawn(ask)
    t.wait_until(function()
      return here.count == 1
    end, "a check under way")
    assert.equal(503, ask())
    free()
    assert.equal(401, mg.task.join(one))
  end)

  it("counts by any text with variables", function()
    local tasks = hold(1, "/other/held", { ["X-Key"] = "a" })
    assert.equal(429, status("/other", { ["X-Key"] = "a" }))
    assert.equal(200, status("/other", { ["X-Key"] = "b" }))
    free()
    mg.task.join(tasks)
  end)

  -- What the log hook of another plugin, that comes before, may do.
  for what, body in pairs({
    fails = 'error("no")',
    ["waits for nothing"] = "coroutine.yield()",
    ["waits long"] = "mg.task.sleep(4)",
    ["does not come back"] = "while true do end",
  }) do
    it(("gives back what it holds when another plugin's log hook %s"):format(what), function()
      local other = t.gateway({
        scripts = {
          ["a.lua"] = SCRIPT,
          ["b.lua"] = ([[
            local mg = require("moongate")
            return mg.plugin({ name = "b", stage = "edge", on_error = "fail_closed",
              log = function(ctx) if ctx.request.path == "/b" then %s end end })
          ]]):format(body),
        },
        upstreams = { app = { body = "fine" } },
        workers = 1,
      }):start()
      for _ = 1, 2 do
        assert.equal(200, other:client():get("/b").status)
      end
      assert.equal(200, other:client():get("/").status)
      other:stop()
    end)
  end
end)
