-- SPDX-License-Identifier: Apache-2.0
--
-- Scripts in the running gateway: what they decide, and what becomes of a change.
local mg = require("moongate")
local t = require("moongate.test")

-- The fewest lines that are useful.
local FIRST = [[
local mg = require "moongate"
mg.route { host = "api.test", path = "/v1/", to = "${app}" }

return mg.plugin {
  access = function(ctx)
    if not ctx.request:header("x-api-key") then return ctx:respond(401, "a key, please\n") end
  end,
}
]]

describe("a folder of scripts", function()
  local gateway

  local function start(scripts)
    gateway = t.gateway({
      scripts = scripts,
      upstreams = { app = true, other = { body = "other" } },
      settings = { hsts = false },
    }):start()
    return gateway:client()
  end

  local function get(client, headers)
    return client:request({ path = "/v1/x", host = "api.test", headers = headers })
  end

  after_each(function()
    gateway:stop()
  end)

  it("asks for a key in eight lines", function()
    local client = start(FIRST)
    local refused = get(client)
    assert.are.equal(401, refused.status)
    assert.are.equal("a key, please\n", refused.body)
    assert.are.equal(0, #gateway:upstream("app").requests)
    assert.are.equal(200, get(client, { ["x-api-key"] = "k" }).status)
    assert.are.equal("/v1/x", gateway:upstream("app"):request(1).target)
    assert.are.equal(1, client.connections)
  end)

  it("is read again when it changes, and a fault leaves the old one serving", function()
    local client = start({ ["gate.lua"] = FIRST })
    gateway:write({ ["gate.lua"] = "local mg = require 'moongate'\nmg.route { host = 'api.test' " })
    local rejected = gateway:wait_log("scripts_rejected")
    assert.truthy(rejected.error:find("gate.lua:2:", 1, true))
    assert.are.equal(401, get(client).status)
    gateway:write({
      ["gate.lua"] = [[
        local mg = require("moongate")
        mg.route({ host = "api.test", path = "/", to = "${other}" })
      ]],
    })
    gateway:wait_log("scripts_loaded", 2)
    t.wait_until(function()
      return get(client).body == "other"
    end, "the new script's route")
  end)

  it("takes what it declared with it when its last file is removed", function()
    local client = start({ ["gate.lua"] = FIRST })
    assert.are.equal(401, get(client).status)
    for _, folder in ipairs(gateway.folders) do
      folder:remove("gate.lua")
    end
    assert.are.equal("0", gateway:wait_log("scripts_loaded", 2).files)
    t.wait_until(function()
      return get(client).status == 404
    end, "the route and its guard to go")
  end)

  it("is read again on SIGHUP", function()
    local client = start({ ["gate.lua"] = FIRST })
    gateway:reload()
    assert.are.equal(401, get(client).status)
    assert.are.equal(2, #gateway:logs("scripts_loaded"))
  end)

  it("answers 500 when a hook that protects something fails, and names the line", function()
    local client = start([[
      local mg = require("moongate")
      mg.route({ host = "api.test", path = "/", to = "${app}" })
      return mg.plugin({
        name = "broken",
        stage = "authorize",
        access = function(ctx)
          ctx.missing.field = 1
        end,
      })
    ]])
    assert.are.equal(500, get(client).status)
    local failed = gateway:wait_log("plugin_failed")
    assert.are.equal("broken", failed.plugin)
    assert.truthy(failed.error:find("spec.lua:7:", 1, true))
    assert.are.equal(0, #gateway:upstream("app").requests)
  end)

  it("counts in a dictionary that all workers share, and keeps it over a reload", function()
    gateway = t.gateway({
      workers = 3,
      settings = { hsts = false },
      scripts = [[
        local mg = require("moongate")
        mg.route({ host = "api.test", path = "/" })
        return mg.plugin({
          access = function(ctx)
            ctx:respond(200, tostring(mg.shared("hits"):incr("n", 1, { init = 0 })))
          end,
        })
      ]],
    }):start()
    local waiting = {}
    for i = 1, 30 do
      waiting[i] = mg.task.spawn(function()
        return tonumber(get(gateway:client()).body)
      end)
    end
    local seen = mg.task.join(waiting)
    table.sort(seen)
    for i = 1, 30 do
      assert.are.equal(i, seen[i])
    end
    gateway:reload()
    assert.are.equal("31", get(gateway:client()).body)
  end)

  it("ends the timers of scripts that were replaced", function()
    gateway = t.gateway({
      settings = { hsts = false },
      scripts = { ["ticker.lua"] = [[
        local mg = require("moongate")
        mg.route({ host = "api.test", path = "/" })
        mg.timer.every(0.005, function() mg.shared("ticks"):incr("old", 1, { init = 0 }) end)
        return mg.plugin({
          access = function(ctx) ctx:respond(200, tostring(mg.shared("ticks"):get("old") or 0)) end,
        })
      ]] },
    }):start()
    local client = gateway:client()
    local function ticks()
      return tonumber(get(client).body)
    end
    t.wait_until(function()
      return ticks() > 2
    end, "the timer to run")
    gateway:write({ ["ticker.lua"] = [[
      local mg = require("moongate")
      mg.route({ host = "api.test", path = "/" })
      return mg.plugin({
        access = function(ctx) ctx:respond(200, tostring(mg.shared("ticks"):get("old") or 0)) end,
      })
    ]] })
    gateway:wait_log("scripts_loaded", 2)
    local before
    t.wait_until(function()
      local last = before
      before = ticks()
      mg.task.sleep(0.03)
      return last == before
    end, "the old timer to end")
  end)

  it("waits in a hook while other requests go on", function()
    local client = start([[
      local mg = require("moongate")
      mg.route({ host = "api.test", path = "/", to = "${app}" })
      return mg.plugin({
        access = function(ctx)
          if ctx.request:header("x-slow") then
            local conn = mg.tcp.connect("127.0.0.1", ${other.port})
            conn:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            ctx:respond(202, conn:read_until("\r\n"))
          end
        end,
      })
    ]])
    gateway:upstream("other"):answer({ delay = "50ms" })
    local slow = client:raw()
    slow:write("GET / HTTP/1.1\r\nHost: api.test\r\nX-Slow: 1\r\n\r\n")
    gateway:upstream("other"):request(1)
    assert.are.equal(200, get(gateway:client()).status)
    local response = t.http1.read_response(slow)
    assert.are.equal(202, response.status)
    assert.are.equal("HTTP/1.1 200 Test", response.body)
  end)

  it("ends the timers that hooks and tasks have set of scripts that were replaced", function()
    local TICK = [[function() mg.shared("ticks"):incr("%s", 1, { init = 0 }) end]]
    gateway = t.gateway({
      settings = { hsts = false },
      scripts = { ["ticker.lua"] = ([[
        local mg = require("moongate")
        mg.route({ host = "api.test", path = "/" })
        local began
        return mg.plugin({ access = function(ctx)
          if not began then
            began = true
            mg.timer.every(0.005, %s)
            mg.task.spawn(function() mg.timer.every(0.005, %s) end)
          end
          local ticks = mg.shared("ticks")
          ctx:respond(200, tostring(math.min(ticks:get("a") or 0, ticks:get("b") or 0)))
        end })
      ]]):format(TICK:format("a"), TICK:format("b")) },
    }):start()
    local client = gateway:client()
    t.wait_until(function()
      return tonumber(get(client).body) > 2
    end, "the timers to run")
    gateway:write({ ["ticker.lua"] = [[
      local mg = require("moongate")
      mg.route({ host = "api.test", path = "/" })
      return mg.plugin({ access = function(ctx)
        local ticks = mg.shared("ticks")
        ctx:respond(200, tostring(ticks:get("a") + ticks:get("b")))
      end })
    ]] })
    gateway:wait_log("scripts_loaded", 2)
    local before
    t.wait_until(function()
      local last = before
      before = get(client).body
      mg.task.sleep(0.03)
      return last == before
    end, "the old timers to end")
  end)

  it("has a page of metrics that can be read, whatever clients send", function()
    gateway = t.gateway({
      settings = { hsts = false },
      scripts = { ["counter.lua"] = [[
        local mg = require("moongate")
        mg.route({ host = "api.test", path = "/" })
        local seen = mg.metrics.counter("seen_total", { labels = { "path" } })
        return mg.plugin({ access = function(ctx)
          seen:add(1, { path = ctx.request.path })
          ctx:respond(200)
        end })
      ]] },
    }):start()
    gateway:client():get("/%C3%A4%FF", { Host = "api.test" })
    assert.are.equal(1, gateway:metrics("seen_total", { path = "/ä\239\191\189" }))
  end)
end)
