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
    if kind and type(item) == "table" then
      item.kind = item.kind or kind
      item.apiVersion = item.apiVersion or list.apiVersion
    end
    local entry =
      { value = item, file = object.file, line = line, column = column, marks = object.marks }
    add(entry, objects, faults)
  end
end

add = function(object, objects, faults)
  local value = object.value
  if type(value) ~= "table" or value[1] ~= nil then
    complain(faults, object, "not an object; a manifest is a mapping with kind and metadata")
  elseif type(value.kind) ~= "string" or type(value.apiVersion) ~= "string" then
    local missing = type(value.apiVersion) ~= "string" and "apiVersion" or "kind"
    complain(faults, object, missing .. " is missing; every object names its kind and version")
  elseif value.kind:find("List$") and type(value.items) == "table" then
    add_items(object, objects, faults)
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

local function read_file(path, text, faults)
  local objects, broken = {}, false
  for _, entry in ipairs(document.read(text)) do
    entry.file = path
    if entry.error then
      broken = true
      complain(faults, entry, entry.error)
    elseif entry.value ~= nil and entry.value ~= document.null then
      add(entry, objects, faults)
    end
  end
  return objects, broken
end

--- Reads manifests. With `known`, objects of a file that has become unreadable stay as they were.
---@param reader fun(): string?, string?, string?  gives path and text of the next file, or path,
---  nil and what is wrong; nil ends
---@param known table<string, moongate.Object[]>?  by file, kept from one reading to the next
---@return moongate.Object[] objects  in the order of the files
---@return moongate.Fault[] faults  files and documents that cannot be read
function M.read(reader, known)
  local objects, faults, now = {}, {}, {}
  known = known or {}
  for path, text, err in reader do
    local found, broken = {}, true
    if text then
      found, broken = read_file(path, text, faults)
    else
      complain(faults, { file = path }, (err or "cannot be read") .. "; check path and mode")
    end
    if broken then
      keep_missing(found, known[path] or {})
    end
    now[path] = found
    for _, object in ipairs(found) do
      objects[#objects + 1] = object
    end
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
