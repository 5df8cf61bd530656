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

local STATES = {
  [M.UPSTREAM] = "the request has gone to the service; its fields change in rewrite, access or "
    .. "upstream_request",
  [M.RESPONSE] = "there is no response yet; its fields change in the hook response, those of an "
    .. "answer of your own are the third argument of ctx:respond",
  [M.RESPONSE_TRAILERS] = "there is no response yet; its trailers change in the hook response",
}
local FRAMING = { ["content-length"] = true, ["transfer-encoding"] = true }

-- What keeps a field from being changed.
local function complain(result, head, name, level)
  if result == errors.STATE and FRAMING[name:lower()] then
    error(("%s follows from the body, and cannot be set"):format(name), level)
  elseif result == errors.STATE then
    error(("%s: %s"):format(name, STATES[head]), level)
  elseif result == errors.BAD_FIELD then
    error(("field %q: its name or its value is not valid (RFC 9110 5.1, 5.5)"):format(name), level)
  end
end

--- Sets or, with `add` 1, appends a field. Raises when name or value are not valid (RFC 9110 5.1,
--- 5.5), or when the head is not there to be changed.
function M.set(object, head, name, value, add)
  if type(value) == "number" then
    value = tostring(value)
  elseif type(name) ~= "string" or type(value) ~= "string" then
    error(("field %s: name and value are texts, not a %s and a %s"):format(tostring(name),
      type(name), type(value)), 3)
  end
  local result =
    C.mg_head_set(object.record, object.generation, head, name, #name, value, #value, add)
  if result < 0 then
    complain(result, head, name, 4)
    M.must(result)
  end
end

---@return integer gone
function M.remove(object, head, name)
  local result = C.mg_head_remove(object.record, object.generation, head, name, #name)
  complain(result, head, name, 4)
  return M.must(result)
end

return M
