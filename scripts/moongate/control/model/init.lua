-- SPDX-License-Identifier: Apache-2.0
-- What the stages of the control path have in common: objects with their origin, and faults that
-- name object, field and position. Comes before source, store, translate and report.
local utf8 = require("moongate.api.utf8")

local M = {}

---@class moongate.Object   one Kubernetes object as a source gave it
---@field value table       its content
---@field file string?      where it was read
---@field line integer?     counts from 1, as `column`
---@field column integer?
---@field marks table?      table -> key -> packed position of that key's value
---@field kind string?      set by the store, as the next three
---@field namespace string?
---@field name string?
---@field title string?     "Ingress default/web"
---@field service string?   "namespace/name", of an EndpointSlice
---@field data table<string, string>?  of a Secret, decoded, or of a ConfigMap
---@field wrong_data table<string, { text: string, fault: moongate.Fault }>?  of a ConfigMap: keys
---  whose values are no texts, with the texts that they may stand for
---@field denied string?    why the routes of an Ingress answer 503, where its shape is wrong

---@class moongate.Fault
---@field severity "error"|"warning"
---@field object string?
---@field field string?
---@field file string?
---@field line integer?
---@field column integer?
---@field message string    what is wrong; the way out
---@field annotation string? name of the annotation, for the metric
---@field code string?      stable word: "unsupported", "refused", "invalid", …

local COLUMNS = 65536

--- Packs a position into one number.
function M.pack(line, column)
  return line * COLUMNS + math.min(column, COLUMNS - 1)
end

--- Position of the innermost part of `path` that is known, or of the object.
---@param object moongate.Object
---@param path (string|integer)[]
---@return integer? line
---@return integer? column
function M.position(object, path)
  local line, column = object.line, object.column
  local node = object.value
  for _, key in ipairs(path) do
    local mark = object.marks and object.marks[node]
    local packed = mark and mark[key]
    if packed then
      line, column = math.floor(packed / COLUMNS), packed % COLUMNS
    end
    node = type(node) == "table" and node[key] or nil
    if node == nil then
      break
    end
  end
  return line, column
end

--- Writes a path as an operator writes it: `spec.rules[0].host`, `annotations["a/b"]`.
---@param path (string|integer)[]
---@return string
function M.field(path)
  local from = path[1] == "metadata" and path[2] == "annotations" and path[3] and 2 or 1
  local parts = {}
  for index = from, #path do
    local key = path[index]
    if type(key) == "number" then
      parts[#parts + 1] = "[" .. key - 1 .. "]"
    elseif key:find("^[%a_][%w_]*$") then
      parts[#parts + 1] = (#parts > 0 and "." or "") .. key
    else
      parts[#parts + 1] = '["' .. key .. '"]'
    end
  end
  return table.concat(parts)
end

local MESSAGE_BYTES = 500

--- A message without the middle of a text that somebody has made too long for a line.
---@param message string
---@return string
function M.shorten(message)
  if #message <= MESSAGE_BYTES then
    return message
  end
  local half = MESSAGE_BYTES / 2
  return utf8.clean(message:sub(1, half), "", half) .. " … "
    .. utf8.clean(message:sub(-half), "", half)
end

--- Adds a fault to a list and returns it.
---@param faults moongate.Fault[]
---@param object moongate.Object
---@param severity "error"|"warning"
---@param path (string|integer)[]  empty: the object as a whole
---@param message string
---@return moongate.Fault
function M.fault(faults, object, severity, path, message)
  local line, column = M.position(object, path)
  local fault = {
    severity = severity,
    object = object.title,
    field = path[1] and M.field(path) or nil,
    file = object.file,
    line = line,
    column = column,
    message = M.shorten(message),
  }
  faults[#faults + 1] = fault
  return fault
end

--- The keys of a table in order.
---@param map table<string, any>
---@return string[]
function M.keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

--- A path with more keys behind it; the argument stays as it is.
---@param path (string|integer)[]
---@return (string|integer)[]
function M.below(path, ...)
  local longer = {}
  for index = 1, #path do
    longer[index] = path[index]
  end
  for index = 1, select("#", ...) do
    longer[#longer + 1] = (select(index, ...))
  end
  return longer
end

return M
