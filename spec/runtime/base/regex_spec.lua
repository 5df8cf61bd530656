-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
local ffi = require("ffi")

core.cdef({ "base/regex.h", "base/err.h" })
local C = core.C

local CASELESS, ANCHORED = 1, 2
local ERR_LIMIT = tonumber(ffi.C.ERR_LIMIT)
local UNSET = 0xffffffff

describe("regex", function()
  local function compile(pattern, flags)
    local message = ffi.new("char[256]")
    local regex = C.regex_new(pattern, #pattern, flags or 0, message, 256)
    if regex == nil then
      return nil, ffi.string(message)
    end
    return ffi.gc(regex, C.regex_free)
  end

  local function match(pattern, text, flags, pairs_wanted)
    local regex = assert(compile(pattern, flags))
    local captures = ffi.new("uint32_t[64]")
    local found = C.regex_match(regex, text, #text, captures, pairs_wanted or 32)
    local list = {}
    for i = 0, 2 * math.max(found, 0) - 1 do
      list[i + 1] = captures[i]
    end
    return found, list
  end

  local MATCHES = {
    { "a pattern anywhere", "b+", "abbc", 0, { 1, 3 } },
    { "case when it is ignored", "^/foo", "/FOO", CASELESS, { 0, 4 } },
    { "at the start when anchored", "/a|/b", "/b/a", ANCHORED, { 0, 2 } },
    { "an empty text", "^$", "", 0, { 0, 0 } },
    { "bytes that are not UTF-8", "^\\xff.$", "\255\254", 0, { 0, 2 } },
    { "groups", "(a)(b)", "xab", 0, { 1, 3, 1, 2, 2, 3 } },
    { "groups that took no part", "(a)|(b)", "b", 0, { 0, 1, UNSET, UNSET, 0, 1 } },
  }
  for _, case in ipairs(MATCHES) do
    it("matches " .. case[1], function()
      local found, captures = match(case[2], case[3], case[4])
      assert.are.equal(#case[5] / 2, found)
      assert.are.same(case[5], captures)
    end)
  end

  local MISSES = {
    { "case as it is", "^/foo", "/FOO", 0 },
    { "an anchored pattern later on", "/a", "x/a", ANCHORED },
  }
  for _, case in ipairs(MISSES) do
    it("does not match " .. case[1], function()
      assert.are.equal(0, (match(case[2], case[3], case[4])))
    end)
  end

  it("says that it matched when no captures are wanted", function()
    local regex = assert(compile("(a)(b)"))
    assert.are.equal(1, C.regex_match(regex, "ab", 2, nil, 0))
  end)

  it("gives as many pairs as there is room for", function()
    local found, captures = match("(a)(b)", "ab", 0, 2)
    assert.are.equal(2, found)
    assert.are.same({ 0, 2, 0, 1 }, captures)
  end)

  local LIMITS = {
    { "a nested repeat that backtracks without end", "(a+)+$", ("a"):rep(40) .. "!" },
    { "a text beyond 32 KiB", "^a", ("a"):rep(32769) },
  }
  for _, case in ipairs(LIMITS) do
    it("stops at its limit for " .. case[1], function()
      assert.are.equal(ERR_LIMIT, (match(case[2], case[3])))
    end)
  end

  it("matches what the JIT's stack has no room for", function()
    local found = match("^(?:a|b)*+c$", ("ab"):rep(10000) .. "c")
    assert.are.equal(1, found)
  end)

  local FAULTS = {
    { "an open group", "/(a", "missing closing parenthesis" },
    { "UTF by the back door", "(*UTF)a", "UTF" },
    { "a pattern beyond 8 KiB", ("a"):rep(8193), "longer than the limit" },
  }
  for _, case in ipairs(FAULTS) do
    it("refuses " .. case[1], function()
      local regex, message = compile(case[2])
      assert.is_nil(regex)
      assert.matches(case[3], message, 1, true)
    end)
  end

  it("says where a pattern is wrong", function()
    local _, message = compile("ab[")
    assert.matches("at offset 3", message, 1, true)
  end)

  it("cuts its message to the room there is", function()
    local message = ffi.new("char[8]")
    ffi.fill(message, 8, 120)
    assert.is_true(C.regex_new("(", 1, 0, message, 8) == nil)
    assert.are.equal(7, #ffi.string(message))
  end)
end)
