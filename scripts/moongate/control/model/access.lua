-- SPDX-License-Identifier: Apache-2.0
-- Who may pass: lists of settings and of a route, as configuration of the plugin ip-restriction.
local M = {}

local function some(list)
  return list and list[1] and list or nil
end

--- Nil where nobody is kept out.
---@param settings table<string, any>  typed
---@param allow string[]?  networks
---@param deny string[]?
---@return table?
function M.restriction(settings, allow, deny)
  local all = {}
  for _, list in ipairs({ settings["block-cidrs"], deny or {} }) do
    for _, network in ipairs(list) do
      all[#all + 1] = network
    end
  end
  local config = {
    allow = some(allow),
    deny = some(all),
    user_agents = some(settings["block-user-agents"]),
    referers = some(settings["block-referers"]),
  }
  return next(config) and config
end

return M
