-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "bridge/api.h" })
local C = core.C

local NONE, PLAIN, QUOTED, SEQUENCE, MAPPING = 0, 1, 2, 3, 4

local function read(text)
  return ffi.gc(C.mg_yaml_read(text, #text), C.mg_yaml_free)
end

local function text_of(yaml, node)
  return ffi.string(C.mg_yaml_text(yaml, node), C.mg_yaml_length(yaml, node))
end

-- A node as a plain value: text, or { "[", … }, or { "{", key, value, … }.
local function value_of(yaml, node)
  local kind = C.mg_yaml_kind(yaml, node)
  if kind == NONE then
    return nil
  elseif kind == PLAIN then
    return text_of(yaml, node)
  elseif kind == QUOTED then
    return '"' .. text_of(yaml, node)
  end
  local list = { kind == SEQUENCE and "[" or "{" }
  local child = C.mg_yaml_first(yaml, node)
  while child ~= 0 do
    list[#list + 1] = value_of(yaml, child)
    child = C.mg_yaml_next(yaml, child)
  end
  return list
end

local function root_of(yaml, index)
  return C.mg_yaml_document_root(yaml, index or 0)
end

local function error_of(yaml, index)
  local message = C.mg_yaml_document_error(yaml, index or 0)
  if message == nil then
    return nil
  end
  local line = C.mg_yaml_document_line(yaml, index or 0)
  local column = C.mg_yaml_document_column(yaml, index or 0)
  return ("%d:%d: %s"):format(line, column, ffi.string(message))
end

describe("yaml", function()
  it("tells plain from quoted scalars", function()
    local yaml = read("a: 1\nb: '1'\nc: \"x\\ty\"\nd: |\n  t\ne: !!str 1\nf:\n")
    assert.same({ "{", "a", "1", "b", '"1', "c", '"x\ty', "d", '"t\n', "e", '"1', "f", "" },
      value_of(yaml, root_of(yaml)))
  end)

  it("reads nested sequences and mappings, and JSON", function()
    local yaml = read('{"a": [1, {"b": "c"}], "d": []}')
    assert.same({ "{", '"a', { "[", "1", { "{", '"b', '"c' } }, '"d', { "[" } },
      value_of(yaml, root_of(yaml)))
  end)

  it("says where each node begins", function()
    local yaml = read("a:\n  - x\n  -   y\n")
    local sequence = C.mg_yaml_next(yaml, C.mg_yaml_first(yaml, root_of(yaml)))
    local second = C.mg_yaml_next(yaml, C.mg_yaml_first(yaml, sequence))
    assert.equal(MAPPING, C.mg_yaml_kind(yaml, root_of(yaml)))
    assert.equal(3, C.mg_yaml_line(yaml, second))
    assert.equal(7, C.mg_yaml_column(yaml, second))
  end)

  it("reads several documents, empty ones included", function()
    local yaml = read("a: 1\n---\n---\nb: 2\n")
    assert.equal(3, C.mg_yaml_document_count(yaml))
    assert.same({ "{", "a", "1" }, value_of(yaml, root_of(yaml, 0)))
    assert.same({ "{", "b", "2" }, value_of(yaml, root_of(yaml, 2)))
    assert.equal(4, C.mg_yaml_document_line(yaml, 2) + 1)
  end)

  it("has no document in a text that holds none", function()
    assert.equal(0, C.mg_yaml_document_count(read("")))
    assert.equal(0, C.mg_yaml_document_count(read("# only a remark\n")))
  end)

  it("writes an alias out as what it names", function()
    local yaml = read("a: &x [1, 2]\nb: *x\nc: *x\n")
    local list = { "[", "1", "2" }
    assert.same({ "{", "a", list, "b", list, "c", list }, value_of(yaml, root_of(yaml)))
  end)

  it("takes the anchor nearest before the alias", function()
    local yaml = read("- &x 1\n- &x 2\n- *x\n")
    assert.same({ "[", "1", "2", "2" }, value_of(yaml, root_of(yaml)))
  end)

  it("keeps NUL bytes in scalars", function()
    local yaml = read('a: "x\\0y"\n')
    assert.same({ "{", "a", '"x\0y' }, value_of(yaml, root_of(yaml)))
  end)

  local ERRORS = {
    { "a key given twice", "a: 1\nb: 2\na: 3\n", '3:1: key "a" is given twice, first on line 1' },
    { "a key that is no string", "? [a]\n: b\n", "1:3: a key must be a string" },
    { "an alias without an anchor", "a: *x\n", "1:4: this alias names no anchor before it" },
    { "an alias to what it stands in", "a: &x [*x]\n",
      "1:8: this alias names no anchor before it" },
    { "an alias to another document's anchor", "a: &x 1\n---\nb: *x\n",
      "3:4: this alias names no anchor before it", 1 },
    { "a tab for indentation", "a:\n\tb: 1\n",
      "2:1: found character that cannot start any token "
        .. "(while scanning for the next token, line 2)" },
    { "a bracket that is not closed", "a: [1,\nb: 2\n",
      "3:1: did not find expected ',' or ']' (while parsing a flow sequence, line 1)" },
    { "a byte that is not UTF-8", "a: \255\n", "1:1: invalid leading UTF-8 octet at byte 3" },
  }
  for _, case in ipairs(ERRORS) do
    it("complains of " .. case[1], function()
      local yaml = read(case[2])
      assert.equal(case[3], error_of(yaml, case[4]))
      assert.equal(0, root_of(yaml, case[4] or 0))
    end)
  end

  it("does not let a bad document spoil the others", function()
    local yaml = read("a: 1\n---\nb: 1\nb: 2\n---\nc: 3\n")
    assert.is_nil(error_of(yaml, 0))
    assert.equal('4:1: key "b" is given twice, first on line 3', error_of(yaml, 1))
    assert.same({ "{", "c", "3" }, value_of(yaml, root_of(yaml, 2)))
  end)

  it("keeps the documents before an error of syntax", function()
    local yaml = read("a: 1\n---\nb: [\n")
    assert.is_nil(error_of(yaml, 0))
    assert.is_string(error_of(yaml, 1))
  end)

  it("refuses aliases that stand for a billion values", function()
    local lines = { "a0: &a0 [x, x, x, x, x, x, x, x, x, x]" }
    for i = 1, 9 do
      local name = "*a" .. (i - 1)
      lines[#lines + 1] = ("a%d: &a%d [%s]"):format(i, i, name .. (", " .. name):rep(9))
    end
    local yaml = read(table.concat(lines, "\n") .. "\n")
    local message = error_of(yaml):match("^%d+:%d+: (.*)$")
    assert.equal("the aliases of this document stand for more than 200000 values", message)
  end)

  it("refuses nesting without end", function()
    local yaml = read(("["):rep(101) .. ("]"):rep(101))
    assert.equal("1:101: nested deeper than 100 levels", error_of(yaml))
    yaml = read(("["):rep(100) .. ("]"):rep(100))
    assert.is_nil(error_of(yaml))
  end)

  it("answers for nodes and documents that are not there", function()
    local yaml = read("a: 1\n")
    assert.equal(NONE, C.mg_yaml_kind(yaml, 9999))
    assert.equal("", text_of(yaml, 9999))
    assert.equal(0, root_of(yaml, 9))
    assert.is_nil(error_of(yaml, 9))
    assert.equal(0, C.mg_yaml_document_line(yaml, 9))
  end)
end)
