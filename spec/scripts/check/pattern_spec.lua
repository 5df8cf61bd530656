-- SPDX-License-Identifier: Apache-2.0
local pattern = require("moongate.check.pattern")

-- What a pattern is said to repeat too freely; nil for a sound one.
local CASES = {
  { "/(a+)+$", "a+ is repeated within (a+)+" },
  { "/(a*)*b", "a* is repeated within (a*)*" },
  { "(.*/)*x", ".* is repeated within (.*/)*" },
  { "/([^/]+/?)*$", "[^/]+ is repeated within ([^/]+/?)*" },
  { "(\\w+\\s*)+$", "\\w+ is repeated within (\\w+\\s*)+" },
  { "(?:a{2,})+", "a{2,} is repeated within (?:a{2,})+" },
  { "((ab+)+c)*", nil },
  { "(x(a+))+", nil },
  { "((a+))+", "a+ is repeated within ((a+))+" },
  { "(a|a)*b", "alternatives of (a|a)* match the same text, and it is repeated" },
  { "(a|ab)*c", "alternatives of (a|ab)* match the same text, and it is repeated" },
  { "(\\d|[0-9a])+x", "alternatives of (\\d|[0-9a])+ match the same text, and it is repeated" },
  { "/(/[^/]+)*$", nil },
  { "/api/(v1|v2)/.*", nil },
  { "(foo|fob)+", nil },
  { "(a++)+b", nil },
  { "(?>a+)+b", nil },
  { "/foo(/|$)(.*)", nil },
  { "(\\w+\\.)+com", nil },
  { "(\\w+[.\\w])+com", "\\w+ is repeated within (\\w+[.\\w])+" },
  { "(a+){2}", nil },
  { "[a-z0-9]+(?:-[a-z0-9]+)*", nil },
  { "(unreadable[", nil },
  { "(?<name>a+)+", "a+ is repeated within (?<name>a+)+" },
  { "(?=a+)+", nil },
}

describe("check.pattern", function()
  for _, case in ipairs(CASES) do
    it(("finds %s in %s"):format(case[2] and "a repetition" or "nothing", case[1]), function()
      local found = pattern.judge(case[1])
      assert.are.equal(case[2], found)
    end)
  end

  it("takes letters of both cases for the same where the pattern does", function()
    assert.is_nil(pattern.judge("(a|A)*b"))
    assert.is_string(pattern.judge("(a|A)*b", true))
  end)
end)
