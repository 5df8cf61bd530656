-- SPDX-License-Identifier: Apache-2.0
-- Who may pass: lists of settings and of a route, as configuration of the plugin ip-restriction.
local address = require("moongate.control.model.address")
local values = require("moongate.settings.values")

local M = {}

local NOBODY = "255.255.255.255"
-- What stands for a list of which no entry is right.
local LISTS = { ["whitelist-source-range"] = NOBODY, ["proxy-real-ip-cidr"] = NOBODY,
  ["denylist-source-range"] = "", ["block-cidrs"] = "" }

--- What holds of a list of the ConfigMap that is wrong: its right entries. Without them all would
--- pass, or be believed. Nil for any other setting.
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
    right[#right + 1] = address.is_network(entry) and entry or nil
  end
  return right[1] and table.concat(right, ",") or none
end

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
