-- SPDX-License-Identifier: Apache-2.0
-- Texts of manifest files become objects with their origin. Which files there are, and reading
-- them, is the caller's business. Comes before control/store.
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

local function key_of(object)
  local value = object.value
  local meta = type(value.metadata) == "table" and value.metadata or {}
  return ("%s %s/%s"):format(value.kind, tostring(meta.namespace or "default"), tostring(meta.name))
end

-- What a file held before and its new text, which is broken, does not tell of.
local function keep_missing(objects, before)
  local told = {}
  for _, object in ipairs(objects) do
    told[key_of(object)] = true
  end
  for _, object in ipairs(before) do
    if not told[key_of(object)] then
      objects[#objects + 1] = object
    end
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

local function read_whole(path, text, pieces, before)
  local now = { pieces = pieces }
  local broken
  now.objects, now.faults, broken = read_text(path, text)
  if broken then
    keep_missing(now.objects, before and before.objects or {})
    now.pieces = nil
  elseif pieces then
    deal_out(pieces, "objects", now.objects)
    deal_out(pieces, "faults", now.faults)
  end
  return now
end

-- What a file holds now: { text, objects, faults, pieces }; the last where it will be read again.
local function read_again(path, text, err, before, again)
  local now
  if text then
    local pieces = again and document.pieces(text) or nil
    now = pieces and read_new(path, pieces, before) or read_whole(path, text, pieces, before)
  else
    now = { objects = {}, faults = {} }
    complain(now.faults, { file = path }, (err or "cannot be read") .. "; check path and mode")
    keep_missing(now.objects, before and before.objects or {})
  end
  now.text = text
  return now
end

--- Reads manifests. With `known`, a text that is as it was gives the very same objects, and those
--- of a file that has become unreadable stay as they were.
---@param reader fun(): string?, string?, string?  gives path and text of the next file, or path,
---  nil and what is wrong; nil ends
---@param known table<string, table>?  by file, kept from one reading to the next
---@return moongate.Object[] objects  in the order of the files
---@return moongate.Fault[] faults  files and documents that cannot be read
function M.read(reader, known)
  local objects, faults, now = {}, {}, {}
  local again = known ~= nil
  known = known or {}
  for path, text, err in reader do
    local file = known[path]
    if not file or not text or file.text ~= text then
      file = read_again(path, text, err, file, again)
    end
    now[path] = file
    append(objects, file.objects)
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
