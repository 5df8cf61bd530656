-- SPDX-License-Identifier: Apache-2.0
--
-- mg.plugin, mg.route and mg.settings: what a script file declares.
local M = {}

local HOOKS = {
  init = true,
  configure = false,
  client_hello = true,
  rewrite = true,
  access = true,
  request_body = true,
  balance = true,
  upstream_request = true,
  response = true,
  response_body = true,
  log = true,
  message = false,
  unload = true,
}

local KEYS = {
  name = "string",
  version = "string",
  summary = "string",
  stage = "string",
  after = "table",
  before = "table",
  config = "table",
  prepare = "function",
  needs = "function",
  decides = "function",
  on_error = "string",
  keeps_length = "boolean",
  releases = "boolean",
}

local STAGES = {
  edge = true,
  redirect = true,
  cors = true,
  authenticate = true,
  authorize = true,
  limit = true,
  validate = true,
  cache = true,
  transform = true,
  route = true,
  sign = true,
  observe = true,
}

local ON_ERROR = { fail_open = true, fail_closed = true }

local PLUGIN = { __name = "moongate.plugin" }

local collecting

local function known_keys()
  local known = {}
  for key in pairs(KEYS) do
    known[key] = true
  end
  for key in pairs(HOOKS) do
    known[key] = true
  end
  return known
end

local function unknown_key(key)
  local near = require("moongate.nearest").of(tostring(key), known_keys())
  local hint = near and (", did you mean %q?"):format(near) or ""
  return ("mg.plugin: unknown key %q%s"):format(tostring(key), hint)
end

local function check_key(key, value)
  local kind = KEYS[key]
  if kind then
    if type(value) ~= kind then
      return ("mg.plugin: %s is a %s, not a %s"):format(key, kind, type(value))
    end
  elseif HOOKS[key] == nil then
    return unknown_key(key)
  elseif type(value) ~= "function" then
    return ("mg.plugin: hook %s is a function, not a %s"):format(key, type(value))
  elseif not HOOKS[key] then
    return ("mg.plugin: hook %s is not there yet in this version"):format(key)
  end
end

--- Declares a plugin; a script file returns it.
---
--- `prepare(conf)` works out once what follows from a configuration alone (compiled patterns, sets
--- of networks) and returns what the hooks get as `conf` instead, and perhaps a warning. It runs in
--- the control thread too, where nil and a message, or an error, makes the routes that have this
--- configuration answer 503; it must not wait. `needs(hook, conf)`, asked after it, says whether a
--- hook has anything to do with this configuration: one that has not costs nothing. `decides(conf)`
--- says whether a hook before the service is asked may answer or choose another service; without it
--- those that have such a hook may. It is for people, and changes nothing.
---@generic Config
---@param definition moongate.Plugin<Config>
---@return moongate.Plugin<Config>
function M.plugin(definition)
  if type(definition) ~= "table" then
    error("mg.plugin takes a table", 2)
  end
  for key, value in pairs(definition) do
    local err = check_key(key, value)
    if err then
      error(err, 2)
    end
  end
  if definition.config and definition.client_hello then
    error("mg.plugin: client_hello sees connections, which have no route; a plugin with it has no "
      .. "config", 2)
  end
  if definition.config and type(definition.config.read) ~= "function" then
    error("mg.plugin: config is a type of mg.schema, such as s.record{…}", 2)
  end
  definition.stage = definition.stage or "transform"
  if not STAGES[definition.stage] then
    error(("mg.plugin: no stage %q; the stages are in docs/plugins.md"):format(definition.stage), 2)
  elseif definition.on_error and not ON_ERROR[definition.on_error] then
    error("mg.plugin: on_error is \"fail_open\" or \"fail_closed\"", 2)
  end
  return setmetatable(definition, PLUGIN)
end

---@return boolean
function M.is_plugin(value)
  return getmetatable(value) == PLUGIN
end

local function declare(list, what)
  return function(declaration)
    if not collecting then
      error(("mg.%s belongs at the top of a script file, where it runs when the file is "
        .. "loaded"):format(what), 2)
    elseif type(declaration) ~= "table" then
      error(("mg.%s takes a table"):format(what), 2)
    end
    for name in pairs(declaration) do
      if type(name) ~= "string" then
        error(("mg.%s takes a table of names and values; %s is no name"):format(what,
          tostring(name)), 2)
      end
    end
    local where = debug.getinfo(2, "Sl")
    local file = where.source:gsub("^@", "")
    table.insert(collecting[list], { value = declaration, file = file, line = where.currentline })
  end
end

M.route = declare("routes", "route")
M.settings = declare("settings", "settings")

--- What routes and settings are declared until collect_end is in the table that is returned.
function M.collect_begin()
  collecting = { routes = {}, settings = {} }
  return collecting
end

--- Of a collection that another has taken the place of, nothing.
---@param collected table  of collect_begin
function M.collect_end(collected)
  if collecting == collected then
    collecting = nil
  end
end

return M
