-- SPDX-License-Identifier: Apache-2.0
--
-- Files below folders, and word of their changes. Symbolic links are followed, hidden names passed
-- over: a mounted ConfigMap swaps its content through the link ..data, which its visible names lead
-- to.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local task = require("moongate.api.task")
local vm = require("moongate.api.vm")

local M = {}

local FILE, FOLDER = 1, 2
local DEPTH_MAX = 16
local FILE_BYTES_MAX = 64 * 1048576
-- An editor's or kubelet's several steps within this time are one change.
local QUIET_SECONDS = 0.01

local text = ffi.new("struct mg_text")
local stamp = ffi.new("uint64_t[1]")

local function names_in(folder)
  local result = C.mg_file_list(folder, text)
  if result < 0 then
    return nil, errors.text(result)
  end
  local names = {}
  for name in ffi.string(text.data, text.length):gmatch("[^%z]+") do
    names[#names + 1] = name
  end
  C.mg_file_free(text)
  return names
end

local function read(path)
  local result = C.mg_file_read(path, FILE_BYTES_MAX, text)
  if result < 0 then
    return nil, errors.text(result)
  end
  local content = ffi.string(text.data, text.length)
  C.mg_file_free(text)
  return content
end

local walk

local function walk_folder(found, path, wanted, base, depth)
  found.folders[#found.folders + 1] = path
  local names, err = names_in(path)
  if not names then
    found.files[#found.files + 1] = { path = path, err = err }
    return
  end
  for _, name in ipairs(names) do
    if name:sub(1, 1) ~= "." then
      walk(found, path .. "/" .. name, wanted, base, depth + 1)
    end
  end
end

function walk(found, path, wanted, base, depth)
  local kind = C.mg_file_stat(path, stamp)
  if kind == FOLDER and depth <= DEPTH_MAX then
    walk_folder(found, path, wanted, base, depth)
  elseif kind == FILE and (wanted(path) or depth == 0) then
    local name = path:sub(#base + 2)
    found.files[#found.files + 1] =
      { path = path, name = name ~= "" and name or path, stamp = tostring(stamp[0]) }
  elseif kind <= 0 and depth == 0 then
    local err = kind < 0 and errors.text(kind) or "no such file or folder"
    found.files[#found.files + 1] = { path = path, name = path, err = err }
  end
end

-- Fills in the content of files; returns them by path, and whether anything differs from `known`.
local function read_changed(files, known)
  local now, changed = {}, false
  for _, file in ipairs(files) do
    local before = known[file.path]
    if before and file.stamp and before.stamp == file.stamp then
      file.text, file.err = before.text, before.err
    elseif not file.err then
      file.text, file.err = read(file.path)
    end
    changed = changed or not before or before.text ~= file.text or before.err ~= file.err
    now[file.path] = file
  end
  for path in pairs(known) do
    changed = changed or not now[path]
  end
  return now, changed
end

--- Files below the given paths, in the order of paths and names, with their content.
---@param paths string[]  folders or files
---@param wanted fun(path: string): boolean  which files of a folder count
---@param known table<string, table>?  of the last scan: what has not changed is not read again
---@return { path: string, name: string, text: string?, err: string?, stamp: string? }[] files
---@return string[] folders  to be watched
---@return table<string, table> known
---@return boolean changed
function M.scan(paths, wanted, known)
  local found = { files = {}, folders = {} }
  for _, path in ipairs(paths) do
    path = #path > 1 and path:gsub("/+$", "") or path
    walk(found, path, wanted, path, 0)
  end
  local now, changed = read_changed(found.files, known or {})
  return found.files, found.folders, now, changed
end

---@return boolean
function M.is_manifest(path)
  return path:match("%.ya?ml$") ~= nil or path:match("%.json$") ~= nil
end

--- Specs beside the scripts are not part of the gateway.
---@return boolean
function M.is_script(path)
  return path:match("%.lua$") ~= nil and not path:match("_spec%.lua$")
end

local CLOSED = -1

local Watch = {}
Watch.__index = Watch

--- Watches folders; `set` says which from time to time, `wait` waits for a change in one of them.
function M.watch()
  return setmetatable({ handle = C.mg_watch_new(vm) }, Watch)
end

---@param ... string[]  folders
function Watch:set(...)
  if not self.handle then
    return
  end
  for _, folders in ipairs({ ... }) do
    for _, folder in ipairs(folders) do
      C.mg_watch_add(self.handle, folder) -- one that cannot be watched is read with the others
    end
  end
  C.mg_watch_sweep(self.handle)
end

---@return integer  below 0: it is closed
function Watch:wait()
  return self.handle and task.wait(C.mg_watch_wait(vm, self.handle, QUIET_SECONDS)) or CLOSED
end

function Watch:close()
  if self.handle then
    C.mg_watch_close(self.handle)
    self.handle = nil
  end
end

return M
