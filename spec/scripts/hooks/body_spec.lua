-- SPDX-License-Identifier: Apache-2.0
--
-- What plugins say of their hooks beforehand, and what follows for bodies.
local t = require("moongate.test")

local schema = require("moongate.api.schema")

local BODY = ("abcdefghij"):rep(100)

describe("the JSON of a response", function()
  it("is not read from bytes that are compressed, and that is told", function()
    local seen
    local h = t.plugin({ name = "reader", response = function(ctx)
      seen = { ctx.response:body_json() }
    end })
    local CODINGS = { gzip = "coded as gzip; remove Accept%-Encoding", identity = false }
    for coding, says in pairs(CODINGS) do
      h:upstream({ body = '{"a":1}', headers = { ["Content-Encoding"] = coding } })
      assert.equal(200, h:request().status)
      if says then
        assert.matches(says, seen[2])
        assert.equal("coded", seen[3])
      else
        assert.same({ a = 1 }, seen[1])
      end
    end
  end)
end)

describe("a plugin's response_body", function()
  local pieces

  local function recorder(change)
    return {
      name = "recorder",
      keeps_length = true,
      response = function(ctx)
        ctx.response:set_piece_size(300)
      end,
      response_body = function(_, _, chunk, last)
        pieces[#pieces + 1] = { #chunk, last }
        return change and change(chunk) or nil
      end,
    }
  end

  before_each(function()
    pieces = {}
  end)

  it("sees no more at once than it wants to", function()
    local h = t.plugin(recorder()):upstream({ body = BODY })
    assert.equal(BODY, h:request().body)
    local total, last = 0, nil
    for _, piece in ipairs(pieces) do
      assert.is_true(piece[1] <= 300)
      assert.is_not_true(last)
      total, last = total + piece[1], piece[2]
    end
    assert.equal(#BODY, total)
    assert.is_true(last)
  end)

  it("leaves Content-Length where it keeps the length", function()
    local h = t.plugin(recorder(string.upper)):upstream({ body = BODY })
    local response = h:request()
    assert.equal(BODY:upper(), response.body)
    assert.equal("1000", response.headers["content-length"])
  end)

  it("takes Content-Length away as soon as one plugin does not say so", function()
    local other = { name = "other", response_body = function(_, _, chunk) return chunk .. "!" end }
    local h = t.plugins({ { recorder() }, { other } }):upstream({ body = BODY })
    local response = h:request()
    assert.is_nil(response.headers["content-length"])
    assert.is_true(#response.body > #BODY)
  end)

  it("cuts the connection where it said so and does not", function()
    local h = t.plugin(recorder(function(chunk)
      return chunk .. "!"
    end)):upstream({ body = BODY })
    local response, err = h:request()
    assert.is_true(response == nil or #response.body < #BODY, err)
  end)

  it("is not run where its configuration needs it not", function()
    local plugin = recorder(string.upper)
    plugin.config = schema.record({ on = schema.boolean():default(false) })
    plugin.needs = function(hook, conf)
      return hook ~= "response_body" or conf.on
    end
    for on, wanted in pairs({ [true] = BODY:upper(), [false] = BODY }) do
      pieces = {}
      local h = t.plugin(plugin, { on = on }):upstream({ body = BODY })
      assert.equal(wanted, h:request().body)
      assert.equal(on, #pieces > 0)
    end
  end)
end)
