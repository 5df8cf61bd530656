-- SPDX-License-Identifier: Apache-2.0
--
-- What the lists of odd messages are made with.
local M = {}

--- A list, and a function that adds a row to it.
---@param bytes string  the name of the row's field for the message
---@return table rows
---@return fun(rule: string, what: string, message: any, wanted: any, more: table?)
function M.new(bytes)
  local rows = {}
  return rows, function(rule, what, message, wanted, more)
    local made = { rule = rule, what = what, [bytes] = message, wanted = wanted }
    for name, value in pairs(more or {}) do
      made[name] = value
    end
    rows[#rows + 1] = made
  end
end

--- Calls `fn` with each value of a list, or with each key and value in the order of the keys.
---@param cases table
---@param fn function
function M.each(cases, fn)
  if cases[1] then
    for _, value in ipairs(cases) do
      fn(value)
    end
    return
  end
  local keys = {}
  for key in pairs(cases) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    fn(key, cases[key])
  end
end

--- Calls `fn` with each byte there is, its name and its number.
---@param fn fun(char: string, name: string, code: integer)
function M.each_byte(fn)
  for code = 0, 255 do
    fn(string.char(code), ("byte %02x"):format(code), code)
  end
end

return M
