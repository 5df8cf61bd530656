-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "http/websocket.h" })
local C = core.C

local function accept(key)
  local out = ffi.new("char[?]", C.WEBSOCKET_ACCEPT_BYTES + 1)
  assert.equal(0, C.websocket_accept(key, #key, out))
  return ffi.string(out)
end

describe("the handshake of WebSocket", function()
  it("answers a key as RFC 6455 1.3 does", function()
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", accept("dGhlIHNhbXBsZSBub25jZQ=="))
  end)

  it("answers whatever stands for a key", function()
    assert.equal("Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=", accept(""))
    assert.equal(28, #accept(("x"):rep(10000)))
  end)

  it("makes keys of sixteen bytes in base64, none twice", function()
    local seen, key = {}, ffi.new("char[?]", C.WEBSOCKET_KEY_BYTES + 1)
    for _ = 1, 100 do
      assert.equal(0, C.websocket_key(key))
      local text = ffi.string(key)
      assert.matches("^[%w+/]+==$", text)
      assert.equal(24, #text)
      assert.is_nil(seen[text])
      seen[text] = true
    end
  end)
end)
