-- SPDX-License-Identifier: Apache-2.0
--
-- Scripts that do not come back are stopped: on their request alone, whatever they try.
local mg = require("moongate")
local state = require("moongate.test.state")
local t = require("moongate.test")

-- Each path has a way of its own to run for ever; the prefix says in which hook.
local RUNAWAY = [[
local mg = require("moongate")
mg.route({ path = "/", to = "${app}" })

local ways = {
  loop = function() while true do end end,
  call = function() local function again() return again() end again() end,
  catch = function()
    while true do pcall(function() while true do end end) end
  end,
  catch_each = function()
    while true do pcall(error, "again") end
  end,
  xcatch = function()
    while true do
      xpcall(function() while true do end end, function(err) while true do end return err end)
    end
  end,
  strings = function()
    while true do
      local text = ("ab"):rep(5000)
      text:gsub("a", "b")
    end
  end,
  callback = function()
    while true do ("x"):rep(1000):gsub(".", function(c) return c end) end
  end,
  coroutines = function()
    while true do
      local co = coroutine.wrap(function() while true do end end)
      pcall(co)
    end
  end,
  sort = function()
    while true do
      local list = {}
      for i = 1, 1000 do list[i] = -i end
      table.sort(list, function(a, b) return a < b end)
    end
  end,
}

local function run(ctx, hook)
  local where, way = ctx.request.path:match("^/([%w_]+)/([%w_]+)$")
  if where == hook then ways[way]() end
end

return mg.plugin({
  name = "runaway",
  rewrite = function(ctx) run(ctx, "rewrite") end,
  access = function(ctx) run(ctx, "access") end,
  request_body = function(ctx) run(ctx, "request_body") end,
  response = function(ctx) run(ctx, "response") end,
  response_body = function(ctx) run(ctx, "response_body") end,
  log = function(ctx) run(ctx, "log") end,
})
]]

local WAYS = { "loop", "call", "catch", "catch_each", "xcatch", "strings", "callback", "coroutines",
  "sort" }

local function start(options)
  options.upstreams = { app = true }
  options.scripts = options.scripts or RUNAWAY
  return t.gateway(options):start()
end

describe("a script that does not come back", function()
  local gateway

  setup(function()
    gateway = start({})
  end)

  teardown(function()
    gateway:stop()
  end)

  local function ask(path)
    local client = gateway:client()
    local response = client:request({ method = "POST", path = path, body = "body" })
    client:close()
    return response
  end

  local function stopped()
    return gateway:metrics("moongate_limit_exceeded_total", { limit = "script-time" }) or 0
  end

  for _, way in ipairs(WAYS) do
    it(("is stopped in the way of %s, and the worker goes on"):format(way), function()
      local before, failed = stopped(), #gateway:logs("script_stopped")
      local response = ask("/access/" .. way)
      assert.are.equal(500, response.status)
      assert.is_true(stopped() > before)
      assert.is_true(#gateway:logs("script_stopped") > failed)
      assert.are.equal("body", ask("/").body)
    end)
  end

  for _, hook in ipairs({ "rewrite", "request_body", "response", "response_body", "log" }) do
    it(("is stopped in %s"):format(hook), function()
      local before = stopped()
      local response = ask(("/%s/catch"):format(hook))
      if hook == "rewrite" or hook == "response" then
        assert.are.equal(500, response.status)
      elseif hook == "log" then
        assert.are.equal("body", response.body)
      else
        assert.is_true(response == nil or response.error ~= nil)
      end
      t.wait_until(function()
        return stopped() > before
      end, "the watchdog")
      assert.are.equal("body", ask("/").body)
    end)
  end

  it("is named in the log, with its line", function()
    local before = #gateway:logs("plugin_failed")
    ask("/access/loop")
    local entry = gateway:wait_log("plugin_failed", before + 1)
    assert.are.equal("runaway", entry.plugin)
    assert.are.equal("access", entry.hook)
    assert.truthy(entry.error:find("stopped: the script ran for more than", 1, true))
    assert.truthy(entry.error:find("spec.lua:5", 1, true))
  end)
end)

describe("while a script does not come back", function()
  it("the other worker serves", function()
    local gateway = start({ workers = 2 })
    local client = gateway:client()
    local hung = client:raw()
    hung:write("GET /access/catch HTTP/1.1\r\nHost: a\r\n\r\n")
    -- Connections are spread over both: who is answered while it runs is with the other one.
    local served, tasks = 0, {}
    for i = 1, 8 do
      tasks[i] = mg.task.spawn(function()
        assert.are.equal(200, gateway:client():get("/" .. i).status)
        served = served + 1
      end)
    end
    t.wait_until(function()
      return served > 0
    end, "the other worker")
    hung:set_timeout(0.001)
    assert.is_nil((hung:read())) -- it still runs
    hung:set_timeout(state.patience())
    assert.are.equal(500, t.http1.read_response(hung).status)
    mg.task.join(tasks)
    assert.are.equal(#tasks, served)
    gateway:stop()
  end)

  it("in init or at the top of a file, the old generation serves", function()
    local first = 'require("moongate").route({ to = "${app}" })\n'
    local gateway = start({ scripts = { ["a.lua"] = first } })
    gateway:write({ ["a.lua"] = [[
      local mg = require("moongate")
      mg.route({ to = "${app}" })
      return mg.plugin({ name = "slow", init = function() while true do end end })
    ]] })
    local rejected = gateway:wait_log("scripts_rejected")
    assert.truthy(rejected.error:find("stopped", 1, true))
    local client = gateway:client()
    assert.are.equal(200, client:get("/").status)
    gateway:write({ ["a.lua"] = "while true do end\n" })
    gateway:wait_log("scripts_rejected", 2)
    assert.are.equal(200, client:get("/").status)
    gateway:stop()
  end)
end)
