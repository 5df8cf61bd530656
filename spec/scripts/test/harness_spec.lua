-- SPDX-License-Identifier: Apache-2.0
--
-- What `require "moongate.test"` promises to specs of plugins.
local mg = require("moongate")
local t = require("moongate.test")

describe("a harness", function()
  local function gate(ctx)
    if not ctx.request:header("x-key") then
      ctx:respond(401, { error = "no key" })
    end
    ctx.upstream:set_header("x-client", ctx.client.ip)
  end

  it("runs a plugin between a request and an upstream", function()
    local h = t.plugin({ stage = "authorize", access = gate })
    assert.response(h:request({ path = "/x" })).has.status(401).json({ error = "no key" })
    assert.upstream(h).was_not.called()
    local response = h:request({ headers = { ["x-key"] = "k" }, client_ip = "192.0.2.7" })
    assert.response(response).has.status(200).body("ok")
    assert.response(response).has_no.header("x-other")
    assert.upstream(h).was.called(1)
    assert.upstream(h).received.header("x-client", "192.0.2.7")
  end)

  it("says what was expected, and what there is", function()
    local h = t.plugin({ access = gate, stage = "authorize" })
    local response = h:request()
    local ok, failure = pcall(function()
      assert.response(response).has.status(200)
    end)
    assert.is_false(ok)
    assert.truthy(tostring(failure):find("Expected status 200", 1, true))
    assert.truthy(tostring(failure):find("HTTP/1.1 401", 1, true))
    assert.truthy(tostring(failure):find("harness_spec.lua:", 1, true))
  end)

  it("waits in hooks, by the clock of the test", function()
    t.clock.freeze()
    local h = t.plugin({
      access = function(ctx)
        mg.task.sleep("2s")
        ctx:respond(200, "awake")
      end,
    })
    local asked = mg.task.spawn(function()
      return h:request()
    end)
    t.wait_until(function()
      t.clock.advance("100ms")
      return asked.done
    end, "the hook to have slept")
    assert.response(mg.task.join(asked)).has.body("awake")
  end)

  it("reads a plugin from its file and checks its configuration", function()
    local folder = t.folder({
      ["greet.lua"] = [[
        local mg = require("moongate")
        return mg.plugin({
          config = mg.schema.record({ word = mg.schema.string():default("hello") }),
          response = function(ctx, conf) ctx.response:set_header("X-Word", conf.word) end,
        })
      ]],
    })
    local path = folder.path .. "/greet.lua"
    assert.response(t.plugin(path):request()).has.header("X-Word", "hello")
    assert.response(t.plugin(path, { word = "hi" }):request()).has.header("X-Word", "hi")
    assert.has_error(function()
      t.plugin(path, { wrod = "hi" })
    end)
    folder:close()
  end)

  it("orders several plugins by their stages", function()
    local order = {}
    local function plugin(name, stage)
      return {
        {
          name = name,
          stage = stage,
          access = function()
            table.insert(order, name)
          end,
        },
      }
    end
    local h = t.plugins({ plugin("last", "observe"), plugin("first", "edge") })
    h:request()
    assert.are.same({ "first", "last" }, order)
  end)

  it("scripts the upstream: answers in turn, what fails", function()
    local h = t.plugin({ access = gate, stage = "authorize" }, nil, { settings = { tries = 1 } })
    h:upstream({ { status = 201 }, { reset = true }, { chunks = { "a", "b" } } })
    local headers = { ["x-key"] = "k" }
    assert.response(h:request({ headers = headers })).has.status(201)
    assert.response(h:request({ headers = headers, method = "POST", body = "x" })).has.status(502)
    assert.response(h:request({ headers = headers })).has.body("ab")
    assert.are.equal(3, #h.requests)
  end)

  it("keeps what two harnesses do apart", function()
    local function saying(word)
      return t.plugin({
        name = "say",
        access = function(ctx)
          ctx:respond(200, word)
        end,
      })
    end
    local one, two = saying("one"), saying("two")
    for _ = 1, 3 do
      assert.response(one:request()).has.body("one")
      assert.response(two:request()).has.body("two")
    end
  end)
end)
