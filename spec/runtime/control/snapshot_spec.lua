-- SPDX-License-Identifier: Apache-2.0
local core = require("spec.support.core")
local ffi = require("ffi")

local C = core.api()

describe("snapshot", function()
  local function part(text)
    return ffi.gc(C.mg_part_new(text, #text), C.mg_part_unref)
  end

  local function text(bytes, length)
    return bytes ~= nil and ffi.string(bytes, length) or nil
  end

  local function snapshot(fill)
    local draft = C.mg_draft_new(7)
    fill(draft)
    return ffi.gc(C.mg_draft_finish(draft), C.mg_snapshot_unref)
  end

  it("gives back what a part was made of", function()
    local made = part("a\0b")
    assert.are.equal("a\0b", text(C.mg_part_bytes(made), C.mg_part_length(made)))
  end)

  it("keeps its number", function()
    assert.are.equal(7, tonumber(C.mg_snapshot_number(snapshot(function() end))))
  end)

  it("keeps parts that nobody else holds any more", function()
    local made = snapshot(function(draft)
      local one = C.mg_part_new("one", 3)
      assert.are.equal(0, C.mg_draft_host(draft, "a.test", 6, one))
      assert.are.equal(0, C.mg_draft_service(draft, 3, one))
      assert.are.equal(0, C.mg_draft_plan(draft, 0, one))
      C.mg_part_unref(one)
    end)
    assert.are.equal("one", text(C.mg_snapshot_host(made, "a.test", 6), 3))
    assert.are.equal("one", text(C.mg_snapshot_service(made, 3), 3))
    assert.are.equal("one", text(C.mg_snapshot_plan(made, 0), 3))
  end)

  it("shares a part with the next snapshot", function()
    local one = part("one")
    local function fill(draft)
      C.mg_draft_host(draft, "a", 1, one)
    end
    local first, second = snapshot(fill), snapshot(fill)
    assert.is_true(C.mg_snapshot_host(first, "a", 1) == C.mg_snapshot_host(second, "a", 1))
  end)

  it("has nothing under names and ids that were not put in", function()
    local made = snapshot(function(draft)
      C.mg_draft_service(draft, 1, part("x"))
    end)
    assert.is_true(C.mg_snapshot_host(made, "a", 1) == nil)
    for _, id in ipairs({ 0, 2, 100, 0xffffffff }) do
      assert.is_true(C.mg_snapshot_service(made, id) == nil)
    end
  end)

  it("takes what was put in last", function()
    local made = snapshot(function(draft)
      for _, value in ipairs({ "one", "two" }) do
        C.mg_draft_host(draft, "a", 1, part(value))
        C.mg_draft_plan(draft, 5, part(value))
      end
    end)
    assert.are.equal("two", text(C.mg_snapshot_host(made, "a", 1), 3))
    assert.are.equal("two", text(C.mg_snapshot_plan(made, 5), 3))
  end)

  it("finds each of many hosts", function()
    local made = snapshot(function(draft)
      for i = 1, 3000 do
        local name = ("host%d.test"):format(i)
        C.mg_draft_host(draft, name, #name, part(("%08d"):format(i)))
      end
    end)
    for i = 1, 3000 do
      local name = ("host%d.test"):format(i)
      assert.are.equal(("%08d"):format(i), text(C.mg_snapshot_host(made, name, #name), 8))
    end
  end)

  it("refuses an id that is out of reason", function()
    local draft = C.mg_draft_new(1)
    assert.is_true(C.mg_draft_service(draft, 2 ^ 24, part("x")) < 0)
    C.mg_draft_free(draft)
  end)

  it("lives until its last reference goes", function()
    local one = part("one")
    local draft = C.mg_draft_new(1)
    C.mg_draft_host(draft, "a", 1, one)
    local made = C.mg_draft_finish(draft)
    assert.is_true(C.mg_snapshot_ref(made) == made)
    C.mg_snapshot_unref(made)
    assert.are.equal("one", text(C.mg_snapshot_host(made, "a", 1), 3))
    C.mg_snapshot_unref(made)
  end)

  -- Leaks are LeakSanitizer's to find.
  it("frees the patterns of a part with it", function()
    local one = part("x")
    for i = 1, 9 do
      local pattern = "a" .. i
      local regex = C.mg_regex_new(pattern, #pattern, 0, nil, 0)
      assert.are.equal(0, C.mg_part_keep_regex(one, regex))
    end
  end)

  describe("certificate", function()
    -- What a certificate is does not matter here: it begins with its counter, and we hold one.
    -- They outlive the snapshots, which the collector frees when it likes.
    local certificates = {}

    local function certificate()
      local made = ffi.new("int[1]", 1)
      certificates[#certificates + 1] = made
      return ffi.cast("struct mg_certificate *", made)
    end

    local NAMES = { "", "a.test", "*.a.test", "*.b.test" }
    local LOOKUPS = {
      ["a.test"] = "a.test",
      ["A.TEST"] = "a.test",
      ["a.test."] = "a.test",
      ["x.a.test"] = "*.a.test",
      ["x.y.a.test"] = "",
      ["b.test"] = "",
      ["x.B.test."] = "*.b.test",
      [""] = "",
      ["."] = "",
      [".a.test"] = "",
      ["localhost"] = "",
      [("x"):rep(300)] = "",
    }
    for asked, expected in pairs(LOOKUPS) do
      it(("of %q is that of %q"):format(asked:sub(1, 20), expected), function()
        local by_name = {}
        local made = snapshot(function(draft)
          for _, name in ipairs(NAMES) do
            by_name[name] = certificate()
            assert.are.equal(0, C.mg_draft_certificate(draft, name, #name, by_name[name]))
          end
        end)
        local found = C.mg_snapshot_certificate(made, asked, #asked)
        assert.is_true(found == by_name[expected])
      end)
    end

    it("is none when there is no default", function()
      local made = snapshot(function(draft)
        C.mg_draft_certificate(draft, "a.test", 6, certificate())
      end)
      assert.is_true(C.mg_snapshot_certificate(made, "b.test", 6) == nil)
    end)
  end)
end)
