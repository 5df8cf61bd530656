-- SPDX-License-Identifier: Apache-2.0
--
-- What plugins make of their configuration once: patterns, networks, counters, templates.
local mg = require("moongate")

describe("mg.regex", function()
  it("gives the groups of the first match", function()
    local regex = mg.regex.compile("(a)(b)?(c)")
    assert.same({ [0] = "ac", "a", false, "c" }, regex:match("xacac"))
    assert.is_nil(regex:match("x"))
  end)

  it("minds case and place as it is told", function()
    assert.is_false(mg.regex.compile("b"):test("AB"))
    assert.is_true(mg.regex.compile("b", { ignore_case = true }):test("AB"))
    assert.is_false(mg.regex.compile("b", { anchored = true }):test("ab"))
  end)

  it("tells a limit from no match", function()
    local regex = mg.regex.compile("^(a+)+$")
    local matches, _, code = regex:test(("a"):rep(64) .. "b")
    assert.is_nil(matches)
    assert.equal("limit", code)
  end)

  it("puts groups and dollars in a replacement", function()
    assert.equal("[a][$1][$][$x]", (mg.regex.compile("(a)"):gsub("a", "[$1][$$1][$$][$x]")))
  end)

  it("says what is wrong with a pattern", function()
    local regex, err, code = mg.regex.compile("(")
    assert.is_nil(regex)
    assert.matches("parenthesis", err)
    assert.equal("invalid", code)
  end)
end)

describe("mg.ip.cidr_set", function()
  it("holds the addresses of its networks", function()
    local set = mg.ip.cidr_set({ "10.0.0.0/8", "2001:db8::/32" })
    assert.is_true(set:contains("10.1.2.3"))
    assert.is_true(set:contains("2001:db8::1"))
    assert.is_false(set:contains("11.0.0.1"))
    assert.is_false(set:contains("no address"))
  end)

  it("names what is no network", function()
    local set, err = mg.ip.cidr_set({ "10.0.0.0/8", "ten" })
    assert.is_nil(set)
    assert.equal('"ten" is neither an address nor a network', err)
  end)
end)

describe("mg.counter", function()
  for _, case in ipairs({ { 1, 3 }, { 7, 20 }, { 0, 5 }, { 5, 5 }, { 999, 1000 } }) do
    local part, whole = case[1], case[2]
    it(("gives %d of any %d turns that follow each other"):format(part, whole), function()
      local counter = mg.counter.new(("spec %d %d"):format(part, whole))
      local turns, inside = {}, 0
      for i = 1, 3 * whole do
        turns[i] = counter:share(part, whole) and 1 or 0
        inside = inside + turns[i] - (turns[i - whole] or 0)
        if i >= whole then
          assert.equal(part, inside)
        end
      end
    end)
  end

  it("spreads them evenly", function()
    local counter = mg.counter.new("spec even")
    local marks = {}
    for i = 1, 8 do
      marks[i] = counter:share(2, 8) and "x" or "."
    end
    assert.equal("...x...x", table.concat(marks))
  end)

  it("puts texts evenly in [0, 1), each always in one place", function()
    local below = 0
    for i = 1, 1000 do
      local point = mg.counter.point("user-" .. i)
      assert.equal(point, mg.counter.point("user-" .. i))
      assert.is_true(point >= 0 and point < 1)
      below = below + (point < 0.3 and 1 or 0)
    end
    assert.is_true(below > 250 and below < 350)
  end)
end)

describe("mg.template", function()
  it("takes a text apart at its variables", function()
    assert.same({ { text = "a" }, { var = "host" }, { text = "-" }, { var = "arg_x" } },
      mg.template.parse("a${host}-$arg_x"))
  end)

  it("knows texts without variables", function()
    local parts = mg.template.parse("a b")
    assert.is_true(mg.template.is_fixed(parts))
    assert.equal("a b", mg.template.text(parts))
  end)

  it("writes each variable in one spelling", function()
    assert.equal("a${host}-${arg_x}b", mg.template.text(mg.template.parse("a$host-${arg_x}b")))
  end)

  it("refuses variables that nobody knows", function()
    local parts, err = mg.template.parse("$nothing")
    assert.is_nil(parts)
    assert.matches("no variable $nothing", err, 1, true)
  end)
end)

describe("mg.password", function()
  it("compares in another thread", function()
    assert.is_true(mg.password.check("password", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="))
    assert.is_false(mg.password.check("wrong", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="))
  end)

  it("knows which hashes it can compare", function()
    assert.is_true(mg.password.is_known("$2y$05$x"))
    assert.is_false(mg.password.is_known("password"))
  end)

  it("gives a fingerprint that tells texts apart", function()
    assert.equal(32, #mg.password.fingerprint("a"))
    assert.not_equal(mg.password.fingerprint("a"), mg.password.fingerprint("b"))
  end)
end)

describe("mg.base64", function()
  it("decodes", function()
    assert.equal("ada:password", (mg.base64.decode("YWRhOnBhc3N3b3Jk")))
    assert.is_nil((mg.base64.decode("YWRh!")))
  end)
end)
