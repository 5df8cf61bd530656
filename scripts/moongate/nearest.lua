-- SPDX-License-Identifier: Apache-2.0
-- The known name that a mistyped one most likely stands for. Used where names are checked:
-- settings, annotations, fields of objects and of plugin configuration.
local M = {}

local byte = string.byte
local min = math.min

-- Edit distance with swaps of neighbours; gives up above `limit`.
local function distance(left, right, limit)
  local columns = #right
  local before, previous = nil, {}
  for column = 0, columns do
    previous[column] = column
  end
  for row = 1, #left do
    local current = { [0] = row }
    local best = row
    local char = byte(left, row)
    for column = 1, columns do
      local cost = char == byte(right, column) and 0 or 1
      local value = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + cost)
      local swapped = before and column > 1 and char == byte(right, column - 1)
      if swapped and byte(left, row - 1) == byte(right, column) then
        value = min(value, before[column - 2] + 1)
      end
      current[column] = value
      best = min(best, value)
    end
    if best > limit then
      return best
    end
    before, previous = previous, current
  end
  return previous[columns]
end

--- Finds the name closest to `name`.
---@param name string
---@param known table<string, any>  its keys are the names to choose from
---@return string? nearest  nil when nothing is close: more than a third of the letters differ
function M.of(name, known)
  if #name > 80 then
    return nil
  end
  local limit = math.max(1, math.floor(#name / 3))
  local found, best = nil, limit + 1
  for candidate in pairs(known) do
    if math.abs(#candidate - #name) <= limit then
      local far = distance(name, candidate, limit)
      if far < best or (far == best and found and candidate < found) then
        found, best = candidate, far
      end
    end
  end
  return found
end

return M
