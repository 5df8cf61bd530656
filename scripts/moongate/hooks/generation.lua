-- SPDX-License-Identifier: Apache-2.0
--
-- One generation of scripts in one worker: modules, plugins and plans of its own. A generation is
-- built aside, with its plugins' init hooks; the old one ends when its last request has.
local json = require("moongate.api.json")
local log = require("moongate.api.log")
local plan = require("moongate.hooks.plan")
local reader = require("moongate.snapshot.reader")
local registry = require("moongate.hooks.registry")
local scripts = require("moongate.api.scripts")
local task = require("moongate.api.task")
local timer = require("moongate.api.timer")

local M = {}

local function run_init(plugins, progress)
  for _, plugin in ipairs(plugins) do
    if plugin.init then
      progress.plugin = plugin.name
      local ok, err = xpcall(plugin.init, debug.traceback, M.worker_view)
      if not ok then
        return nil, ("plugin %s: init: %s"):format(plugin.name, err)
      end
    end
  end
  return true
end

--- What init and unload see.
M.worker_view = {}

-- A plan is made once, so its fault is one line in the log of this worker.
local function decode(defined)
  return function(text)
    local made = plan.new(assert(json.decode(text, true)), defined)
    if made.fault then
      log.error("plan_rejected", { error = made.fault, hint = "its routes answer 503" })
    end
    return made
  end
end

-- Runs what scripts do when they are loaded; timers that they set belong to `timers`. `progress` is
-- for whoever does not wait any longer.
local function load_scripts(files, progress, timers)
  timer.own(timers)
  local loaded, err = scripts.load(files, progress)
  local ok
  if loaded then
    ok, err = run_init(loaded.plugins, progress)
  end
  timer.own(nil)
  return ok and loaded, err
end

-- A script that does not come back is stopped with its task, which must not be the caller's; one
-- that waits for ever is left to it. The first generation has no scripts and is made before there
-- are tasks.
local function contain(files, timers)
  if #files == 0 then
    return load_scripts(files, {}, timers)
  end
  return scripts.contain(function(list, progress)
    return load_scripts(list, progress, timers)
  end, files)
end

--- Builds a generation. Errors carry the script's file and line.
---@param number integer
---@param files { path: string, text: string }[]
---@return table? generation
---@return string? err
function M.new(number, files)
  local timers = {}
  local loaded, err = contain(files, timers)
  local plugins, global
  if loaded then
    plugins = registry.new(loaded.plugins)
    global = plan.new({}, plugins)
    err = global.fault
  end
  if err then
    timer.release(timers)
    return nil, err
  end
  return {
    number = number,
    plugins = loaded.plugins,
    registry = plugins,
    global = global,
    plans = reader.plans(decode(plugins)),
    timers = timers,
  }
end

local HELD_SECONDS = 0.1 -- between two looks at the requests that hold a generation

local function unload(plugins)
  for _, plugin in pairs(plugins) do
    if plugin.unload then
      local ok, err = xpcall(plugin.unload, debug.traceback, M.worker_view)
      if not ok then
        log.error("plugin_failed", { plugin = plugin.name, hook = "unload", error = err })
      end
    end
  end
end

--- Runs `unload` hooks, ends timers. Waits.
---@param generation table
function M.close(generation)
  pcall(task.contain, unload, generation.plugins) -- what is stopped there is logged there
  timer.release(generation.timers)
end

--- Ends the last generation, and then the plugins in the binary, which all have shared. Waits.
---@param generation table
function M.finish(generation)
  M.close(generation)
  pcall(task.contain, unload, registry.bundled)
end

--- Ends a generation, once no request holds it: `unload` hooks run, compiled code that refers to it
--- goes.
---@param generation table
---@param is_held (fun(generation: table): boolean)?
function M.retire(generation, is_held)
  task.spawn(function()
    while is_held and is_held(generation) do
      task.sleep(HELD_SECONDS)
    end
    M.close(generation)
    -- Traces pin the prototypes of the old code: without this, memory grows with each reload.
    jit.flush()
  end)
end

return M
