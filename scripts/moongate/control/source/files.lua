-- SPDX-License-Identifier: Apache-2.0
-- Texts of manifest files become objects with their origin. Which files there are, and reading
-- them, is the caller's business. What cannot be read is not deleted: its objects stay as they
-- were. Comes before control/store.
local document = require("moongate.control.model.document")
local model = require("moongate.control.model")

local M = {}

local function complain(faults, at, message)
  faults[#faults + 1] = {
    severity = "error",
    file = at.file,
    line = at.line,
    column = at.column,
    message = message,
    code = "unreadable",
  }
end

local add

-- `kind: List` and the typed lists of the API server, whose items may lack kind and version.
local function add_items(object, objects, faults)
  local list = object.value
  local kind = list.kind ~= "List" and list.kind:sub(1, -5) or nil
  for index, item in ipairs(list.items) do
    local line, column = model.position(object, { "items", index })
    if kind and type(item) == "table" and item ~= document.null then
      item.kind = item.kind or kind
      item.apiVersion = item.apiVersion or list.apiVersion
    end
    local entry =
      { value = item, file = object.file, line = line, column = column, marks = object.marks }
    add(entry, objects, faults)
  end
end

-- Whether it is one of a list's kinds. A resource of somebody's own may be named so as well; unlike
-- a list, that has a name.
local function is_list(value)
  local meta = value.metadata
  return value.kind == "List" or value.kind:find("List$")
    and (type(value.items) == "table" or type(meta) ~= "table" or meta.name == nil)
end

-- An empty mapping cannot be told from an empty list here; it hides nothing.
local function is_sequence(value)
  return type(value) == "table" and (value[1] ~= nil or next(value) == nil)
end

add = function(object, objects, faults)
  local value = object.value
  if type(value) ~= "table" or value[1] ~= nil or value == document.null then
    complain(faults, object, "not an object; a manifest is a mapping with kind and metadata")
  elseif type(value.kind) ~= "string" or type(value.apiVersion) ~= "string" then
    local missing = type(value.apiVersion) ~= "string" and "apiVersion" or "kind"
    complain(faults, object, missing .. " is missing; every object names its kind and version")
  elseif is_list(value) and is_sequence(value.items) then
    add_items(object, objects, faults)
  elseif is_list(value) then
    complain(faults, object, "items is no sequence; write each object of a list behind a dash")
  else
    objects[#objects + 1] = object
  end
end

-- The objects of a text, what is wrong with them, and whether a document is broken.
local function read_text(path, text, line)
  local objects, faults, broken = {}, {}, false
  for _, entry in ipairs(document.read(text, line)) do
    entry.file = path
    if entry.error then
      broken = true
      complain(faults, entry, entry.error)
    elseif entry.value ~= nil and entry.value ~= document.null then
      add(entry, objects, faults)
    end
  end
  return objects, faults, broken
end

local function append(list, more)
  for _, one in ipairs(more) do
    list[#list + 1] = one
  end
end

-- A reader has its own cost: where many documents have changed, the file is read as a whole.
local FEW = 64

-- What a text is cut into, with what was read of it before: a piece that stands where it stood and
-- has the text that it had is the very same. Nil where more than a few are new.
local function compare(pieces, before)
  local kept, new = {}, {}
  for _, piece in ipairs(before) do
    kept[piece.line] = piece
  end
  for i, piece in ipairs(pieces) do
    local old = kept[piece.line]
    if old and old.text == piece.text then
      pieces[i] = old
    else
      new[#new + 1] = piece
    end
    if #new > FEW then
      return nil
    end
  end
  return new
end

-- Reads what is new of a file, piece by piece; nil where the whole has to be read: the file is new
-- or quite another, or a document is broken.
local function read_new(path, pieces, before)
  local new = before and before.pieces and compare(pieces, before.pieces)
  for _, piece in ipairs(new or {}) do
    local broken
    piece.objects, piece.faults, broken = read_text(path, piece.text, piece.line)
    if broken then
      return nil
    end
  end
  local now = new and { pieces = pieces, objects = {}, faults = {} }
  for _, piece in ipairs(now and pieces or {}) do
    append(now.objects, piece.objects or {})
    append(now.faults, piece.faults or {})
  end
  return now
end

-- Deals out what was read of a whole file to the pieces that it lies in.
local function deal_out(pieces, key, list)
  local at = 1
  for i, piece in ipairs(pieces) do
    local after = pieces[i + 1] and pieces[i + 1].line or math.huge
    while list[at] and list[at].line < after do
      piece[key] = piece[key] or {}
      table.insert(piece[key], list[at])
      at = at + 1
    end
  end
end

-- All that a file stood for when it was read last.
local function held_by(file)
  local held = {}
  append(held, file and file.objects or {})
  append(held, file and file.kept or {})
  return held
end

local function read_whole(path, text, pieces, before)
  local now = { pieces = pieces }
  local broken
  now.objects, now.faults, broken = read_text(path, text)
  if broken then
    now.kept = held_by(before)
    now.pieces = nil
  elseif pieces then
    deal_out(pieces, "objects", now.objects)
    deal_out(pieces, "faults", now.faults)
  end
  return now
end

---@class moongate.ManifestFile
---@field text string?             nil: it cannot be read
---@field objects moongate.Object[]  that the text tells of
---@field kept moongate.Object[]?  of the text before, where this one is broken or cannot be read
---@field faults moongate.Fault[]
---@field pieces table[]?          where it will be read again
---@field below moongate.ManifestFile[]?  files that were there when the folder could be read
---@field order integer?           among the files of the last reading

local function read_again(path, text, before, again)
  local pieces = again and document.pieces(text) or nil
  local now = pieces and read_new(path, pieces, before) or read_whole(path, text, pieces, before)
  now.text = text
  return now
end

-- The pieces stay: when the text comes back, what has not changed is not read anew.
local function unread(before)
  return { objects = {}, faults = {}, kept = held_by(before), pieces = before and before.pieces }
end

-- The path itself or the nearest folder above it that could not be read, by `failed`.
local function failed_above(path, failed)
  local above = path
  while above and not failed[above] do
    above = above:match("^(.*)/[^/]*$")
  end
  return above and failed[above]
end

local function by_order(left, right)
  return left.order < right.order
end

-- Files that nobody names any more stay where the reason is a folder that cannot be read.
local function keep_below(known, now, failed)
  if next(failed) == nil then
    return
  end
  for path, file in pairs(known) do
    local above = not now[path] and failed_above(path, failed)
    if above then
      now[path] = unread(file)
      now[path].order = file.order
      above.below = above.below or {}
      table.insert(above.below, now[path])
    end
  end
  for _, file in pairs(failed) do
    table.sort(file.below or {}, by_order)
  end
end

local function key_of(object)
  local value = object.value
  local meta = type(value.metadata) == "table" and value.metadata or {}
  return ("%s %s/%s"):format(value.kind, tostring(meta.namespace or "default"), tostring(meta.name))
end

-- What a file kept is out of date where a text that can be read tells of the same object.
local function drop_told(list)
  local told
  for _, file in ipairs(list) do
    if file.kept and not told then
      told = {}
      for _, readable in ipairs(list) do
        for _, object in ipairs(readable.objects) do
          told[key_of(object)] = true
        end
      end
    end
    local kept = file.kept
    file.kept = kept and {}
    for _, object in ipairs(kept or {}) do
      if not told[key_of(object)] then
        table.insert(file.kept, object)
      end
    end
  end
end

local function tell_failed(failed, errors)
  for path, file in pairs(failed) do
    local keeps = #file.kept > 0 or file.below
    complain(file.faults, { file = path }, (errors[path] or "cannot be read")
      .. "; check path and mode" .. (keeps and "; what was read of it before stays" or ""))
  end
end

-- Files in their order, each followed by what was below it.
local function with_below(list)
  local all = {}
  for _, file in ipairs(list) do
    all[#all + 1] = file
    append(all, file.below or {})
  end
  for i, file in ipairs(all) do
    file.order = i
  end
  return all
end

-- Every file that the reader names, in its order and by path; of those that failed, the errors.
local function read_all(reader, known, again)
  local list, now, failed, errors = {}, {}, {}, {}
  for path, text, err in reader do
    local file = known[path]
    if not text then
      file = unread(file)
      failed[path], errors[path] = file, err
    elseif not file or file.text ~= text then
      file = read_again(path, text, file, again)
    end
    now[path] = file
    list[#list + 1] = file
  end
  return list, now, failed, errors
end

--- Reads manifests. With `known`, a text that is as it was gives the very same objects, and those
--- of a file or folder that cannot be read any more stay as they were.
---@param reader fun(): string?, string?, string?  gives path and text of the next file, or the path
---  of a file or folder, nil and what is wrong; nil ends
---@param known table<string, moongate.ManifestFile>?  kept from one reading to the next
---@return moongate.Object[] objects  in the order of the files
---@return moongate.Fault[] faults  files and documents that cannot be read
function M.read(reader, known)
  local again = known ~= nil
  known = known or {}
  local list, now, failed, errors = read_all(reader, known, again)
  keep_below(known, now, failed)
  tell_failed(failed, errors)
  list = with_below(list)
  drop_told(list)
  local objects, faults = {}, {}
  for _, file in ipairs(list) do
    append(objects, file.objects)
    append(objects, file.kept or {})
    append(faults, file.faults)
  end
  for path in pairs(known) do
    known[path] = nil
  end
  for path, found in pairs(now) do
    known[path] = found
  end
  return objects, faults
end

return M
