-- SPDX-License-Identifier: Apache-2.0
--
-- The log of events as the control thread sets it up for all threads: by the command line at the
-- start, by settings from then on.
local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local log = require("moongate.api.log")

local M = {}

local DEBUG, INFO, WARN, ERROR, OFF = 0, 1, 2, 3, 4

--- Of --log-level.
M.LEVELS = { debug = DEBUG, info = INFO, warn = WARN, error = ERROR, off = OFF }

-- Of nginx. What is a notice there is info here, and nothing here is worse than an error.
local BY_SETTING = { debug = DEBUG, info = INFO, notice = INFO, warn = WARN, error = ERROR,
  crit = ERROR, alert = ERROR, emerg = ERROR }

local given -- the command line says the level
local path = "" -- as the settings say; empty: standard error

local function open()
  local err = C.mg_log_open(path)
  if err < 0 then
    log.error("error_log_not_open", { path = path, error = errors.text(err),
      hint = "lines go where they went; correct error-log-path" })
  end
end

--- Once, before other threads run.
---@param level string?  of LEVELS, which wins over the settings
---@param json boolean
function M.setup(level, json)
  given = level ~= nil
  C.mg_log_setup(M.LEVELS[level or "info"], json and 1 or 0)
end

---@param values table<string, any>  typed settings
function M.apply(values)
  if not given then
    C.mg_log_least(BY_SETTING[values["error-log-level"]])
  end
  if values["error-log-path"] ~= path then
    path = values["error-log-path"]
    open()
  end
end

--- Opens a file again that may have been moved.
function M.reopen()
  if path ~= "" then
    open()
  end
end

return M
