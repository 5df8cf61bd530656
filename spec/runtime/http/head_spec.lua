-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "base/err.h", "http/head.h" })
local C = core.C

local ERR_HEADERS_TOO_LARGE = tonumber(C.ERR_HEADERS_TOO_LARGE)

describe("head", function()
  local arena, head

  local function text(span)
    return ffi.string(arena.data + span.at, span.len)
  end

  local function fields(of)
    local list = {}
    for i = 0, of.count - 1 do
      list[i + 1] = text(of.fields[i].name) .. ": " .. text(of.fields[i].value)
    end
    return list
  end

  local function add(name, value)
    return C.head_add(head, arena, name, #name, value, #value)
  end

  local function find(name, from)
    return C.head_find(head, arena, name, #name, from or 0)
  end

  before_each(function()
    arena = ffi.gc(ffi.new("struct buf"), C.buf_fini)
    head = ffi.gc(ffi.new("struct head"), C.head_fini)
  end)

  it("keeps fields in order, with their names as given", function()
    add("X-A", "1")
    add("x-b", "")
    assert.same({ "X-A: 1", "x-b: " }, fields(head))
  end)

  it("finds a field without regard to case, from a place on", function()
    add("X-A", "1")
    add("B", "2")
    add("x-a", "3")
    assert.equal(0, find("x-A"))
    assert.equal(2, find("X-A", 1))
    assert.equal(-1, find("x-a", 3))
    assert.equal(-1, find("x"))
  end)

  it("knows the fields that the gateway reads by number", function()
    add("cOnTent-Length", "1")
    add("Contents-Length", "1")
    assert.equal(C.FIELD_CONTENT_LENGTH, head.fields[0].id)
    assert.equal(C.FIELD_OTHER, head.fields[1].id)
    assert.equal(0, C.head_find_id(head, C.FIELD_CONTENT_LENGTH, 0))
    assert.equal(-1, C.head_find_id(head, C.FIELD_CONTENT_LENGTH, 1))
  end)

  it("replaces all fields of a name by one", function()
    add("A", "1")
    add("B", "2")
    add("a", "3")
    assert.equal(0, C.head_set(head, arena, "A", 1, "4", 1))
    assert.same({ "B: 2", "A: 4" }, fields(head))
  end)

  it("removes all fields of a name and says how many", function()
    add("A", "1")
    add("a", "2")
    add("B", "3")
    assert.equal(2, C.head_remove(head, arena, "a", 1))
    assert.equal(0, C.head_remove(head, arena, "a", 1))
    assert.same({ "B: 3" }, fields(head))
  end)

  it("refuses more fields than there may be", function()
    for i = 1, tonumber(C.HEAD_FIELDS_MAX) do
      assert.equal(0, add("x", tostring(i)))
    end
    assert.equal(ERR_HEADERS_TOO_LARGE, add("x", "more"))
  end)

  it("copies a head without sharing its fields", function()
    add("A", "1")
    head.status = 200
    local copy = ffi.gc(ffi.new("struct head"), C.head_fini)
    assert.equal(0, C.head_copy(copy, head))
    C.head_clear(head)
    assert.same({ "A: 1" }, fields(copy))
    assert.equal(200, copy.status)
    assert.equal(0, head.status)
  end)

  local STRIPPED = {
    { "Connection and what it names", { "Connection: x-a, close", "X-A: 1", "B: 2" }, { "B: 2" } },
    { "what several Connection fields name",
      { "A: 1", "connection: a", "B: 2", "CONNECTION: ,, b ,", "C: 3" }, { "C: 3" } },
    { "the fields of one hop", {
      "Keep-Alive: 5", "Proxy-Connection: x", "TE: trailers", "Upgrade: h2c",
      "Transfer-Encoding: chunked", "Trailer: x",
    }, { "Trailer: x" } },
    { "neither Host nor Content-Length, whoever names them",
      { "Connection: host, content-length", "Host: a", "Content-Length: 1" },
      { "Host: a", "Content-Length: 1" } },
    { "nothing that only looks like a name in Connection",
      { "Connection: x-ab", "X-A: 1" }, { "X-A: 1" } },
  }
  for _, case in ipairs(STRIPPED) do
    it("strips " .. case[1], function()
      for _, line in ipairs(case[2]) do
        local name, value = line:match("^([^:]+): (.*)$")
        add(name, value)
      end
      C.head_strip_hop_by_hop(head, arena)
      assert.same(case[3], fields(head))
    end)
  end

  local TOKENS = {
    { "close", "close", 1 },
    { "Close", "close", 1 },
    { "keep-alive, close", "close", 1 },
    { " ,\tclose ,", "close", 1 },
    { "closed", "close", 0 },
    { "clos", "close", 0 },
    { "close x", "close", 0 },
    { "", "close", 0 },
  }
  for _, case in ipairs(TOKENS) do
    local verb = case[3] == 1 and "finds" or "does not find"
    it(("%s '%s' in '%s'"):format(verb, case[2], case[1]), function()
      assert.equal(case[3], C.text_has_token(case[1], #case[1], case[2]))
    end)
  end

  it("tells tokens from other text", function()
    for _, token in ipairs({ "a", "X-Y_z.1", "!#$%&'*+-.^_`|~" }) do
      assert.equal(1, C.text_is_token(token, #token))
    end
    for _, other in ipairs({ "", "a b", "a:", "\0", "ä", "a\r" }) do
      assert.equal(0, C.text_is_token(other, #other))
    end
  end)

  it("tells what is odd about a name", function()
    for byte = 0, 255 do
      local char = string.char(byte)
      if C.text_is_token(char, 1) == 1 then
        local wanted = char:find("^[%w-]") and 0 or char == "_" and 1 or 2
        assert.equal(wanted, C.text_name_oddities(char, 1), byte)
      end
    end
    assert.equal(3, C.text_name_oddities("x_y.z", 5))
    assert.equal(0, C.text_name_oddities("", 0))
  end)

  it("tells values from text that would end a line", function()
    for _, value in ipairs({ "", "a b\tc", "ä" }) do
      assert.equal(1, C.text_is_value(value, #value))
    end
    for _, other in ipairs({ "a\rb", "a\nb", "\0", "\127" }) do
      assert.equal(0, C.text_is_value(other, #other))
    end
  end)
end)
