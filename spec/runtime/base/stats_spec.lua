-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "base/stats.h" })
local C = core.C

local SECOND = 1000000000ULL

describe("stats", function()
  local stats, info

  before_each(function()
    stats, info = ffi.new("struct stats"), ffi.new("struct stat_info")
  end)

  -- Values by name and labels, as the page has them.
  local function page()
    local values, position = {}, 0
    while C.stat_describe(position, info) == 1 do
      local label = ffi.string(info.label)
      if info.label_value ~= nil then
        label = ('%s="%s"'):format(label, ffi.string(info.label_value))
      end
      local key = ffi.string(info.name) .. "{" .. label .. "}" .. tonumber(info.kind)
      assert.is_nil(values[key], key)
      values[key] = C.stat_read(stats, position)
      position = position + 1
    end
    return values
  end

  it("tells each value under its own name", function()
    C.stats_limit(stats, C.LIMIT_BODY)
    stats.values[C.STAT_ACCEPTED] = 3
    local values = page()
    assert.are.equal(1, values['limit_exceeded_total{limit="proxy-body-size"}0'])
    assert.are.equal(0, values['limit_exceeded_total{limit="max-header-size"}0'])
    assert.are.equal(3, values["connections_accepted_total{}0"])
  end)

  it("has no line for the limit that is none", function()
    assert.is_nil(page()['limit_exceeded_total{limit="none"}0'])
  end)

  local BUCKETS = {
    { 0ULL, "0.001" },
    { 1000000ULL, "0.001" },
    { 1000001ULL, "0.0025" },
    { SECOND, "1" },
    { 3600 * SECOND, "+Inf" },
  }
  for _, case in ipairs(BUCKETS) do
    it(("counts %s ns up to %s s"):format(tostring(case[1]), case[2]), function()
      C.stats_observe(stats, C.HISTOGRAM_REQUEST, case[1])
      local values = page()
      assert.are.equal(1, values[('request_duration_seconds{le="%s"}2'):format(case[2])])
      assert.are.equal(tonumber(case[1]) / 1e9, values["request_duration_seconds{le}3"])
    end)
  end

  it("keeps histograms apart", function()
    C.stats_observe(stats, C.HISTOGRAM_UPSTREAM, SECOND)
    local values = page()
    assert.are.equal(0, values['request_duration_seconds{le="1"}2'])
    assert.are.equal(1, values['upstream_response_seconds{le="1"}2'])
  end)
end)
