-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "base/err.h" })
local C = core.C

local UV_ECONNREFUSED = -111

-- Name and code of each line of ERR_LIST.
local function listed()
  local file = assert(io.open("runtime/base/err.h"))
  local text = file:read("*a")
  file:close()
  local list = {}
  for name, code, status in text:gmatch("X%((ERR_[A-Z_0-9]+), (%-%d+), (%d+),") do
    list[#list + 1] = { name = name, code = tonumber(code), status = tonumber(status) }
  end
  assert(#list > 20, "ERR_LIST was not found")
  return list
end

describe("err", function()
  it("knows each code of ours by its name, status and text", function()
    for _, err in ipairs(listed()) do
      assert.equal(err.name, ffi.string(C.err_name(err.code)))
      assert.equal(err.status, C.err_status(err.code))
      assert.is_true(#ffi.string(C.err_text(err.code)) > 0)
    end
  end)

  it("gives each code once", function()
    local seen = {}
    for _, err in ipairs(listed()) do
      assert.is_nil(seen[err.code])
      seen[err.code] = err.name
    end
  end)

  it("names libuv's codes as libuv does", function()
    assert.equal("ECONNREFUSED", ffi.string(C.err_name(UV_ECONNREFUSED)))
    assert.equal("connection refused", ffi.string(C.err_text(UV_ECONNREFUSED)))
    assert.equal(500, C.err_status(UV_ECONNREFUSED))
  end)

  it("names success", function()
    assert.equal("OK", ffi.string(C.err_name(0)))
  end)
end)
