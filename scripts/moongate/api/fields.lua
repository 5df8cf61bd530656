-- SPDX-License-Identifier: Apache-2.0
--
-- Header fields of any head of an exchange, and the check that every call on a request begins with.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")

local M = {}

M.REQUEST = 0
M.UPSTREAM = 1
M.RESPONSE = 2
M.REQUEST_TRAILERS = 3
M.RESPONSE_TRAILERS = 4

local name_text = ffi.new("struct mg_text")
local value_text = ffi.new("struct mg_text")

local function over(level)
  error("this request is over: ctx and what belongs to it end with the log hook", level)
end

--- Raises when the request that `object` belongs to is over.
function M.check(object)
  if object.record.generation ~= object.generation then
    over(3)
  end
end

--- Raises for a result below 0: misuse that the caller's line shows.
---@param result integer
---@return integer
function M.must(result)
  if result == errors.STALE then
    over(4)
  elseif result < 0 then
    error(errors.text(result), 3)
  end
  return result
end

local function string_of(text)
  return ffi.string(text.data, text.length)
end

---@return string?
function M.get(object, head, name, nth)
  local found = C.mg_head_get(object.record, object.generation, head, name, #name, nth, value_text)
  if found == 1 then
    return string_of(value_text)
  elseif found < 0 then
    M.must(found)
  end
end

---@return string[]
function M.values(object, head, name)
  local values = {}
  local value = M.get(object, head, name, 0)
  while value do
    values[#values + 1] = value
    value = M.get(object, head, name, #values)
  end
  return values
end

---@return { [1]: string, [2]: string }[]
function M.list(object, head)
  local list = {}
  for i = 0, M.must(C.mg_head_count(object.record, object.generation, head)) - 1 do
    M.must(C.mg_head_at(object.record, object.generation, head, i, name_text, value_text))
    list[i + 1] = { string_of(name_text), string_of(value_text) }
  end
  return list
end

--- Sets or, with `add` 1, appends a field. Raises when name or value are not valid (RFC 9110 5.1,
--- 5.5).
function M.set(object, head, name, value, add)
  value = tostring(value)
  local result =
    C.mg_head_set(object.record, object.generation, head, name, #name, value, #value, add)
  if result < 0 then
    M.must(result)
  end
end

---@return integer gone
function M.remove(object, head, name)
  return M.must(C.mg_head_remove(object.record, object.generation, head, name, #name))
end

return M
