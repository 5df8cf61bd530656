-- SPDX-License-Identifier: Apache-2.0
--
-- Files below folders, with their content. Symbolic links are followed, hidden names passed
-- over: a mounted ConfigMap swaps its content through the link ..data, which its visible names lead
-- to. A file or folder that cannot be read is among the files, with what is wrong: what it held is
-- not known to be gone.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")

local M = {}

local NOTHING, FILE, FOLDER = 0, 1, 2
local DEPTH_MAX = 16
local FILE_BYTES_MAX = 64 * 1048576

local function set_of(list)
  local set = {}
  for _, one in ipairs(list) do
    set[one] = true
  end
  return set
end

local MANIFEST_ENDINGS = { ".yaml", ".yml", ".json" }
local IS_MANIFEST_ENDING = set_of(MANIFEST_ENDINGS)
local SCRIPT_ENDINGS = { ".lua" }
local IS_SCRIPT_ENDING = set_of(SCRIPT_ENDINGS)

local function ending_of(path)
  return path:match("%.[^./]+$") or ""
end

---@return boolean
function M.is_manifest(path)
  return IS_MANIFEST_ENDING[ending_of(path)] == true
end

--- Specs beside the scripts are not part of the gateway.
---@return boolean
function M.is_script(path)
  return IS_SCRIPT_ENDING[ending_of(path)] == true and not path:match("_spec%.lua$")
end

-- Of what they want, for a watch.
local ENDINGS = { [M.is_manifest] = MANIFEST_ENDINGS, [M.is_script] = SCRIPT_ENDINGS }

local text = ffi.new("struct mg_text")
local facts = ffi.new("struct mg_file_facts")

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

-- --- one walk ----------------------------------------------------------------

-- Of what mg_file_stat was asked for last.
local function identity()
  return tostring(facts.device) .. tostring(facts.inode)
end

local function name_of(found, path)
  local name = path:sub(#found.base + 2)
  return name ~= "" and name or path
end

local function fail(found, path, err)
  found.files[#found.files + 1] = { path = path, name = name_of(found, path), err = err }
end

-- Whether an earlier path of the list has given this very file.
local function is_given(found)
  if found.is_alone then
    return false -- and nothing to be worked out for each of thousands
  end
  local id = identity()
  found.given[id] = found.given[id] or found.base
  return found.given[id] ~= found.base
end

local function add_file(found, path)
  if not is_given(found) then
    local stamp = facts.stamp ~= 0 and tostring(facts.stamp) or nil
    found.files[#found.files + 1] = { path = path, name = name_of(found, path), stamp = stamp }
  end
end

-- Whether the last scan found something at or below a path.
local function knows(found, path)
  local below = path .. "/"
  if found.known[path] then
    return true
  end
  for known in pairs(found.known) do
    if known:sub(1, #below) == below then
      return true
    end
  end
  return false
end

local walk

-- A folder may be listed where nothing in it can be looked at: each name would be an error.
local function visible_names(path)
  local result = C.mg_file_stat(path .. "/.", facts)
  if result < 0 then
    return nil, errors.text(result)
  end
  return names_in(path)
end

local function walk_folder(found, path, depth)
  local id = identity()
  if found.above[id] then
    return -- a link to a folder that this one is in
  elseif depth > DEPTH_MAX then
    return fail(found, path, ("lies more than %d folders deep"):format(DEPTH_MAX))
  end
  if found.watch then -- before it is read: what changes from here on is told
    found.watch:folder(path, ENDINGS[found.wanted])
  end
  local names, err = visible_names(path)
  if not names then
    return fail(found, path, err)
  end
  found.above[id] = true
  for _, name in ipairs(names) do
    if name:sub(1, 1) ~= "." then
      walk(found, path, name, depth + 1)
    end
  end
  found.above[id] = nil
end

-- What is wrong with a path that is neither file nor folder.
local function error_of(kind)
  if kind < 0 then
    return errors.text(kind)
  elseif kind ~= NOTHING then
    return "is neither file nor folder"
  end
  return facts.is_link ~= 0 and "the link leads to nothing" or "no such file or folder"
end

-- Below a given path, a name that leads to nothing is an error where a file or folder was to be.
local function is_missed(found, path, kind)
  return (kind < 0 or kind == NOTHING and facts.is_link ~= 0)
    and (found.wanted(path) or knows(found, path))
end

-- A file that no folder of ours tells of: it is given by its path, or behind a link.
local function watch_file(found, path, depth)
  if found.watch and (depth == 0 or facts.is_link ~= 0) then
    found.watch:file(path)
  end
end

local function walk_path(found, path, kind, depth)
  if kind == FOLDER then
    walk_folder(found, path, depth)
  elseif kind == FILE then
    if found.wanted(path) or depth == 0 then
      watch_file(found, path, depth)
      add_file(found, path)
    end
  elseif depth == 0 or is_missed(found, path, kind) then
    fail(found, path, error_of(kind))
  end
end

-- Something in a folder. What a link leads to may change while the folder does not.
function walk(found, folder, name, depth)
  local path = folder .. "/" .. name
  local kind = C.mg_file_stat(path, facts)
  if facts.is_link ~= 0 and found.watch then
    found.watch:follow(folder, name)
    kind = C.mg_file_stat(path, facts)
  end
  walk_path(found, path, kind, depth)
end

local function walk_all(found, paths)
  local walked = {}
  for _, path in ipairs(paths) do
    path = #path > 1 and path:gsub("/+$", "") or path
    path = path ~= "" and path or "/"
    if not walked[path] then
      walked[path] = true
      found.base = path
      if found.watch then
        found.watch:follow(path:sub(1, 1) == "/" and "/" or ".", path)
      end
      walk_path(found, path, C.mg_file_stat(path, facts), 0)
    end
  end
end

-- --- content -----------------------------------------------------------------

local function read_file(file, before, anew)
  if not anew and before and before.text and file.stamp and before.stamp == file.stamp then
    file.text = before.text
  elseif not file.err then
    file.text, file.err = read(file.path)
  end
end

-- Fills in the content of files; returns them by path, and whether anything differs from `known`.
local function read_changed(files, known, anew)
  local now, changed = {}, false
  for _, file in ipairs(files) do
    local before = known[file.path]
    read_file(file, before, anew)
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
---@param options? { known: table<string, table>?, anew: boolean?, watch: moongate.Watch? }
---  `known`: of the last scan: what has not changed is not read again, unless `anew` is set;
---  `watch` is told of every folder before it is read
---@return { path: string, name: string, text: string?, err: string?, stamp: string? }[] files
---  and, with `err`, folders that cannot be read
---@return table<string, table> known
---@return boolean changed
function M.scan(paths, wanted, options)
  options = options or {}
  local known = options.known or {}
  local found = { files = {}, given = {}, above = {}, wanted = wanted, known = known,
    watch = options.watch, is_alone = #paths == 1 }
  walk_all(found, paths)
  local now, changed = read_changed(found.files, known, options.anew)
  return found.files, now, changed
end

return M
