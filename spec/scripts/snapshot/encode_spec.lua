-- SPDX-License-Identifier: Apache-2.0
package.path = package.path .. ";scripts/?.lua"
local encode = require("moongate.snapshot.encode").encode

describe("encode", function()
  local CASES = {
    { "sorts keys", { b = 1, a = { d = true, c = "x" } }, '{"a":{"c":"x","d":true},"b":1}' },
    { "keeps the order of lists", { "b", "a" }, '["b","a"]' },
    { "takes an empty table for an object", {}, "{}" },
    { "escapes", 'a"\\\n\0', '"a\\"\\\\\\u000a\\u0000"' },
    { "writes whole numbers without a point", { 1, 2 ^ 40, 0.5 }, "[1,1099511627776,0.5]" },
  }
  for _, case in ipairs(CASES) do
    it(case[1], function()
      assert.are.equal(case[3], encode(case[2]))
    end)
  end
end)
