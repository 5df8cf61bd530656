-- SPDX-License-Identifier: Apache-2.0
local page = require("moongate.admin.page")

describe("a page of metrics", function()
  local VALUES = {
    { "plain", "plain" },
    { 'a"b\\c\nd', 'a\\"b\\\\c\\nd' },
    { "gr\195\188n \226\130\172 \240\159\140\153", "gr\195\188n \226\130\172 \240\159\140\153" },
    { "\255\254", "??" },
    { "a\195", "a?" },
    { "\192\128", "??" }, -- overlong
    { "\224\159\191", "???" },
    { "\237\160\128", "???" }, -- half of a pair of UTF-16
    { "\244\144\128\128", "????" }, -- past the last character
    { "\195(", "?(" },
    { "\0\r", "\0\r" },
  }
  for _, case in ipairs(VALUES) do
    it(("writes the label %q so that readers take it"):format(case[1]), function()
      assert.equal(case[2], page.label(case[1]))
    end)
  end

  it("has labels in the order that was asked for, empty where nothing is known", function()
    assert.equal('b="1",a="",c="\\""', page.labels({ "b", "a", "c" }, { b = "1", c = '"' }))
  end)

  it("tells type and help of a metric once", function()
    local made = page.new()
    made:head("m", "counter", "Some\nhelp.")
    made:value("m", 'a="1"', 1)
    made:head("m", "counter", "Some\nhelp.")
    made:value("m", 'a="2"', 2.5)
    made:single("n", "gauge", nil, 3)
    assert.equal('# HELP m Some\\nhelp.\n# TYPE m counter\nm{a="1"} 1\nm{a="2"} 2.5\n'
      .. "# TYPE n gauge\nn 3\n", made:text())
  end)
end)
