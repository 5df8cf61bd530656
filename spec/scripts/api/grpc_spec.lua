-- SPDX-License-Identifier: Apache-2.0
local h2_upstream = require("spec.support.h2_upstream")
local mg = require("moongate")
local otlp = require("spec.support.otlp")

describe("mg.grpc", function()
  local server

  before_each(function()
    server = h2_upstream.new()
  end)

  after_each(function()
    server:close()
  end)

  local function call(message, options)
    return mg.grpc.call("grpc://127.0.0.1:" .. server.port, "/a.B/C", message or "hello", options)
  end

  it("sends one message and gives the one of the answer", function()
    server:answer(otlp.success("\1\2"))
    assert.equal("\1\2", call(("x"):rep(70000), { headers = { ["x-key"] = "k" } }))
    local request = server:request(1)
    assert.equal("POST /a.B/C", request.line)
    assert.equal("application/grpc", request:header("content-type"))
    assert.equal("trailers", request:header("te"))
    assert.equal("k", request:header("x-key"))
    assert.equal("\0\0\1\17\112" .. ("x"):rep(70000), request.body)
  end)

  it("keeps its connection", function()
    server:answer(otlp.success())
    for _ = 1, 3 do
      assert.equal("", call())
    end
    assert.equal(1, server.connections)
  end)

  local function behind_message(code)
    local answer = otlp.success()
    answer.trailers = { ["grpc-status"] = code, ["grpc-message"] = "caf%C3%A9 is closed" }
    return answer
  end

  -- An answer, and the code that it gives.
  for what, case in pairs({
    ["a status in its head"] = { otlp.failure(14, "later"), "unavailable", "14: later" },
    ["a status behind a message"] = { behind_message("8"), "resource_exhausted",
      "8: café is closed" },
    ["a status that nobody knows"] = { behind_message("99"), "unknown" },
    ["a status that is no number"] = { behind_message("x"), "unknown" },
    ["no status at all"] = { { body = "\0\0\0\0\0" }, "unknown", "is missing" },
    ["a status of HTTP that means later"] = { { status = 503 }, "unavailable", "status 503" },
    ["a status of HTTP that means never"] = { { status = 404 }, "unimplemented" },
    ["a status of HTTP that means nothing here"] = { { status = 302 }, "unknown" },
    ["a message that is cut"] = { { body = "\0\0\0\0\5abc", trailers = { ["grpc-status"] = "0" } },
      "internal" },
    ["a message that is compressed"] = {
      { body = "\1\0\0\0\1a", trailers = { ["grpc-status"] = "0" } }, "internal" },
    ["two messages"] = {
      { body = ("\0\0\0\0\1a"):rep(2), trailers = { ["grpc-status"] = "0" } }, "internal" },
    ["no message"] = { { trailers = { ["grpc-status"] = "0" } }, "internal" },
    ["a stream that is reset"] = { { reset = "REFUSED_STREAM" }, "upstream_closed" },
  }) do
    it("tells of " .. what, function()
      server:answer(case[1])
      local message, err, code = call()
      assert.is_nil(message)
      assert.equal(case[2], code)
      assert.truthy(err:find(case[3] or "", 1, true), err)
    end)
  end

  it("hands over what the server says in detail", function()
    local details = otlp.retry_info(3)
    server:answer(otlp.failure(14, "later", details))
    assert.equal(details, (select(4, call())))
    server:answer(otlp.failure(14, "later"))
    assert.is_nil((select(4, call())))
  end)

  it("ends when its time is over", function()
    server:answer({ hold = true })
    assert.equal("timeout", select(3, call("x", { timeout = "30ms" })))
  end)
end)
