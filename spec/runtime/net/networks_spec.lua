-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")
core.cdef({ "net/networks.h" })
local C = core.C

local function set_of(list)
  local set = ffi.gc(C.networks_new(), C.networks_free)
  for _, text in ipairs(list) do
    assert.equal(0, C.networks_add(set, text, #text), text)
  end
  C.networks_seal(set)
  return set
end

local function contains(set, address)
  return C.networks_contain(set, address, #address) == 1
end

describe("a set of networks", function()
  local cases = {
    { { "10.0.0.0/8" }, { "10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3" },
      { "9.255.255.255", "11.0.0.0", "::10.0.0.1" } },
    { { "10.0.0.77/8" }, { "10.0.0.0", "10.9.9.9" }, { "11.0.0.0" } },
    { { "192.0.2.1" }, { "192.0.2.1" }, { "192.0.2.0", "192.0.2.2" } },
    { { "0.0.0.0/0" }, { "0.0.0.0", "255.255.255.255" }, { "::1" } },
    { { "::/0" }, { "::", "ffff::", "10.0.0.1" }, {} },
    { { "2001:db8::/33" }, { "2001:db8::", "2001:db8:7fff:ffff::" }, { "2001:db8:8000::" } },
    { { "10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/30", "9.0.0.0/8", "12.0.0.0/31" },
      { "9.0.0.0", "10.255.0.0", "12.0.0.1" }, { "11.0.0.0", "12.0.0.2", "8.255.255.255" } },
    { {}, {}, { "10.0.0.1", "::" } },
  }
  for i, case in ipairs(cases) do
    it(("number %d holds what it should and nothing else"):format(i), function()
      local set = set_of(case[1])
      for _, address in ipairs(case[2]) do
        assert.is_true(contains(set, address), address)
      end
      for _, address in ipairs(case[3]) do
        assert.is_false(contains(set, address), address)
      end
    end)
  end

  it("finds each of many, and none between them", function()
    local list = {}
    for i = 0, 999 do
      list[i + 1] = ("10.%d.%d.0/25"):format(math.floor(i * 7 % 1000 / 256), i * 7 % 1000 % 256)
    end
    local set = set_of(list)
    for i = 0, 999 do
      local from = ("10.%d.%d."):format(math.floor(i / 256), i % 256)
      assert.is_true(contains(set, from .. "127"))
      assert.is_false(contains(set, from .. "128"))
    end
  end)

  it("refuses what is no network and holds no text that is no address", function()
    local set = ffi.gc(C.networks_new(), C.networks_free)
    for _, text in ipairs({ "", "a", "10.0.0.0/33", "::/129", "10.0.0.0/", "/8", "10.0.0" }) do
      assert.is_true(C.networks_add(set, text, #text) < 0, text)
    end
    C.networks_seal(set)
    set = set_of({ "0.0.0.0/0", "::/0" })
    for _, text in ipairs({ "", "a", "10.0.0.0/8", "10.0.0.256" }) do
      assert.is_false(contains(set, text), text)
    end
  end)
end)
