-- SPDX-License-Identifier: Apache-2.0

--- Whether two values hold the same, however deep.
---@param a any
---@param b any
---@return boolean
local function same(a, b)
  if a == b then
    return true
  elseif type(a) ~= "table" or type(b) ~= "table" then
    return false
  end
  for key, value in pairs(a) do
    if not same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

return same
