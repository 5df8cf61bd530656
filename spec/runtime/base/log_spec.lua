-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "base/log.h" })
local C = core.C

local function admitted(level, event, times)
  local count = 0
  for _ = 1, times do
    count = count + C.log_admit(level, event, #event)
  end
  return count
end

describe("log", function()
  setup(function()
    C.log_setup(C.LOG_OFF, 0)
  end)

  it("writes to a file, to another one, and not below its level", function()
    local paths = { os.tmpname(), os.tmpname() }
    local function texts()
      local list = {}
      for i, path in ipairs(paths) do
        local file = assert(io.open(path, "rb"))
        list[i] = file:read("*a"):gsub("%S+Z ", "")
        file:close()
      end
      return list
    end
    C.log_set_least(C.LOG_INFO)
    for i, path in ipairs(paths) do
      assert.equal(0, C.log_open(path))
      C.log_write(C.LOG_INFO, "spec_" .. i, ffi.cast("char *", nil))
    end
    C.log_set_least(C.LOG_WARN)
    C.log_write(C.LOG_INFO, "spec_info", ffi.cast("char *", nil))
    assert.is_true(C.log_open("/") < 0)
    C.log_write(C.LOG_WARN, "spec_still", ffi.cast("char *", nil))
    assert.equal(0, C.log_open(nil))
    C.log_set_least(C.LOG_OFF)
    assert.same({ "info spec_1\n", "info spec_2\nwarn spec_still\n" }, texts())
    os.remove(paths[1])
    os.remove(paths[2])
  end)

  it("admits ten warnings of an event in a window", function()
    assert.are.equal(10, admitted(C.LOG_WARN, "spec_warning", 25))
  end)

  it("counts each event by itself", function()
    admitted(C.LOG_ERROR, "spec_one", 25)
    assert.are.equal(10, admitted(C.LOG_ERROR, "spec_two", 25))
  end)

  it("admits all lines of the life cycle", function()
    assert.are.equal(25, admitted(C.LOG_INFO, "spec_info", 25))
  end)

  it("admits an event again after it was forgotten for others", function()
    admitted(C.LOG_WARN, "spec_first", 10)
    for i = 1, 64 do
      admitted(C.LOG_WARN, "spec_other_" .. i, 1)
    end
    assert.are.equal(10, admitted(C.LOG_WARN, "spec_first", 25))
  end)
end)
