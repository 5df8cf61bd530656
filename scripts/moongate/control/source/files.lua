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

--- Reads manifests.
---@param reader fun(): string?, string?, string?  gives path and text of the next file, or path,
---  nil and what is wrong; nil ends
---@return moongate.Object[] objects  in the order of the files
---@return moongate.Fault[] faults  files and documents that cannot be read
function M.read(reader)
  local objects, faults = {}, {}
  for path, text, err in reader do
    if not text then
      complain(faults, { file = path }, (err or "cannot be read") .. "; check path and mode")
    else
      for _, entry in ipairs(document.read(text)) do
        entry.file = path
        if entry.error then
          complain(faults, entry, entry.error)
        elseif entry.value ~= nil and entry.value ~= document.null then
          add(entry, objects, faults)
        end
      end
    end
  end
  return objects, faults
end

return M
