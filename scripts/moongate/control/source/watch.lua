-- SPDX-License-Identifier: Apache-2.0
--
-- Word of changes in folders, and of changes of what a path leads to: a folder or a link on the way
-- may be replaced, go away and come back. `begin`, then what is to be watched, then `sweep`.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local task = require("moongate.api.task")
local vm = require("moongate.api.vm")

local M = {}

-- An editor's or kubelet's several steps within this time are one change.
local QUIET_SECONDS = 0.01
-- What goes on and on, as a log that is written there, puts others off for no longer than this.
local LONGEST_SECONDS = 0.5
local LINKS_MAX = 40 -- as the kernel
local CLOSED = -1

-- Of a folder that has just gone, whose parent tells; and of one that may be entered but not
-- listed, where a fault of the scan says so if it matters.
local EXPECTED = { enoent = true, enotdir = true, eacces = true }

local text = ffi.new("struct mg_text")

---@class moongate.Watch
---@field failed { path: string, err: string }?  the first that could not be watched since `begin`
---@field is_blind boolean?  there are some that are not watched, for whatever reason
local Watch = {}
Watch.__index = Watch

---@return moongate.Watch
function M.new()
  return setmetatable({ handle = C.mg_watch_new(vm), seen = {}, steps = {} }, Watch)
end

--- What is not named from here to `sweep` is watched no more.
function Watch:begin()
  self.seen, self.steps, self.failed, self.is_blind = {}, {}, nil, false
end

local function add(self, path, filter)
  local key = path .. "\0" .. (filter or "")
  if self.seen[key] or not self.handle then
    return
  end
  self.seen[key] = true
  local result = C.mg_watch_add(self.handle, path, filter)
  if result < 0 then
    self.is_blind = true
    if not EXPECTED[errors.name(result)] then
      self.failed = self.failed or { path = path, err = errors.text(result) }
    end
  end
end

--- Watches what is in a folder.
---@param path string
---@param endings string[]?  of the plain files that count; all unless given
function Watch:folder(path, endings)
  add(self, path, endings and "/" .. table.concat(endings, "/"))
end

--- Watches what is in a file.
---@param path string
function Watch:file(path)
  add(self, path, "")
end

-- What a link says, or false; nil where there is nothing, or nothing to be seen.
local function target_of(path)
  local result = C.mg_file_link(path, text)
  if result < 0 then
    if errors.name(result) == "einval" then
      return false
    end
    return nil
  end
  local target = ffi.string(text.data, text.length)
  C.mg_file_free(text)
  return target
end

-- Watches a name in a folder; returns what target_of says of it.
local function step(self, folder, path, name)
  local known = self.steps[path]
  if known == nil then
    add(self, folder, name)
    known = { target = target_of(path) }
    self.steps[path] = known
  end
  return known.target
end

-- Puts the names of a path on a stack, the first on top.
local function push(names, path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    parts[#parts + 1] = part
  end
  for i = #parts, 1, -1 do
    names[#names + 1] = parts[i]
  end
end

--- Watches every name that a path leads through, those of links' targets as well, as far as there
--- is something.
---@param folder string  where the path begins
---@param path string
function Watch:follow(folder, path)
  local names, links = {}, 0
  push(names, path)
  while #names > 0 and links <= LINKS_MAX do
    local name = table.remove(names)
    local at = folder == "/" and folder .. name or folder .. "/" .. name
    local target = false
    if name ~= "." and name ~= ".." then
      target = step(self, folder, at, name)
    end
    if target == nil then
      return
    elseif target then
      links = links + 1
      push(names, target)
      folder = target:sub(1, 1) == "/" and "/" or folder
    else
      folder = at
    end
  end
end

function Watch:sweep()
  if self.handle then
    C.mg_watch_sweep(self.handle)
  end
end

--- Waits for a change.
---@return integer  below 0: it is closed
function Watch:wait()
  if not self.handle then
    return CLOSED
  end
  return task.wait(C.mg_watch_wait(vm, self.handle, QUIET_SECONDS, LONGEST_SECONDS))
end

function Watch:close()
  if self.handle then
    C.mg_watch_close(self.handle)
    self.handle = nil
  end
end

return M
