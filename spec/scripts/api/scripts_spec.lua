-- SPDX-License-Identifier: Apache-2.0
--
-- Files of scripts that wait for ever.
local mg = require("moongate")
local scripts = require("moongate.api.scripts")
local t = require("moongate.test")

local ROUTE = 'require("moongate").route({ host = "a.test", to = "http://127.0.0.1:1" })'

local function load(text)
  return scripts.contain(scripts.load, { { path = "gate/a.lua", name = "a.lua", text = text } })
end

describe("scripts that are loaded", function()
  it("are given up where they wait for ever, and do not end what is loaded after them", function()
    t.clock.freeze()
    local late = mg.task.spawn(load, 'require("moongate").task.sleep("40s")')
    t.clock.advance("30s")
    assert.same({ nil, "gate/a.lua: loading took longer than 30 s" }, { mg.task.join(late, 1) })
    local next_one = mg.task.spawn(load, 'require("moongate").task.sleep("20s") ' .. ROUTE)
    t.clock.advance("20s")
    assert.equal(1, #assert(mg.task.join(next_one, 1)).routes)
  end)

  local PLUGIN = '-- of a user\nreturn require("moongate").plugin({ %s })'
  -- file -> what its plugin says, and what is wrong
  local CLASHES = {
    { { ["basic-auth.lua"] = "" },
      "s/basic-auth.lua:2: plugin basic-auth has the name of one in the binary; give it another "
        .. "name" },
    { { ["headers/init.lua"] = "" },
      "s/headers/init.lua:2: plugin headers has the name of one in the binary; give it another "
        .. "name" },
    { { ["a.lua"] = 'name = "canary"' },
      "s/a.lua:2: plugin canary has the name of one in the binary; give it another name" },
    { { ["a.lua"] = "", ["b.lua"] = 'name = "a"' },
      "s/b.lua:2: plugin a has the name of the one of s/a.lua; give it another name" },
    { { ["a.lua"] = "", ["b.lua"] = "" } },
  }
  for i, case in ipairs(CLASHES) do
    it(("have names of their own (%d)"):format(i), function()
      local files = {}
      for name, text in pairs(case[1]) do
        files[#files + 1] = { path = "s/" .. name, name = name, text = PLUGIN:format(text) }
      end
      table.sort(files, function(a, b)
        return a.name < b.name
      end)
      assert.equal(case[2], select(2, scripts.contain(scripts.load, files)))
    end)
  end
end)
