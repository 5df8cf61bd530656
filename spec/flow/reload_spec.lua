-- SPDX-License-Identifier: Apache-2.0
--
-- Scripts are changed under load: no request notices, and what was loaded before is gone.
local mg = require("moongate")
local t = require("moongate.test")

local SCALE = tonumber(os.getenv("MG_TEST_SCALE")) or 1
local RELOADS = math.max(20, math.floor(1000 * SCALE))

-- A generation that has a name, memory of its own, code that is compiled, and a timer.
local PLUGIN = [[
local mg = require("moongate")
local NAME = "@"
local STAMP = { name = "stamp-@", config = { text = NAME } }
mg.route({ path = "/", to = "${app}", plugins = { STAMP } })

local ballast = {}
for i = 1, 2000 do ballast[i] = { NAME .. i } end

return mg.plugin({
  name = "stamp-@",
  config = mg.schema.record({ text = mg.schema.string():required() }),
  init = function()
    mg.timer.every("10s", function() ballast[1] = nil end)
  end,
  unload = function() mg.log.info("unloaded", { generation = NAME }) end,
  access = function(ctx, conf)
    local sum = 0
    for i = 1, 200 do sum = sum + #ballast[i % #ballast + 1][1] end
    if ctx.request:header("x-wait") then mg.task.sleep(ctx.request:header("x-wait")) end
    ctx.shared.name = NAME .. "/" .. conf.text .. (sum > 0 and "" or "?")
  end,
  response = function(ctx)
    local wait = ctx.request:header("x-wait-after")
    if wait then mg.task.sleep(wait) end
    ctx.response:set_header("x-generation", tostring(ctx.shared.name))
    ctx.response:set_header("x-answered-by", NAME)
  end,
})
]]

local function generation(name)
  return (PLUGIN:gsub("@", name))
end

local function start(workers)
  return t.gateway({
    workers = workers,
    upstreams = { app = true },
    scripts = { ["stamp.lua"] = generation("g0") },
  }):start()
end

-- Clients that ask again and again. `ended()` stops them, and tells how many answers came and what
-- was wrong.
local function load_of(gateway, clients, check)
  local load = { count = 0, wrong = {} }
  local tasks = {}
  for i = 1, clients do
    tasks[i] = mg.task.spawn(function()
      local client = gateway:client()
      while not load.over do
        local response, err = client:request({ path = "/", headers = { ["X-Wait"] = "1ms" } })
        load.count = load.count + 1
        local fault = not response and tostring(err) or check(response)
        if fault then
          table.insert(load.wrong, fault)
        end
      end
      client:close()
    end)
  end
  function load.ended()
    load.over = true
    mg.task.join(tasks)
    return load.count, load.wrong
  end
  return load
end

local function is_of_one_generation(response)
  local name = response:header("x-answered-by")
  if response.status ~= 200 then
    return "status " .. response.status
  elseif response:header("x-generation") ~= ("%s/%s"):format(name, name) then
    return tostring(name) .. " answered for " .. tostring(response:header("x-generation"))
  end
end

describe("a reload", function()
  local gateway

  after_each(function()
    gateway:stop()
  end)

  local function name_of(client)
    return client:get("/"):header("x-answered-by")
  end

  local function write(name, client)
    gateway:write({ ["stamp.lua"] = generation(name) })
    t.wait_until(function()
      return name_of(client) == name
    end, "generation " .. name)
  end

  it(("happens %d times under load without an error, and memory stays flat"):format(RELOADS),
    function()
      gateway = start(2)
      local load = load_of(gateway, 4, is_of_one_generation)
      local function heap()
        return gateway:metrics("moongate_lua_heap_bytes")
      end
      local function reload(first, last)
        for i = first, last do
          if i % 10 == 0 then -- another text; else the same one once more
            gateway:write({ ["stamp.lua"] = generation("g" .. i) })
          else
            gateway:kill(1)
          end
          gateway:wait_log("scripts_loaded", i + 1)
        end
      end
      local function settled_heap()
        local least = math.huge
        for _ = 1, 40 do
          least = math.min(least, heap())
          mg.task.sleep("20ms")
        end
        return least
      end
      local early = math.floor(RELOADS / 10)
      reload(1, early)
      local before = settled_heap()
      reload(early + 1, RELOADS)
      local after = settled_heap()
      local count, wrong = load.ended()
      assert.are.same({}, wrong)
      assert.is_true(count > RELOADS, ("%d requests"):format(count))
      -- The collector lets garbage grow to some times of what is in use. If each generation stayed,
      -- a thousand of them would be hundreds of MiB.
      assert.is_true(after < before + 32 * 1048576, ("%d -> %d bytes"):format(before, after))
      assert.are.equal(0, #gateway:logs("plan_rejected"))
    end)

  it("that renames a plugin and its route serves one of the two, whole", function()
    gateway = start(2)
    local load = load_of(gateway, 4, is_of_one_generation)
    local client = gateway:client()
    for i = 1, 30 do
      write("n" .. i, client)
    end
    local _, wrong = load.ended()
    assert.are.same({}, wrong)
    assert.are.equal(0, #gateway:logs("plan_rejected"))
  end)

  it("leaves requests in flight what they began with, and unloads that at their end", function()
    gateway = start(1)
    local client = gateway:client()
    local slow = gateway:client()
    for _, wait in ipairs({ "X-Wait", "X-Wait-After" }) do
      local was = name_of(client)
      local unloaded = #gateway:logs("unloaded")
      local running = mg.task.spawn(function()
        return slow:get("/", { [wait] = "700ms" })
      end)
      t.wait_until(function()
        return gateway:metrics("moongate_requests_in_flight") > 0
      end, "the slow request")
      write("after" .. wait:lower(), client)
      assert.are.equal(unloaded, #gateway:logs("unloaded"))
      local response = mg.task.join(running)
      assert.are.equal(was, response:header("x-answered-by"))
      assert.is_nil(is_of_one_generation(response))
      assert.are.equal(was, gateway:wait_log("unloaded", unloaded + 1).generation)
    end
  end)

  it("of a broken script keeps the one before, and the next good one is taken", function()
    gateway = start(2)
    local client = gateway:client()
    local load = load_of(gateway, 2, is_of_one_generation)
    for i, broken in ipairs({
      "this is no Lua",
      'error("at the top")',
      'local mg = require("moongate")\nreturn mg.plugin({ name = "x", acces = function() end })',
      'return require("moongate").plugin({ name = "x", init = function() error("in init") end })',
      'undeclared = 1',
    }) do
      gateway:write({ ["stamp.lua"] = broken .. "\n" })
      local rejected = gateway:wait_log("scripts_rejected", i)
      assert.truthy(rejected.error:find("stamp.lua:%d+:") or rejected.error:find("in init"))
      assert.are.equal("g0", name_of(client))
    end
    assert.are.equal(0, gateway:metrics("moongate_config_last_reload_successful"))
    write("mended", client)
    assert.are.equal(1, gateway:metrics("moongate_config_last_reload_successful"))
    local _, wrong = load.ended()
    assert.are.same({}, wrong)
  end)
end)
