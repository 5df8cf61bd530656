-- SPDX-License-Identifier: Apache-2.0
-- Who may pass: lists of settings and of a route, as configuration of the plugin ip-restriction.
local settings = require("moongate.settings")
local values = require("moongate.settings.values")

local M = {}

local NOBODY = "255.255.255.255"
-- What stands for a list of which no entry is right.
local LISTS = { ["whitelist-source-range"] = NOBODY, ["proxy-real-ip-cidr"] = NOBODY,
  ["denylist-source-range"] = "", ["block-cidrs"] = "", ["block-user-agents"] = "",
  ["block-referers"] = "", ["hide-headers"] = "" }

--- What holds of a list of the ConfigMap that is wrong: its right entries. Without them all would
--- pass, be believed, or be seen. Nil for any other setting.
---@param name string
---@param text string
---@return string?
function M.rest_of(name, text)
  local none = LISTS[name]
  if not none then
    return nil
  end
  local right = {}
  for _, entry in ipairs(values.list(text)) do
    right[#right + 1] = settings.parse(name, entry) and entry or nil
  end
  return right[1] and table.concat(right, ",") or none
end

local function some(list)
  return list and list[1] and list or nil
end

--- Nil where nobody is kept out.
---@param typed table<string, any>  settings
---@param allow string[]?  networks
---@param deny string[]?
---@return table?
function M.restriction(typed, allow, deny)
  local all = {}
  for _, list in ipairs({ typed["block-cidrs"], deny or {} }) do
    for _, network in ipairs(list) do
      all[#all + 1] = network
    end
  end
  local config = {
    allow = some(allow),
    deny = some(all),
    user_agents = some(typed["block-user-agents"]),
    referers = some(typed["block-referers"]),
  }
  return next(config) and config
end

return M
