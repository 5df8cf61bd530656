-- SPDX-License-Identifier: Apache-2.0
--
-- The process as the control thread sees it: workers that build generations and serve snapshots,
-- readiness, signals, the end.

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local event_log = require("moongate.event_log")
local json = require("moongate.api.json")
local log = require("moongate.api.log")
local task = require("moongate.api.task")
local vm = require("moongate.api.vm")

local M = {}

local SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 = 15, 2, 1, 10, 12

local state = {
  published = 0, -- number of the newest snapshot
  ready = false,
  stopping = false,
  generation = 0,
  answers = {}, -- of workers to the generation being built
}

--- Set by the command that runs: what SIGHUP and SIGUSR1 do, what ends when draining begins and
--- when it is over, how long it takes.
M.on_reload = nil
M.on_stop = nil
M.on_exit = nil
M.shutdown_seconds = 240
M.grace_seconds = 0

-- --- workers -----------------------------------------------------------------

---@return boolean  whether every worker serves the newest snapshot
function M.is_current()
  for i = 0, C.mg_worker_count(vm) - 1 do
    if C.mg_worker_serves(vm, i) < state.published then
      return false
    end
  end
  return state.published > 0
end

--- DESIGN D20: every worker serves the first complete snapshot, and nothing says stop.
function M.is_ready()
  return state.ready and not state.stopping
end

function M.is_stopping()
  return state.stopping
end

--- Numbers for /snapshot: what each worker serves.
---@return integer[]
function M.serves()
  local list = json.array({})
  for i = 0, C.mg_worker_count(vm) - 1 do
    list[i + 1] = tonumber(C.mg_worker_serves(vm, i))
  end
  return list
end

local waiters = {}

local function wake_waiters()
  local now = waiters
  waiters = {}
  for _, waiter in ipairs(now) do
    task.unpark(waiter)
  end
end

local function wait_for(condition)
  while not condition() do
    waiters[#waiters + 1] = task.current()
    task.park()
  end
end

function M.on_progress()
  if M.is_current() and not state.ready then
    state.ready = true
    log.info("serving", { snapshot = state.published, workers = C.mg_worker_count(vm) })
  end
  wake_waiters()
end

---@param text string  JSON of a worker
function M.on_message(text)
  local message = assert(json.decode(text, true))
  if message.kind == "built" and message.number == state.generation then
    table.insert(state.answers, message)
    wake_waiters()
  end
end

local function broadcast(message)
  local text = json.encode(message)
  local err = C.mg_broadcast(vm, text, #text)
  if err < 0 then
    return nil, errors.text(err)
  end
  return true
end

--- Sends typed settings to all workers.
---@param values table<string, any>
function M.settings(values)
  return broadcast({ kind = "settings", values = values })
end

--- Tells all workers what an active check of a service found out of an endpoint.
---@param service string
---@param endpoint { address: string, port: integer }
---@param healthy boolean
function M.health(service, endpoint, healthy)
  return broadcast({
    kind = "health",
    service = service,
    address = endpoint.address,
    port = endpoint.port,
    healthy = healthy,
  })
end

-- Built by all workers, to be used with the next snapshot.
local built

--- Has every worker build a generation of scripts, or none: it is used with the next snapshot.
---@param files { path: string, name: string, text: string }[]
---@return boolean? ok
---@return string? err
function M.scripts(files)
  state.generation = state.generation + 1
  state.answers = {}
  local number = state.generation
  local ok, err = broadcast({ kind = "build", number = number, files = json.array(files) })
  if not ok then
    return nil, err
  end
  wait_for(function()
    return #state.answers == C.mg_worker_count(vm)
  end)
  for _, answer in ipairs(state.answers) do
    if answer.error then
      broadcast({ kind = "drop", number = number })
      return nil, answer.error
    end
  end
  if built then
    broadcast({ kind = "drop", number = built })
  end
  built = number
  return true
end

--- Hands a snapshot to the workers; its reference is given.
---@param snapshot ffi.cdata*
---@param number integer
function M.publish(snapshot, number)
  state.published = number
  if built and broadcast({ kind = "use", number = built, snapshot = number }) then
    built = nil
  end
  C.mg_publish(vm, snapshot)
end

---@return integer
function M.published()
  return state.published
end

-- --- the end -----------------------------------------------------------------

--- Ends the process: at once when nothing runs, else after requests have ended.
---@param code integer
---@param seconds number?
function M.exit(code, seconds)
  if M.on_exit then
    M.on_exit()
    M.on_exit = nil
  end
  C.mg_drain(vm, seconds or 0, code)
end

local function stop()
  if state.stopping then
    log.info("stopping", { how = "at once" })
    M.exit(0, 0)
    return
  end
  state.stopping = true
  if M.on_stop then
    M.on_stop()
  end
  log.info("stopping", { how = "draining", seconds = M.shutdown_seconds })
  task.spawn(function()
    task.sleep(M.grace_seconds)
    M.exit(0, M.shutdown_seconds)
  end)
end

local handlers = {
  [SIGTERM] = stop,
  [SIGINT] = stop,
  [SIGHUP] = function()
    if M.on_reload then
      task.spawn(M.on_reload)
    end
  end,
  [SIGUSR1] = function()
    C.mg_log_reopen(vm)
    event_log.reopen()
  end,
  [SIGUSR2] = function()
    log.warn("upgrade_unsupported", {
      hint = "handing sockets to a new binary is not there yet; start a second gateway and stop "
        .. "this one",
    })
  end,
}

function M.on_signal(number)
  handlers[number]()
end

return M
