-- SPDX-License-Identifier: Apache-2.0
--
-- The two ends of HTTP/2 that other specs use, against each other.
local h2 = require("spec.support.h2")
local h2_upstream = require("spec.support.h2_upstream")

describe("HTTP/2 of the specs", function()
  local server, client

  setup(function()
    server = h2_upstream.new(nil, { settings = { { h2.INITIAL_WINDOW_SIZE, 100 } } })
  end)

  before_each(function()
    server:answer(nil)
    client = h2.connect(server)
  end)

  after_each(function()
    client:close()
    assert.is_nil(server.failure)
  end)

  teardown(function()
    server:close()
  end)

  it("carries bodies that are larger than their windows, both ways", function()
    local body = ("0123456789"):rep(20000)
    local response = client:exchange({ body = body, headers = { ["X-A"] = "b" } })
    assert.equal(200, response.status)
    assert.equal("text/plain", response:header("Content-Type"))
    assert.is_true(response.body == body)
    assert.equal("b", server:request(1):header("x-a"))
    assert.equal("POST", server:request(1).method)
  end)

  it("carries fields that are larger than a frame, trailers and interim responses", function()
    local long = ("x"):rep(40000)
    server:answer(function(request)
      return { interim = { 103 }, chunks = { "a", "b" },
        trailers = { sum = request.trailers.sum, length = #request:header("long") } }
    end)
    local response = client:exchange({ body = "x", headers = { long = long },
      trailers = { sum = "1" } })
    assert.equal("ab", response.body)
    assert.same({ sum = "1", length = "40000" }, response.trailers)
    assert.equal(103, response.interim[1].status)
  end)

  it("tells streams that are reset from connections that end", function()
    server:answer({ status = 200, body = "half", reset = "INTERNAL_ERROR" })
    local response = client:exchange({})
    assert.equal("INTERNAL_ERROR", response.error)
    assert.equal("half", response.body)
    server:answer({ reset = "REFUSED_STREAM" })
    local _, err = client:exchange({})
    assert.equal("REFUSED_STREAM", err)
    server:answer({ raw = function(conn)
      conn:go_away(5, "ENHANCE_YOUR_CALM")
      conn:close()
    end })
    _, err = client:exchange({})
    assert.equal("ENHANCE_YOUR_CALM", err)
    assert.equal(5, client.goaway.last)
  end)
end)
