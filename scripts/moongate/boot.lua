-- SPDX-License-Identifier: Apache-2.0
--
-- What C calls of each Lua state: its entry points by name. The control thread runs the command of
-- the command line and answers the admin listener; workers run hooks.
local ffi = require("ffi")

local host = require("moongate.host")
local task = require("moongate.api.task")

local M = {}

task.install()
-- A request's whole way through Lua is to be one trace: longer than LuaJIT's defaults allow, and
-- with more tail calls, which count as unrolled loops.
jit.opt.start("maxtrace=8000", "maxrecord=16000", "maxirconst=4000", "maxsnap=2000")
jit.opt.start("maxmcode=65536", "loopunroll=80")
local log = require("moongate.api.log")

function task.on_error(err)
  log.error("task_failed", { error = err })
end

M.start = task.start

-- What hears of a request whose hook was stopped: (stage, slot, error).
local request_stopped = function(_, _, err)
  log.error("script_failed", { error = err })
end

--- The watchdog has ended a task; it is never resumed.
---@param stage integer  enum mg_stage; -1: a task of task.spawn
---@param number integer  the request's slot, or the task's number
---@param err string  with a traceback
function M.stopped(stage, number, err)
  if stage >= 0 then
    request_stopped(stage, number, err)
  elseif not task.stopped(number, err) then
    log.error("script_failed", { error = err })
  end
end

local function text_of(pointer)
  local text = ffi.cast("const struct mg_text *", pointer)
  return ffi.string(text.data, text.length)
end

if host.role == "worker" then
  local hooks = require("moongate.hooks")
  local worker = require("moongate.worker")

  M.dispatch = hooks.dispatch
  -- The live heap is small: collecting less often costs a few megabytes and saves marking it.
  collectgarbage("setpause", 400)

  request_stopped = hooks.stopped
  M.worker = worker.open
  M.unload = worker.close
  M.hello = require("moongate.hooks.hello").run
  M.choose = require("moongate.hooks.ports").choose

  --- A snapshot is to be served from the next request on.
  function M.adopt(pointer)
    return worker.adopt(pointer)
  end

  --- Words of the control thread.
  function M.on_message(pointer)
    worker.on_message(text_of(pointer))
  end
else
  local control = require("moongate.control.process")

  require("moongate.api.timer").is_off = true
  local answer = require("moongate.admin").dispatch

  --- Requests of this thread's own: of the admin listener, unless a test takes them.
  function M.dispatch(stage, slot)
    return answer(stage, slot)
  end

  --- From now on `dispatch` answers them: hooks.dispatch in `moongate test`.
  ---@param dispatch fun(stage: integer, slot: integer): integer
  function M.answer_by(dispatch)
    answer = dispatch
  end

  M.main = require("moongate.command").main

  --- Words of a worker.
  function M.on_message(pointer)
    control.on_message(text_of(pointer))
  end

  --- A worker has adopted a snapshot, or has ended.
  function M.on_progress()
    control.on_progress()
  end

  function M.on_signal(pointer)
    control.on_signal(tonumber(ffi.cast("intptr_t", pointer)))
  end
end

return M
