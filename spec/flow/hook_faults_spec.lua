-- SPDX-License-Identifier: Apache-2.0
--
-- What plugins with scripts of their own do to a request, above all what goes wrong in them: it
-- stays with that request, and never lets pass what was to be refused.
local mg = require("moongate")
local t = require("moongate.test")

describe("the hooks of a plugin", function()
  -- The answer of a failed `access` is seen by `response`, which may fail as well.
  for hooks, status in pairs({ ["access = fail"] = 500, ["access = fail, response = fail"] = 502 })
  do
    it("that protect something fail closed, in a hook that waits as well: " .. hooks, function()
      local gateway = t.gateway({
        upstreams = { app = true },
        scripts = ([[
          local mg = require("moongate")
          mg.route({ path = "/", to = "${app}" })
          local function fail(ctx)
            mg.task.sleep(0)
            error("no")
          end
          return mg.plugin({ name = "guard", stage = "authenticate", %s })
        ]]):format(hooks),
      }):start()
      assert.are.equal(status, gateway:client():get("/").status)
      assert.are.equal(0, #gateway:upstream("app").requests)
      gateway:stop()
    end)
  end

  it("see what the one before made of a piece, and set_body sets the length", function()
    local PIECES = [[
      local mg = require("moongate")
      local function add(_, _, chunk) return chunk .. "%s" end
      return mg.plugin({ name = "%s", before = { %s }, request_body = add, response_body = add })
    ]]
    local gateway = t.gateway({
      upstreams = { app = true },
      scripts = {
        ["a.lua"] = PIECES:format("a", "first", '"second"'),
        ["b.lua"] = PIECES:format("b", "second", ""),
        ["route.lua"] = 'require("moongate").route({ path = "/", to = "${app}" })\n',
      },
    }):start()
    local response = gateway:client():post("/", "-")
    assert.are.equal("-ab", gateway:upstream("app"):request(1).body:sub(1, 3))
    assert.truthy(response.body:find("^%-ab"))
    assert.truthy(response.body:find("ba$"))
    gateway:stop()
  end)

  it("set the length of a body that they replace", function()
    local gateway = t.gateway({
      upstreams = { app = { body = "something longer" } },
      scripts = [[
        local mg = require("moongate")
        mg.route({ path = "/", to = "${app}" })
        return mg.plugin({
          name = "short",
          response = function(ctx) ctx.response:set_body("abc") end,
        })
      ]],
    }):start()
    local client = gateway:client()
    for _ = 1, 2 do
      local response = client:get("/")
      assert.are.equal("abc", response.body)
      assert.are.equal("3", response:header("content-length"))
    end
    assert.are.equal(1, client.connections)
    gateway:stop()
  end)

  it("cannot answer from a task of their own", function()
    local gateway = t.gateway({
      upstreams = { app = true },
      scripts = [[
        local mg = require("moongate")
        mg.route({ path = "/", to = "${app}" })
        return mg.plugin({ name = "astray", access = function(ctx)
          local one = mg.task.spawn(function() ctx:respond(299, "astray") end)
          local _, err = mg.task.join(one)
          ctx.upstream:set_header("x-error", tostring(err):match("[^\n]*"))
        end })
      ]],
    }):start()
    assert.are.equal(200, gateway:client():get("/").status)
    local err = gateway:upstream("app"):request(1):header("x-error")
    assert.truthy(err:find("hooks of its own request", 1, true))
    gateway:stop()
  end)

  -- What a script does where C calls back, and what its request is answered with.
  for what, case in pairs({
    ["asks over the network"] = { 'mg.http.get("${app}")', 200 },
    answers = { 'ctx:respond(403, "refused")', 403 },
  }) do
    it(("that %s within string.gsub harms that request alone"):format(what), function()
      local gateway = t.gateway({
        upstreams = { app = true },
        scripts = ([[
          local mg = require("moongate")
          mg.route({ path = "/", to = "${app}" })
          return mg.plugin({ name = "astray", access = function(ctx)
            if ctx.request.path ~= "/astray" then return end
            local _, err = pcall(string.gsub, "a", ".", function() %s end)
            mg.task.sleep(0.03)
            ctx.upstream:set_header("x-error", tostring(err))
          end })
        ]]):format(case[1]),
      }):start()
      local response = gateway:client():get("/astray")
      assert.are.equal(case[2], response.status)
      if case[2] == 200 then
        local requests = gateway:upstream("app").requests
        local err = requests[#requests]:header("x-error")
        assert.truthy(err:find("string.gsub", 1, true), err)
      end
      mg.task.sleep(0.05)
      for _ = 1, 3 do
        assert.are.equal(200, gateway:client():get("/").status)
      end
      gateway:stop()
    end)
  end

  for what, call in pairs({
    ["a field that is not valid"] = 'ctx:respond(403, "refused", { ["a b"] = "c" })',
    ["a body that JSON cannot tell"] = "ctx:respond(403, { fn = print })",
    ["a status that is none"] = 'ctx:respond(42, "refused")',
    ["no status, which it ignores"] = 'pcall(ctx.respond, ctx, nil, "refused")',
  }) do
    it("that refuse a request never let it pass, with " .. what, function()
      local gateway = t.gateway({
        upstreams = { app = true },
        scripts = ([[
          local mg = require("moongate")
          mg.route({ path = "/", to = "${app}" })
          return mg.plugin({ name = "guard", access = function(ctx)
            %s
          end })
        ]]):format(call),
      }):start()
      local response = gateway:client():get("/")
      assert.are.equal(500, response.status)
      assert.is_nil(response.body:find("refused", 1, true))
      assert.are.equal(0, #gateway:upstream("app").requests)
      gateway:stop()
    end)
  end

  for call, case in pairs({
    ['ctx.response:set_header("X-A", "b")'] = { "access", "X%-A: there is no response yet; " },
    ['ctx.response:remove_header("X-A")'] = { "access", "X%-A: there is no response yet; " },
    ['ctx.upstream:set_header("X-A", "b")'] = { "response", "X%-A: the request has gone to the " },
    ['ctx.upstream:set_header("X-A", nil)'] = { "access", "X%-A: .* a string and a nil" },
    ['ctx.upstream:set_header({}, "b")'] = { "access", "are texts, not a table and a string" },
    ['ctx.upstream:set_header("X-A", "a\\nb")'] = { "access", 'field "X%-A": .* not valid' },
    ['ctx.response:set_header("Content-Length", "1")'] = { "response", "follows from the body" },
    ['return ctx:respond("403")'] = { "access", "whole number from 200 to 599, not 403" },
    ["return ctx:respond(99)"] = { "access", "whole number from 200 to 599, not 99" },
  }) do
    it("are told what is wrong with " .. call, function()
      local gateway = t.gateway({
        upstreams = { app = true },
        scripts = { ["a.lua"] = ([[
          local mg = require("moongate")
          mg.route({ path = "/", to = "${app}" })
          return mg.plugin({ name = "wrong", %s = function(ctx) %s end })
        ]]):format(case[1], call) },
      }):start()
      gateway:client():get("/")
      local entry = gateway:wait_log("plugin_failed")
      assert.matches(case[2], entry.error)
      assert.matches("a.lua:3$", entry.at)
      gateway:stop()
    end)
  end

  it("are all told of a request's end, also when one that fails closed fails there", function()
    local gateway = t.gateway({
      upstreams = { app = true },
      scripts = {
        ["a.lua"] = [[
          local mg = require("moongate")
          mg.route({ path = "/", to = "${app}" })
          local function log() error("no") end
          return mg.plugin({ name = "a", on_error = "fail_closed", log = log })
        ]],
        ["b.lua"] = [[
          local mg = require("moongate")
          return mg.plugin({ name = "b", log = function() mg.log.info("told") end })
        ]],
      },
    }):start()
    assert.are.equal(200, gateway:client():get("/").status)
    gateway:wait_log("told", 1)
    gateway:stop()
  end)

  it("choose services by name and addresses by address, and nothing else", function()
    local gateway = t.gateway({
      upstreams = { app = true },
      scripts = [[
        local mg = require("moongate")
        mg.route({ path = "/", to = "${app}" })
        return mg.plugin({ name = "chooser", on_error = "fail_closed", access = function(ctx)
          if ctx.request.path == "/service" then ctx.upstream:set_service(nil)
          else ctx.upstream:set_target_address(nil, 80) end
        end })
      ]],
    }):start()
    assert.are.equal(500, gateway:client():get("/service").status)
    assert.are.equal(500, gateway:client():get("/address").status)
    assert.are.equal(2, #gateway:logs("plugin_failed"))
    gateway:stop()
  end)

  it("give a service one Host, however often they add it", function()
    local gateway = t.gateway({
      upstreams = { app = true },
      scripts = [[
        local mg = require("moongate")
        mg.route({ path = "/", to = "${app}" })
        return mg.plugin({ name = "host", access = function(ctx)
          ctx.upstream:add_header("host", "one.test")
          ctx.upstream:add_header("Host", "two.test")
        end })
      ]],
    }):start()
    gateway:client():get("/")
    assert.are.same({ "two.test" }, gateway:upstream("app"):request(1):header_values("host"))
    gateway:stop()
  end)

  it("see the consumer of their own request, and how far that is", function()
    local gateway = t.gateway({
      upstreams = { app = true },
      scripts = [[
        local mg = require("moongate")
        mg.route({ path = "/", to = "${app}" })
        local shop = { id = "shop" } -- as a plugin keeps them
        return mg.plugin({
          name = "keys",
          access = function(ctx)
            assert(ctx.timings.bytes_out == 0)
            ctx:authenticate(shop, ctx.request:header("x-key"))
            mg.task.sleep(tonumber(ctx.request:header("x-wait")))
            ctx:respond(200, ctx.consumer.id .. " " .. ctx.consumer.credential)
          end,
          log = function(ctx) mg.log.info("ended", { bytes = ctx.timings.bytes_out }) end,
        })
      ]],
    }):start()
    local function ask(key, wait)
      return gateway:client():get("/", { ["X-Key"] = key, ["X-Wait"] = wait }).body
    end
    local first = mg.task.spawn(ask, "one", "0.2")
    mg.task.sleep(0.05)
    assert.are.equal("shop two", ask("two", "0"))
    assert.are.equal("shop one", mg.task.join(first))
    gateway:wait_log("ended", 2)
    assert.is_true(tonumber(gateway:logs("ended")[1].bytes) > 0)
    gateway:stop()
  end)
end)
