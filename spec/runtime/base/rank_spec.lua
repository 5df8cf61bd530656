-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
local ffi = require("ffi")

core.cdef({ "base/rank.h" })
local C = core.C

describe("rank", function()
  local function rank(key, weights, most)
    local count = #weights
    local seeds = ffi.new("uint32_t[?]", math.max(count, 1))
    for i = 1, count do
      seeds[i - 1] = i
    end
    local order = ffi.new("uint32_t[?]", 64)
    local shares = ffi.new("double[?]", count, weights)
    local found = C.rank_nodes(key, #key, seeds, shares, count, order, most)
    local list = {}
    for i = 1, found do
      list[i] = order[i - 1] + 1
    end
    return list
  end

  local function ones(count)
    local list = {}
    for i = 1, count do
      list[i] = 1
    end
    return list
  end

  it("ranks each node once", function()
    local seen = {}
    for _, node in ipairs(rank("key", ones(10), 32)) do
      assert.is_nil(seen[node])
      seen[node] = true
    end
    assert.are.equal(10, #rank("key", ones(10), 32))
  end)

  it("gives the same first ones for any number that is asked for", function()
    local all = rank("key", ones(20), 20)
    for most = 1, 20 do
      local some = rank("key", ones(20), most)
      assert.are.equal(most, #some)
      for i, node in ipairs(some) do
        assert.are.equal(all[i], node)
      end
    end
  end)

  it("gives no more than there is room for", function()
    assert.are.equal(32, #rank("key", ones(40), 64))
    assert.are.equal(0, #rank("key", ones(3), 0))
    assert.are.equal(0, #rank("key", {}, 3))
  end)

  it("gives first places in proportion to the weights", function()
    local keys, first = 4000, { 0, 0, 0 }
    for i = 1, keys do
      local node = rank("key" .. i, { 1, 2, 5 }, 1)[1]
      first[node] = first[node] + 1
    end
    for node, share in ipairs({ 1 / 8, 2 / 8, 5 / 8 }) do
      -- Five standard deviations of a binomial distribution.
      assert.are.near(keys * share, first[node], 5 * math.sqrt(keys * share * (1 - share)))
    end
  end)
end)
