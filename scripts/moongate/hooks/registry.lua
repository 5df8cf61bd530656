-- SPDX-License-Identifier: Apache-2.0
--
-- The plugins of one generation: those in the binary, loaded when they are first named, and those that
-- the scripts define.
local M = {}

---@class moongate.Registry
local Registry = {}
Registry.__index = Registry

---@param defined moongate.Plugin[]  from scripts, in file order
---@return moongate.Registry
function M.new(defined)
  local self = setmetatable({ plugins = {}, globals = {}, defined = defined }, Registry)
  for _, plugin in ipairs(defined) do
    self.plugins[plugin.name] = plugin
    if not plugin.config then
      self.globals[#self.globals + 1] = plugin
    end
  end
  return self
end

local function load_bundled(name)
  if not name:match("^[%w][%w%-]*$") then
    return nil
  end
  local ok, plugin = pcall(require, "plugins." .. name)
  if ok then
    return plugin
  elseif not tostring(plugin):find("no module 'plugins." .. name, 1, true) then
    return nil, tostring(plugin)
  end
end

--- The plugin of that name, or nil and why not.
---@param name string
---@return moongate.Plugin? plugin
---@return string? err
function Registry:find(name)
  local plugin = self.plugins[name]
  if plugin then
    return plugin
  end
  local err
  plugin, err = load_bundled(name)
  self.plugins[name] = plugin
  return plugin, err or ("unknown plugin %q"):format(name)
end

-- What the hooks get as `conf`.
local function prepare(plugin, conf)
  if not plugin.prepare then
    return conf
  end
  local ok, prepared, err = pcall(plugin.prepare, conf)
  if ok and prepared ~= nil then
    return prepared
  end
  return nil, tostring(ok and err or prepared)
end

--- A plugin with its configuration checked, its defaults filled in and prepared.
---@param wanted { name: string, config: table?, id: string? }
---@return table? instance  {plugin, conf, id}
---@return string? err
function Registry:instance(wanted)
  local plugin, err = self:find(wanted.name)
  if not plugin then
    return nil, err
  end
  local conf = wanted.config or {}
  if plugin.config then
    local faults
    conf, faults = plugin.config:read(conf)
    if not conf then
      return nil, ("plugin %s: %s"):format(wanted.name, tostring(faults[1].message))
    end
  end
  conf, err = prepare(plugin, conf)
  if conf == nil then
    return nil, ("plugin %s: %s"):format(wanted.name, err)
  end
  return { plugin = plugin, conf = conf, id = wanted.id }
end

--- Fresh instances of the plugins that run on every request.
---@return table[]
function Registry:global_instances()
  local list = {}
  for i, plugin in ipairs(self.globals) do
    list[i] = { plugin = plugin, conf = {} }
  end
  return list
end

return M
