-- SPDX-License-Identifier: Apache-2.0
local control = require("spec.support.control")
local files = require("moongate.control.source.files")
local model = require("moongate.control.model")

describe("files", function()
  it("gives objects with the file and line they come from", function()
    local objects = files.read(control.reader({
      { "a.yaml", "kind: A\napiVersion: v1\n---\n\nkind: B\napiVersion: v1\n" },
      { "b.yaml", "kind: C\napiVersion: v1\n" },
    }))
    local seen = {}
    for index, object in ipairs(objects) do
      seen[index] = { object.value.kind, object.file, object.line }
    end
    assert.same({ { "A", "a.yaml", 1 }, { "B", "a.yaml", 5 }, { "C", "b.yaml", 1 } }, seen)
  end)

  it("takes the items out of lists and completes those of typed ones", function()
    local objects = files.read(control.reader({
      { "a.yaml", "kind: List\napiVersion: v1\nitems:\n- {kind: A, apiVersion: v1}\n"
        .. "- {kind: B, apiVersion: v1}\n---\nkind: SecretList\napiVersion: v1\n"
        .. "items:\n- {metadata: {name: x}}\n" },
    }))
    assert.equal(3, #objects)
    assert.equal(5, objects[2].line)
    assert.equal("Secret", objects[3].value.kind)
    assert.equal("v1", objects[3].value.apiVersion)
  end)

  local BROKEN = {
    { "text: ]", "a broken document", 1 },
    { "just text", "a document that is no mapping", 1 },
    { "apiVersion: v1", "an object without kind", 1 },
    { "# a\nkind: A", "an object without apiVersion", 2 },
  }
  for _, case in ipairs(BROKEN) do
    it("reports " .. case[2] .. " and reads the rest", function()
      local objects, faults = files.read(control.reader({
        { "bad.yaml", case[1] },
        { "good.yaml", "kind: A\napiVersion: v1" },
      }))
      assert.equal(1, #objects)
      assert.equal(1, #faults)
      assert.equal("bad.yaml", faults[1].file)
      assert.equal(case[3], faults[1].line)
    end)
  end

  it("reports a file that cannot be read", function()
    local _, faults = files.read(control.reader({ { "gone.yaml", nil, "no such file" } }))
    assert.equal("no such file; check path and mode", faults[1].message)
  end)

  local NO_LISTS = {
    { "kind: List\napiVersion: v1\nitems: {a: {kind: A, apiVersion: v1}}", "a mapping" },
    { "kind: List\napiVersion: v1\nitems:", "null" },
    { "kind: List\napiVersion: v1\nitems: text", "a text" },
    { "kind: SecretList\napiVersion: v1\nitems: {a: {metadata: {name: x}}}", "a mapping" },
    { "kind: SecretList\napiVersion: v1\nitems: null", "null" },
  }
  for _, case in ipairs(NO_LISTS) do
    it(("reports a %s whose items are %s"):format(case[1]:match("%a*List"), case[2]), function()
      local objects, faults = files.read(control.reader({ { "a.yaml", case[1] } }))
      assert.same({ 0, 1 }, { #objects, #faults })
      assert.truthy(faults[1].message:find("items is no sequence", 1, true))
    end)
  end

  it("takes a list without items, and a resource whose kind only sounds like a list", function()
    local objects, faults = files.read(control.reader({
      { "a.yaml", "kind: List\napiVersion: v1\nitems: []\n---\n"
        .. "kind: AllowList\napiVersion: example.com/v1\nmetadata: {name: x}\n" },
    }))
    assert.same({ "AllowList", 1, {} }, { objects[1].value.kind, #objects, faults })
  end)

  it("reports an item that is null", function()
    for _, kind in ipairs({ "List", "SecretList" }) do
      local text = ("kind: %s\napiVersion: v1\nitems:\n- null\n"):format(kind)
      local objects, faults = files.read(control.reader({ { "a.yaml", text } }))
      assert.same({ 0, 1 }, { #objects, #faults })
    end
  end)

  it("passes over empty documents", function()
    local objects, faults = files.read(control.reader({ { "a.yaml", "---\n# nothing\n---\n" } }))
    assert.same({ {}, {} }, { objects, faults })
  end)

  describe("that change", function()
    local known

    before_each(function()
      known = {}
    end)

    -- The objects of one text, and their kinds with the lines they stand at.
    local function read(text)
      local objects, faults = files.read(control.reader({ { "a.yaml", text } }), known)
      local seen = {}
      for i, object in ipairs(objects) do
        seen[i] = object.value.kind .. object.line
      end
      return objects, table.concat(seen, " "), faults
    end

    local function document(kind, more)
      return ("kind: %s\napiVersion: v1\n%s"):format(kind, more or "")
    end

    local function join(...)
      return table.concat({ ... }, "---\n")
    end

    it("keep the objects of documents that stay where they are", function()
      local before = read(join(document("A"), document("B"), document("C")))
      local after, seen = read(join(document("A"), document("X"), document("C")))
      assert.equal("A1 X4 C7", seen)
      assert.same({ true, false, true },
        { before[1] == after[1], before[2] == after[2], before[3] == after[3] })
    end)

    it("give objects behind a longer document the lines that they have now", function()
      read(join(document("A"), document("B")))
      local longer = document("A", "x: 1\ny: 2\n")
      local objects, seen = read(join(longer, document("B", "z: {q: 1}\n")))
      assert.equal("A1 B6", seen)
      assert.same({ 8, 8 }, { model.position(objects[2], { "z", "q" }) })
    end)

    it("are cut at no line that only looks like a document's first", function()
      local text = join(document("A", "t: |\n  ---\n   --- x\n"), document("B", "u: '\n  ---'\n"),
        document("C", "---x: 1\n"), "--- # c\n" .. document("D"))
      local _, seen = read(text)
      assert.equal("A1 B7 C12 D17", seen)
      local objects, again = read((text:gsub("kind: D", "kind: E")))
      assert.equal("A1 B7 C12 E17", again)
      assert.equal("---\n --- x\n", objects[1].value.t)
    end)

    local WHOLE = {
      { "a directive", "%YAML 1.1\n---\n" },
      { "the end of a document", document("Z") .. "...\n---\n" },
      { "a lone CR", "# a\rb: 1\n---\n" },
      { "a line separator", "# a\226\128\168\n---\n" },
    }
    for _, case in ipairs(WHOLE) do
      it("are read as a whole where a text has " .. case[1], function()
        local before = read(case[2] .. join(document("A"), document("B")))
        local after = read(case[2] .. join(document("A"), document("C")))
        assert.is_true(#after > 0 and #before == #after)
        assert.are_not.equal(before[#before - 1], after[#after - 1])
        assert.equal("C", after[#after].value.kind)
      end)
    end

    it("keep what a broken one told of, and go on when it is mended", function()
      local before = read(join(document("A", "metadata: {name: a}\n"), document("B")))
      local broken, _, faults = read(join("kind: [\n", document("B")))
      assert.equal(2, #broken)
      assert.equal(1, #faults)
      local mended, seen, rest = read(join(document("A", "metadata: {name: b}\n"), document("B")))
      assert.same({ "A1 B5", {} }, { seen, rest })
      assert.are_not.equal(before[1], mended[1])
    end)

    it("tell faults of documents that stay again", function()
      read(join("just text\n", document("A")))
      local _, seen, faults = read(join("just text\n", document("B")))
      assert.equal("B3", seen)
      assert.equal(1, #faults)
      assert.equal(1, faults[1].line)
    end)

    it("are read at once where most of it is new", function()
      local many, other = {}, {}
      for i = 1, 200 do
        many[i], other[i] = document("A" .. i), document("B" .. i)
      end
      read(join(unpack(many)))
      local objects = read(join(unpack(other)))
      assert.equal(200, #objects)
      assert.equal("B200", objects[200].value.kind)
      assert.equal(598, objects[200].line)
    end)
  end)

  describe("that cannot be read for a while", function()
    local known

    before_each(function()
      known = {}
    end)

    -- What `list` of { path, text or nil, error } gives: "name@file" of the objects, the faults.
    local function read(list)
      local objects, faults = files.read(control.reader(list), known)
      local seen = {}
      for i, object in ipairs(objects) do
        seen[i] = object.value.metadata.name .. "@" .. object.file
      end
      return table.concat(seen, " "), faults, objects
    end

    local function text(...)
      local documents = {}
      for i, name in ipairs({ ... }) do
        documents[i] = ("kind: A\napiVersion: v1\nmetadata: {name: %s}\n"):format(name)
      end
      return table.concat(documents, "---\n")
    end

    local FULL = { { "m/a.yaml", text("a") }, { "m/s/b.yaml", text("b", "c") },
      { "m/s/d/e.yaml", text("e") }, { "m/t.yaml", text("t") } }

    it("keep what was below a folder, in its order, for as long as that lasts", function()
      local before = read(FULL)
      for _ = 1, 3 do
        local seen, faults = read({ FULL[1], { "m/s", nil, "permission denied" }, FULL[4] })
        assert.equal(before, seen)
        assert.same({ "m/s", 1 }, { faults[1].file, #faults })
        assert.equal("permission denied; check path and mode; what was read of it before stays",
          faults[1].message)
      end
      local _, faults = read({ { "m", nil, "no such file or folder" } })
      assert.equal(before, (read({ { "m", nil, "no such file or folder" } })))
      assert.same({ "m", 1 }, { faults[1].file, #faults })
    end)

    it("give the same objects when they are back as they were", function()
      local _, _, before = read(FULL)
      read({ { "m", nil, "no such file or folder" } })
      local _, faults, after = read(FULL)
      assert.same({}, faults)
      for i, object in ipairs(after) do
        assert.is_true(before[i] == object)
      end
    end)

    it("are gone when the folder above can be read and does not name them", function()
      read(FULL)
      assert.equal("a@m/a.yaml t@m/t.yaml", (read({ FULL[1], FULL[4] })))
      read({ { "m", nil, "no such file or folder" } })
      assert.equal("t@m/t.yaml", (read({ FULL[4] })))
    end)

    it("keep nothing that was there under a name that only begins alike", function()
      read({ { "m/s.yaml", text("x") }, { "m/sa/b.yaml", text("w") } })
      assert.equal("", (read({ { "m/s", nil, "permission denied" } })))
    end)

    for _, case in ipairs({
      { "m/b.yaml", "kind: [" },
      { "m/b.yaml", nil, "permission denied" },
      { "m", nil, "no such file or folder" },
    }) do
      it(("lose to other files what stands in those: %s of %s"):format(
        case[3] or "broken text", case[1]), function()
        read({ { "m/b.yaml", text("b", "c") } })
        local other = { "z.yaml", text("b") }
        local seen, faults = read({ case, other })
        assert.same({ "c@m/b.yaml b@z.yaml", 1 }, { seen, #faults })
        assert.equal("c@m/b.yaml", (read({ case }))) -- it was deleted where it stood last
      end)
    end
  end)
end)
