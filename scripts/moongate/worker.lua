-- SPDX-License-Identifier: Apache-2.0
--
-- A worker's side of changes: builds a generation of scripts when the control thread sends one,
-- uses it when all workers have built it, and adopts snapshots.
local ffi = require("ffi")

local C = require("moongate.api.core")
local generation = require("moongate.hooks.generation")
local hooks = require("moongate.hooks")
local json = require("moongate.api.json")
local settings = require("moongate.api.settings")
local vocabulary = require("moongate.settings")
local task = require("moongate.api.task")
local upstreams = require("moongate.hooks.upstreams")
local vm = require("moongate.api.vm")

local M = {}

local built = {} -- number -> generation that waits for its use
local waits -- the message `use` that came last, until it has taken effect

local function report(message)
  local text = json.encode(message)
  C.mg_report(vm, text, #text)
end

local handlers = {}

--- Builds aside; `init` hooks may wait, so this runs as a task.
function handlers.build(message)
  task.spawn(function()
    local ok, made, err = pcall(generation.new, message.number, message.files)
    if not ok then
      made, err = nil, made
    end
    built[message.number] = made
    report({ kind = "built", number = message.number, error = err })
  end)
end

-- Takes effect with the snapshot of that number: neither is made for the other one's predecessor.
function handlers.use(message)
  waits = message
end

function handlers.drop(message)
  local made = built[message.number]
  built[message.number] = nil
  if made then
    generation.retire(made)
  end
end

local function use(number)
  local made = built[number]
  built[number] = nil
  if made then
    local old = hooks.generation()
    hooks.use(made)
    generation.retire(old, hooks.holds)
  end
end

function handlers.health(message)
  upstreams.balancers:mark(message.service, message.address, message.port, message.healthy)
end

function handlers.settings(message)
  settings.apply(message.values)
end

---@param text string  JSON
function M.on_message(text)
  local message = assert(json.decode(text, true))
  handlers[message.kind](message)
end

local SWEEP_SECONDS = 60
local sweeping = false

-- What workers keep of services (balancers, kept connections) goes some time after the service.
local function sweep()
  while true do
    task.sleep(SWEEP_SECONDS)
    upstreams.balancers:sweep(function(id)
      return C.mg_snapshot_service(upstreams.current, id) == nil
    end)
  end
end

--- A snapshot is pinned to requests by C; nothing is worked out before it is asked for.
---@param pointer userdata  struct mg_snapshot *
function M.adopt(pointer)
  upstreams.current = ffi.cast("struct mg_snapshot *", pointer)
  if waits and waits.snapshot <= tonumber(C.mg_snapshot_number(upstreams.current)) then
    use(waits.number)
    waits = nil
  end
  if not sweeping then
    sweeping = true
    task.spawn(sweep)
  end
  return 0
end

--- Called once, before the thread runs.
function M.open()
  settings.apply((vocabulary.read({})))
  hooks.use(assert(generation.new(0, {})))
  return 0
end

--- Runs as a task, once the last request has ended and before the thread ends.
function M.close()
  generation.finish(hooks.generation())
  C.mg_unloaded(vm)
end

return M
