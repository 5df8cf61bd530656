-- SPDX-License-Identifier: Apache-2.0
--
-- Manifests and scripts as they are now, and word of their changes. Comes before everything else
-- that happens at a change.
local folder = require("moongate.control.source.folder")
local log = require("moongate.api.log")
local watch = require("moongate.control.source.watch")

local M = {}

--- How often files are looked at where changes may come without word.
M.LOOK_SECONDS = 5

local HINT = ("raise fs.inotify.max_user_instances and fs.inotify.max_user_watches; until then "
  .. "files are looked at every %d s"):format(M.LOOK_SECONDS)

---@class moongate.Source
---@field anew boolean?         the next reading takes nothing from the one before
---@field fault moongate.Fault? what cannot be watched
---@field looks_again boolean?  something may change without word
local Source = {}
Source.__index = Source

---@param sources { manifests: string[], scripts: string[] }
---@return moongate.Source
function M.new(sources)
  return setmetatable({ sources = sources, watch = watch.new(), known = {} }, Source)
end

-- Says once that changes are not told, and once that they are again; returns whether it did.
local function judge_watch(self)
  local failed = self.watch.failed
  local told = (failed ~= nil) ~= (self.fault ~= nil)
  if told and failed then
    log.warn("watch_failed", { path = failed.path, error = failed.err, hint = HINT })
    self.fault = { severity = "warning", file = failed.path, code = "unwatched",
      message = ("cannot be watched: %s; %s"):format(failed.err, HINT) }
  elseif told then
    log.info("watch_restored", {})
    self.fault = nil
  end
  return told
end

-- What cannot be read may come back without word, as on a file system of the network.
local function has_error(files)
  for _, file in ipairs(files) do
    if file.err then
      return true
    end
  end
  return false
end

local function scan(self, kind, wanted)
  local files, known, changed = folder.scan(self.sources[kind], wanted,
    { known = self.known[kind], anew = self.anew, watch = self.watch })
  self.known[kind] = known
  return files, changed
end

--- Reads what has changed, and watches what there is.
---@return { manifests: table[], scripts: table[], scripts_changed: boolean, changed: boolean }
---  files of folder.scan; `changed`: any of them, or `fault`
function Source:read()
  self.watch:begin()
  local manifests, manifests_changed = scan(self, "manifests", folder.is_manifest)
  local scripts, scripts_changed = scan(self, "scripts", folder.is_script)
  self.watch:sweep()
  self.anew = false
  self.looks_again = self.watch.is_blind or has_error(manifests) or has_error(scripts)
  local told = judge_watch(self)
  return {
    manifests = manifests,
    scripts = scripts,
    scripts_changed = scripts_changed,
    changed = manifests_changed or scripts_changed or told,
  }
end

--- Waits for a change.
---@return integer  below 0: it is closed
function Source:wait()
  return self.watch:wait()
end

function Source:close()
  self.watch:close()
end

return M
