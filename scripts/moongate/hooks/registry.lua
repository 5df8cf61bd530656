-- SPDX-License-Identifier: Apache-2.0
--
-- The plugins of one generation: those in the binary, loaded when they are first named, and those
-- that the scripts define.
local nearest = require("moongate.nearest")

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

--- Those in the binary that this thread has loaded: one module for all generations.
---@type table<string, moongate.Plugin>
M.bundled = {}

local function load_bundled(name)
  if not name:match("^[%w][%w%-]*$") then
    return nil
  end
  local ok, plugin = pcall(require, "plugins." .. name)
  if ok then
    M.bundled[name] = plugin
    return plugin
  elseif not tostring(plugin):find(("module 'plugins.%s'"):format(name), 1, true) then
    return nil, tostring(plugin)
  end
end

-- Names of the plugins in the binary; specs run without one.
local function bundled_names()
  local host = package.loaded["moongate.host"]
  local names = {}
  for _, path in ipairs(host and host.names("plugins/") or {}) do
    names[#names + 1] = path:match("^plugins/([^/]+)/init%.lua$")
  end
  return names
end

local function unknown(self, name)
  local known = {}
  for plugin in pairs(self.plugins) do
    known[plugin] = true
  end
  for _, plugin in ipairs(bundled_names()) do
    known[plugin] = true
  end
  local near = nearest.of(name, known)
  local hint = near and ("; did you mean %q?"):format(near) or ""
  return ("unknown plugin %q%s"):format(name, hint)
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
  if not plugin then
    return nil, err or unknown(self, name)
  end
  return plugin
end

-- What the hooks get as `conf`, with a warning perhaps; or nil and what is wrong.
local function prepare(plugin, conf)
  if not plugin.prepare then
    return conf
  end
  local ok, prepared, err = pcall(plugin.prepare, conf)
  if ok and prepared ~= nil then
    return prepared, err
  end
  return nil, tostring(ok and err or prepared)
end

local function add(faults, message, severity)
  faults = faults or {}
  faults[#faults + 1] = { message = message, severity = severity }
  return faults
end

local function sentence(faults)
  local list = {}
  for i, fault in ipairs(faults) do
    local hint = fault.hint and "; " .. fault.hint or ""
    list[i] = (fault.path and fault.path .. ": " or "") .. fault.message .. hint
  end
  return table.concat(list, "; ")
end

--- Checks a plugin's configuration, fills its defaults in and prepares it.
---@param wanted { name: string, config: table?, id: string? }
---@return table? instance  {plugin, conf, id}
---@return moongate.SchemaFault[]? faults  without `path` when they are not about one field
function Registry:read(wanted)
  local plugin, err = self:find(wanted.name)
  if not plugin then
    return nil, add(nil, err, "error")
  end
  local conf, faults = wanted.config or {}, nil
  if plugin.config then
    conf, faults = plugin.config:read(conf)
    if conf == nil then
      return nil, faults
    end
  end
  conf, err = prepare(plugin, conf)
  if conf == nil then
    return nil, add(faults, err, "error")
  elseif err then
    faults = add(faults, err, "warning")
  end
  return { plugin = plugin, conf = conf, id = wanted.id }, faults
end

--- As `read`, with one message for all faults.
---@param wanted { name: string, config: table?, id: string? }
---@return table? instance
---@return string? err
function Registry:instance(wanted)
  local instance, faults = self:read(wanted)
  if not instance then
    return nil, ("plugin %s: %s"):format(wanted.name, sentence(faults))
  end
  return instance
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
