-- SPDX-License-Identifier: Apache-2.0
--
-- Compressed answers as a client that is not ours reads them.
local program = require("spec.support.program")
local t = require("moongate.test")

describe("with use-gzip and enable-brotli, the gateway", function()
  local gateway
  local TEXT = ("moon and gate, "):rep(40000)

  setup(function()
    gateway = t.gateway({
      proxy = "${app}",
      upstreams = { app = true },
      settings = { ["use-gzip"] = true, ["enable-brotli"] = true, ["brotli-types"] = "text/css" },
    }):start()
  end)

  teardown(function()
    gateway:stop()
  end)

  local function curl(path, ...)
    local words = { "curl", "-sS", "-D", "-", "-m", "20", ... }
    words[#words + 1] = ("http://127.0.0.1:%d%s"):format(gateway.port, path)
    local ran = program.run(words)
    assert.equal(0, ran.code, ran.errors)
    return ran.output:match("^(.-)\r\n\r\n(.*)$")
  end

  for path, case in pairs({
    ["/gzip"] = { kind = "application/json", coding = "gzip" },
    ["/br"] = { kind = "text/css", coding = "br" },
  }) do
    for what, answer in pairs({ ["with a length"] = { body = TEXT },
      ["in chunks"] = { chunks = { TEXT:sub(1, 100), TEXT:sub(101, 70000), TEXT:sub(70001) } } }) do
      it(("sends %s, %s"):format(case.coding, what), function()
        answer.headers = { ["Content-Type"] = case.kind }
        gateway:upstream("app"):answer(answer)
        local head, body = curl(path, "--compressed")
        assert.truthy(head:lower():find("content-encoding: " .. case.coding, 1, true), head)
        assert.is_true(body == TEXT)
        head, body = curl(path, "--compressed", "--http2-prior-knowledge")
        assert.truthy(head:lower():find("content-encoding: " .. case.coding, 1, true), head)
        assert.is_true(body == TEXT)
      end)
    end
  end

  it("lets a client have each piece of a stream at once", function()
    local has_read, is_over
    gateway:upstream("app"):answer(function(_, conn)
      conn:write("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
      conn:write(t.http1.chunk("first"))
      pcall(t.wait_until, function()
        return has_read
      end, "the client to read")
      is_over = true
      return { raw = t.http1.last_chunk() }
    end)
    local conn = gateway:client():raw()
    conn:write("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
    t.http1.read_head(conn)
    assert.is_true(#conn:read() > 10)
    assert.is_nil(is_over)
    has_read = true
  end)
end)
