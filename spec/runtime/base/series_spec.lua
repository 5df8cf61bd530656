-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "base/buf.h", "base/err.h", "base/series.h" })
local C = core.C

local NOTHING = 0xffffffffffffffffULL
local SECOND = 1000000000ULL

local function text(into, value)
  into.data, into.len = value, #value
end

describe("series", function()
  local config, tables

  local function new(limit)
    local out = ffi.new("struct series *[1]")
    assert.equal(0, C.series_new(out, config, limit or 100))
    tables[#tables + 1] = out[0]
    return out[0]
  end

  before_each(function()
    tables = {}
    config = ffi.new("struct mg_series_config")
    for kind, bounds in ipairs({ { 0.1, 1 }, { 10, 1000000 }, { 10 } }) do
      config.bound_counts[kind - 1] = #bounds
      for i, bound in ipairs(bounds) do
        config.bounds[kind - 1][i - 1] = bound
      end
    end
  end)

  after_each(function()
    for _, one in ipairs(tables) do
      C.series_free(one)
    end
  end)

  -- Counts a request; `more` has what of it is not the usual.
  local function add(table, more)
    more = more or {}
    local key = ffi.new("struct series_key")
    key.route, key.status = more.route or 1, more.status or 200
    key.method = C.series_method(more.method or "GET", #(more.method or "GET"))
    text(key.host, more.host or "a.test")
    text(key.alternative, more.alternative or "")
    local values = ffi.new("uint64_t[7]", NOTHING)
    for i = 0, 6 do
      values[i] = more[i] or NOTHING
    end
    return C.series_add(table, key, values)
  end

  -- position -> key, of what is there.
  local function keys(table)
    local list = {}
    for position = 0, C.series_positions(table) - 1 do
      local key = ffi.new("struct series_key")
      if C.series_at(table, position, key) == 1 then
        list[#list + 1] = { position = position, key = key }
      end
    end
    return list
  end

  local function lines(table, position, metric)
    local out = ffi.new("struct buf")
    assert.equal(0, C.series_print(table, position, metric, 'a="b"', out))
    local printed = ffi.string(out.data, out.len):gsub("nginx_ingress_controller_", "")
    C.buf_fini(out)
    return printed
  end

  -- The sum of all tables, as a page has it.
  local function merged(...)
    local sum = new(1000000)
    for _, one in ipairs({ ... }) do
      assert.equal(0, C.series_merge(sum, one))
    end
    return sum
  end

  it("has one cell for each route, host, method, status and alternative", function()
    local one = new()
    for _, more in ipairs({ {}, { route = 2 }, { host = "b.test" }, { method = "PUT" },
      { status = 404 }, { alternative = "default-b-80" } }) do
      assert.equal(0, add(one, more))
      assert.equal(0, add(one, more))
    end
    local list = keys(one)
    assert.equal(6, #list)
    for _, entry in ipairs(list) do
      assert.equal('requests{a="b"} 2\n', lines(one, entry.position, 0))
    end
  end)

  it("adds up tables of several threads", function()
    local one, two = new(), new()
    add(one, { [2] = SECOND / 2 })
    add(two, { [2] = 3 * SECOND })
    add(two, { [2] = SECOND / 10, method = "POST" })
    local sum = merged(one, two)
    local list = keys(sum)
    assert.equal(2, #list)
    local get = list[1].key.method == 0 and list[1] or list[2]
    assert.equal([[
request_duration_seconds_bucket{a="b",le="0.1"} 0
request_duration_seconds_bucket{a="b",le="1"} 1
request_duration_seconds_bucket{a="b",le="+Inf"} 2
request_duration_seconds_sum{a="b"} 3.5
request_duration_seconds_count{a="b"} 2
]], lines(sum, get.position, 3))
    assert.equal("", lines(sum, get.position, 1), "what was not measured has no lines")
  end)

  it("counts what is equal to a bound below it, and writes bounds as Go does", function()
    local one = new()
    add(one, { [4] = 10ULL })
    add(one, { [4] = 1000001ULL })
    assert.equal([[
request_size_bucket{a="b",le="10"} 1
request_size_bucket{a="b",le="1e+06"} 1
request_size_bucket{a="b",le="+Inf"} 2
request_size_sum{a="b"} 1000011
request_size_count{a="b"} 2
]], lines(one, keys(one)[1].position, 5))
  end)

  it("leaves out what it is told to", function()
    config.left_out = 2 ^ 5 + 1
    local one = new()
    add(one, { [4] = 10ULL, [5] = 10ULL })
    local position = keys(one)[1].position
    assert.equal("", lines(one, position, 0))
    assert.equal("", lines(one, position, 5))
    assert.not_equal("", lines(one, position, 6))
  end)

  it("folds methods that it does not know", function()
    local one = new()
    add(one, { method = "BREW" })
    add(one, { method = "" })
    add(one, { method = "GETS" })
    local list = keys(one)
    assert.equal(1, #list)
    assert.equal("OTHER", ffi.string(C.series_method_name(list[1].key.method)))
  end)

  it("keeps to its limit, and what is beyond counts by its class of status", function()
    local one = new(50)
    local folded = 0
    for i = 1, 500 do
      folded = folded + (add(one, { host = i .. ".test", status = 200 + i % 300 }) < 0 and 1 or 0)
    end
    assert.equal(450, folded)
    local classes, total = {}, 0
    for _, entry in ipairs(keys(one)) do
      total = total + tonumber(lines(one, entry.position, 0):match("} (%d+)\n"))
      if entry.key.route == 0 then
        classes[#classes + 1] = entry.key.status
        assert.equal("OTHER", ffi.string(C.series_method_name(entry.key.method)))
        assert.equal(0, entry.key.host.len)
      end
    end
    table.sort(classes)
    assert.same({ 2, 3, 4 }, classes)
    assert.equal(500, total, "no request is lost")
  end)

  it("forgets what a page dropped, and has room again", function()
    local one = new(50)
    for i = 1, 50 do
      add(one, { route = i })
    end
    local sum = merged(one)
    for _, entry in ipairs(keys(sum)) do
      if entry.key.route > 10 then
        C.series_drop(sum, entry.position)
      end
    end
    C.series_retire(sum, one)
    assert.equal(10, #keys(one))
    assert.equal(10, #keys(merged(one)))
    for i = 101, 140 do
      assert.equal(0, add(one, { route = i }), i)
    end
    assert.equal(C.ERR_LIMIT, add(one, { route = 141 }))
  end)

  it("counts on in a cell that is retired while a late request holds its route", function()
    local one = new()
    add(one)
    local sum = merged(one)
    C.series_drop(sum, keys(sum)[1].position)
    C.series_retire(sum, one)
    assert.equal(0, add(one))
    assert.equal(0, #keys(one))
  end)
end)
