-- SPDX-License-Identifier: Apache-2.0
--
-- One generation of scripts in one worker: modules, plugins and plans of its own. A generation is
-- built aside, with its plugins' init hooks; the old one ends when its last request has.
local C = require("moongate.api.core")
local json = require("moongate.api.json")
local log = require("moongate.api.log")
local plan = require("moongate.hooks.plan")
local reader = require("moongate.snapshot.reader")
local registry = require("moongate.hooks.registry")
local scripts = require("moongate.api.scripts")
local task = require("moongate.api.task")
local timer = require("moongate.api.timer")

local M = {}

local INIT_SECONDS = 30

local function run_init(plugins)
  for _, plugin in ipairs(plugins) do
    if plugin.init then
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
    local made = plan.new(assert(json.decode(text)), defined)
    if made.fault then
      log.error("plan_rejected", { error = made.fault, hint = "its routes answer 503" })
    end
    return made
  end
end

-- Runs what scripts do when they are loaded; timers that they set belong to `timers`.
local function load_scripts(files, timers)
  timer.own(timers)
  local started = C.mg_time_monotonic()
  local loaded, err = scripts.load(files)
  local ok
  if loaded then
    ok, err = run_init(loaded.plugins)
  end
  timer.own(nil)
  if ok and C.mg_time_monotonic() - started > INIT_SECONDS then
    ok, err = nil, ("init took longer than %d s"):format(INIT_SECONDS)
  end
  return ok and loaded, err
end

-- A script that does not come back is stopped with its task, which must not be the caller's. The
-- first generation has no scripts and is made before there are tasks.
local function contain(load, files, timers)
  if #files == 0 then
    return load(files, timers)
  end
  local ok, loaded, err = pcall(task.contain, load, files, timers)
  if ok then
    return loaded, err
  end
  return nil, loaded
end

--- Builds a generation. Errors carry the script's file and line.
---@param number integer
---@param files { path: string, text: string }[]
---@return table? generation
---@return string? err
function M.new(number, files)
  local timers = {}
  local loaded, err = contain(load_scripts, files, timers)
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

local function unload(generation)
  for _, plugin in ipairs(generation.plugins) do
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
  pcall(task.contain, unload, generation) -- what is stopped there is logged there
  timer.release(generation.timers)
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
