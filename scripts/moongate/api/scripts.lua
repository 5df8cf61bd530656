-- SPDX-License-Identifier: Apache-2.0
--
-- Script files of a user: each in an environment of its own that forbids new globals, with modules
-- of the same folder found by `require`. The text comes from the control thread, so that all states
-- see the same.
local plugin_api = require("moongate.api.plugin")
local task = require("moongate.api.task")
local tasks = require("moongate.api.tasks")
local timer = require("moongate.api.timer")

local M = {}

local LOAD_SECONDS = 30 -- with the init hooks of their plugins

local function strict(path)
  return setmetatable({}, {
    __index = _G,
    __newindex = function(_, name)
      local where = debug.getinfo(2, "Sl")
      local text = "%s:%d: assigns global %q (missing 'local'?)"
      error(text:format(where.short_src, where.currentline, tostring(name)), 0)
    end,
    __name = path,
  })
end

local function module_name(path)
  return (path:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

-- `return mg.plugin{…}` is a tail call, which leaves no trace of the line that it stands in: its
-- complaints come without one.
local function with_place(err, file)
  err = tostring(err)
  if err:find("^[^\n]-:%d+: ") then
    return err
  end
  local last, line = 1, 0
  for text in (file.text .. "\n"):gmatch("([^\n]*)\n") do
    line = line + 1
    last = text:find("^return%f[%W]") and line or last
  end
  return ("%s:%d: %s"):format(file.path, last, err)
end

local function loader(files)
  local by_name, loaded = {}, {}
  for _, file in ipairs(files) do
    by_name[module_name(file.name)] = file
  end
  local run
  local function require_local(name)
    local file = by_name[name]
    if not file then
      return require(name)
    end
    return run(file)
  end
  function run(file)
    local known = loaded[file]
    if known then
      if known.busy then
        error(("%s: requires itself"):format(file.path), 0)
      end
      return known.value
    end
    local chunk, err = loadstring(file.text, "@" .. file.path)
    if not chunk then
      error(err, 0)
    end
    local state = { busy = true }
    loaded[file] = state
    local env = strict(file.path)
    timer.own_environment(env)
    rawset(env, "require", require_local)
    setfenv(chunk, env)
    local ok, value = pcall(chunk)
    if not ok then
      error(with_place(value, file), 0)
    end
    loaded[file] = { value = value == nil and true or value }
    return loaded[file].value
  end
  return run
end

local function with_traceback(err)
  return tostring(err)
end

-- Names of the plugins in the binary. Specs run without one.
local function bundled_names()
  local host = package.loaded["moongate.host"]
  local names = {}
  for _, path in ipairs(host and host.names("plugins/") or {}) do
    names[path:match("^plugins/([^/]+)/init%.lua$") or path] = true
  end
  return names
end

-- Objects name plugins, translated annotations among them: `auth-type: basic` must never come to
-- mean another plugin because a file has that name.
local function check_name(plugin, file, others, bundled)
  local other = others[plugin.name]
  local owner = bundled[plugin.name] and "one in the binary" or other and "the one of " .. other
  if owner then
    error(with_place(("plugin %s has the name of %s; give it another name"):format(plugin.name,
      owner), file), 0)
  end
  others[plugin.name] = file.path
end

--- Runs all files and collects what they define.
---@param files { path: string, name: string, text: string }[]  `name`: path below the folder
---@param progress { file: string? }  the file that is run
---@return { plugins: moongate.Plugin[], routes: table[], settings: table[] }? loaded
---@return string? err  with file and line
function M.load(files, progress)
  local collected = plugin_api.collect_begin()
  local run = loader(files)
  local plugins = {}
  local names, bundled = {}, bundled_names()
  local ok, err = xpcall(function()
    for _, file in ipairs(files) do
      collected.file, progress.file = file.path, file.path
      local value = run(file)
      if plugin_api.is_plugin(value) then
        value.name = value.name or module_name(file.name)
        check_name(value, file, names, bundled)
        value.file = file.path
        plugins[#plugins + 1] = value
      end
    end
  end, with_traceback)
  plugin_api.collect_end(collected)
  if not ok then
    return nil, err
  end
  return { plugins = plugins, routes = collected.routes, settings = collected.settings }
end

-- Of a task that was stopped, what is said and where in the file that was run.
local function stopped_at(err, file)
  local line = err:match("\n%s*" .. file:gsub("%p", "%%%0") .. ":(%d+): in ")
  return line and ("%s:%s: %s"):format(file, line, err:match("^[^\n]*")) or err
end

local function overdue(progress)
  local what = progress.plugin and ("plugin %s: init"):format(progress.plugin)
    or progress.file .. ": loading"
  return ("%s took longer than %d s"):format(what, LOAD_SECONDS)
end

--- Calls what runs files, in a task of its own: one that does not come back is stopped with it, one
--- that waits for ever is left to it.
---@param fn fun(files: table, progress: { file: string?, plugin: string? }): table?, string?
---@return table? loaded
---@return string? err
function M.contain(fn, files)
  local progress = {}
  local one = task.spawn(fn, files, progress)
  local loaded, err, code = tasks.join(one, LOAD_SECONDS)
  if code == "timeout" then
    return nil, overdue(progress)
  elseif not one.ok then
    return nil, stopped_at(err, progress.file)
  end
  return loaded, err
end

return M
