-- SPDX-License-Identifier: Apache-2.0
-- YAML text as documents of Lua values that know their positions. Scalars are read as Kubernetes
-- reads them (YAML 1.1 words such as `yes` and `on` are booleans). The parser is C's.
local ffi = require("ffi")

local C = require("moongate.api.core")
local model = require("moongate.control.model")

local M = {}

local PLAIN, QUOTED, SEQUENCE, MAPPING = 1, 2, 3, 4

--- Stands for `null` inside a list; in a mapping a null key is simply absent.
M.null = setmetatable({}, {
  __tostring = function()
    return "null"
  end,
})

local WORDS = {
  [""] = M.null, ["~"] = M.null, ["null"] = M.null, ["Null"] = M.null, ["NULL"] = M.null,
  [".nan"] = 0 / 0, [".NaN"] = 0 / 0, [".NAN"] = 0 / 0,
  [".inf"] = math.huge, [".Inf"] = math.huge, [".INF"] = math.huge,
  ["+.inf"] = math.huge, ["+.Inf"] = math.huge, ["+.INF"] = math.huge,
  ["-.inf"] = -math.huge, ["-.Inf"] = -math.huge, ["-.INF"] = -math.huge,
}
for _, word in ipairs({ "y", "yes", "on", "true" }) do
  WORDS[word], WORDS[word:upper()] = true, true
  WORDS[word:sub(1, 1):upper() .. word:sub(2)] = true
end
for _, word in ipairs({ "n", "no", "off", "false" }) do
  WORDS[word], WORDS[word:upper()] = false, false
  WORDS[word:sub(1, 1):upper() .. word:sub(2)] = false
end

local function integer(text)
  local sign, digits = text:match("^([-+]?)(.+)$")
  local value
  if digits:find("^0[xX]%x+$") then
    value = tonumber(digits:sub(3), 16)
  elseif digits:find("^0[bB][01]+$") then
    value = tonumber(digits:sub(3), 2)
  elseif digits:find("^0[oO]?[0-7]+$") then
    value = tonumber(digits:match("^0[oO]?([0-7]+)$"), 8)
  elseif digits:find("^%d+$") and not digits:find("^0%d") then
    value = tonumber(digits)
  end
  return value and (sign == "-" and -value or value)
end

local function scalar(text)
  local word = WORDS[text]
  if word ~= nil then
    return word
  end
  if not text:find("^[-+.]?%d") and not text:find("^[-+]%.%d") then
    return text
  end
  local plain = text:gsub("_", "")
  local number = integer(plain)
  if number then
    return number
  end
  local mantissa = plain:match("^[-+]?([%d.]+)[eE][-+]?%d+$") or plain:match("^[-+]?([%d.]+)$")
  if mantissa and (mantissa:find("^%d+%.?%d*$") or mantissa:find("^%.%d+$")) then
    return tonumber(plain)
  end
  return text
end

local value_of

local function text_of(yaml, node)
  return ffi.string(C.mg_yaml_text(yaml, node), C.mg_yaml_length(yaml, node))
end

-- Lines of a file in front of the text that is read: one is read at a time.
local before = 0

local function mark(yaml, node)
  return model.pack(C.mg_yaml_line(yaml, node) + before, C.mg_yaml_column(yaml, node))
end

local function sequence_of(yaml, node, marks)
  local list, places = {}, {}
  local child = C.mg_yaml_first(yaml, node)
  while child ~= 0 do
    list[#list + 1] = value_of(yaml, child, marks)
    places[#places + 1] = mark(yaml, child)
    child = C.mg_yaml_next(yaml, child)
  end
  marks[list] = places
  return list
end

-- `<<` brings the keys of other mappings; those of the mapping itself win.
local function merge(into, places, marks, from)
  local sources = from[1] and from or { from }
  for _, source in ipairs(sources) do
    for key, value in pairs(type(source) == "table" and source or {}) do
      if into[key] == nil then
        into[key], places[key] = value, marks[source] and marks[source][key]
      end
    end
  end
end

local function mapping_of(yaml, node, marks)
  local map, places, merged = {}, {}, nil
  local key = C.mg_yaml_first(yaml, node)
  while key ~= 0 do
    local child = C.mg_yaml_next(yaml, key)
    local name = text_of(yaml, key)
    local value = value_of(yaml, child, marks)
    if name == "<<" and type(value) == "table" and C.mg_yaml_kind(yaml, key) == PLAIN then
      merged = value
    elseif value ~= M.null then
      map[name], places[name] = value, mark(yaml, child)
    end
    key = C.mg_yaml_next(yaml, child)
  end
  if merged then
    merge(map, places, marks, merged)
  end
  marks[map] = places
  return map
end

value_of = function(yaml, node, marks)
  local kind = C.mg_yaml_kind(yaml, node)
  if kind == MAPPING then
    return mapping_of(yaml, node, marks)
  elseif kind == SEQUENCE then
    return sequence_of(yaml, node, marks)
  elseif kind == QUOTED then
    return text_of(yaml, node)
  elseif kind == PLAIN then
    return scalar(text_of(yaml, node))
  end
  return M.null
end

local function document_of(yaml, index)
  local document = {
    line = C.mg_yaml_document_line(yaml, index) + before,
    column = C.mg_yaml_document_column(yaml, index),
    marks = {},
  }
  local message = C.mg_yaml_document_error(yaml, index)
  if message ~= nil then
    document.error = ffi.string(message)
    return document
  end
  local root = C.mg_yaml_document_root(yaml, index)
  if root ~= 0 then
    document.line = C.mg_yaml_line(yaml, root) + before
    document.column = C.mg_yaml_column(yaml, root)
    document.value = value_of(yaml, root, document.marks)
  end
  return document
end

---@class moongate.Document
---@field value any       nil: the document is empty or broken
---@field error string?   what is wrong with it
---@field line integer    of the error, or of the first value
---@field column integer
---@field marks table     table -> key -> packed position (model.pack)

--- Reads every document of a text. A broken one has `error` and spoils no other.
---@param text string
---@param line integer?  where the text begins in its file, 1 unless given
---@return moongate.Document[]
function M.read(text, line)
  before = (line or 1) - 1
  local yaml = C.mg_yaml_read(text, #text)
  if yaml == nil then
    error("out of memory while a document was read")
  end
  local documents = {}
  for index = 0, C.mg_yaml_document_count(yaml) - 1 do
    documents[#documents + 1] = document_of(yaml, index)
  end
  C.mg_yaml_free(yaml)
  return documents
end

-- Line breaks of YAML that count lines otherwise than LF does, and marks behind which a document
-- means what another says.
local UNUSUAL = { "\r[^\n]", "\r$", "\194\133", "\226\128[\168\169]", "\n%%", "^%%", "\n%.%.%.",
  "^%.%.%." }

--- Cuts a text where a line begins with `---`, which is a new document whatever stands around it:
--- each piece can be read alone. Nil where that is not so plain.
---@param text string
---@return { text: string, line: integer }[]?
function M.pieces(text)
  for _, pattern in ipairs(UNUSUAL) do
    if text:find(pattern) then
      return nil
    end
  end
  local pieces, from, line = {}, 1, 1
  while from do
    local at = text:find("\n%-%-%-[ \t\r\n]", from)
    local piece = text:sub(from, at)
    pieces[#pieces + 1] = { text = piece, line = line }
    line = line + select(2, piece:gsub("\n", ""))
    from = at and at + 1
  end
  return pieces
end

return M
