-- SPDX-License-Identifier: Apache-2.0
local mg = require("moongate")
local t = require("moongate.test")

describe("the plugin throttle", function()
  local BODY = ("0123456789abcdef"):rep(512) -- 8 KiB

  -- A response, and how long it took.
  local function ask(conf, answer, others)
    local h = t.plugin("throttle", conf, { others = others })
    h:upstream(answer or { body = BODY })
    local began = mg.time.monotonic()
    local response = assert(h:request())
    return response, mg.time.monotonic() - began
  end

  it("sends no faster than it may, and the very same bytes", function()
    local response, seconds = ask({ rate = "16k" })
    assert.equal(BODY, response.body)
    -- Half a second for 8 KiB, less the first piece.
    assert.is_true(seconds >= 0.24 and seconds < 0.49, tostring(seconds))
  end)

  it("leaves Content-Length as it is", function()
    local response = ask({ rate = "1m" })
    assert.equal(tostring(#BODY), response.headers["content-length"])
    assert.is_nil(response.headers["transfer-encoding"])
  end)

  it("lets the first bytes go as fast as they can", function()
    local _, seconds = ask({ rate = "1k", after = #BODY })
    assert.is_true(seconds < 0.5, tostring(seconds))
    _, seconds = ask({ rate = "16k", after = "4k" })
    assert.is_true(seconds < 0.3, tostring(seconds))
  end)

  it("takes what comes in small pieces together", function()
    local chunks = {}
    for i = 1, 64 do
      chunks[i] = BODY:sub(1, 128)
    end
    local response, seconds = ask({ rate = "16k" }, { chunks = chunks })
    assert.equal(8192, #response.body)
    assert.is_true(seconds >= 0.24 and seconds < 0.7, tostring(seconds))
  end)

  it("bounds what other plugins make of a body", function()
    local doubled = {
      { { name = "twice", response_body = function(_, _, chunk) return chunk .. chunk end } },
    }
    local response, seconds = ask({ rate = "16k" }, nil, doubled)
    assert.equal(16384, #response.body)
    assert.is_nil(response.headers["content-length"])
    -- Two pieces of 4 KiB became 8: the second goes when the first is paid for.
    assert.is_true(seconds >= 0.49, tostring(seconds))
  end)

  it("passes heads, and answers without a body", function()
    assert.equal(204, ask({ rate = 1 }, { status = 204 }).status)
    local h = t.plugin("throttle", { rate = 1 }):upstream({ body = BODY })
    assert.equal(200, h:request({ method = "HEAD" }).status)
  end)

  it("is no obstacle to the answer to a plugin that fails", function()
    local broken = { { name = "broken", on_error = "fail_closed", response = error } }
    assert.equal(502, ask({ rate = "1k" }, nil, { broken }).status)
  end)

  it("does not read the service meanwhile, and waits for nobody that has left", function()
    local gateway = t.gateway({
      scripts = { ["a.lua"] = [[
local mg = require("moongate")
mg.route({ host = "*", to = "${app}", plugins = {
  { name = "throttle", config = { rate = "32k" } },
} })]] },
      upstreams = { app = { body = ("x"):rep(64 * 1024 * 1024) } },
    }):start()
    local connection = gateway:connect()
    connection:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert(connection:read_until("\r\n\r\n"))
    t.wait_until(function()
      return gateway:metrics("moongate_sent_bytes_total") == 0
        and gateway:metrics("moongate_requests_in_flight") == 1
    end, "the request under way")
    local resident = gateway:metrics("process_resident_memory_bytes")
    assert.is_true(resident < 64 * 1024 * 1024, "the whole body is held: " .. resident)
    connection:close()
    t.wait_until(function()
      return gateway:metrics("moongate_requests_in_flight") == 0
    end, "its end")
    gateway:stop()
  end)
end)
