-- SPDX-License-Identifier: Apache-2.0
--
-- Dictionaries of mg.shared in tests: what one test left there is not the next one's.
local shared = require("moongate.api.shared")
local state = require("moongate.test.state")

local opened = {}
local kind = getmetatable(shared)
local open = kind.__call

function kind.__call(self, name, options)
  local dict = open(self, name, options)
  opened[name] = dict
  return dict
end

state.after_each(function()
  for _, dict in pairs(opened) do
    dict:flush()
  end
end)
