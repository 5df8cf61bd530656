-- SPDX-License-Identifier: Apache-2.0
local control = require("spec.support.control")
local files = require("moongate.control.source.files")

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

  it("passes over empty documents", function()
    local objects, faults = files.read(control.reader({ { "a.yaml", "---\n# nothing\n---\n" } }))
    assert.same({ {}, {} }, { objects, faults })
  end)
end)
