-- SPDX-License-Identifier: Apache-2.0
-- Reading of IP addresses and networks, for lists in annotations and settings.
local M = {}

local function is_v4(text)
  local a, b, c, d = text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")
  if not a then
    return false
  end
  for _, part in ipairs({ a, b, c, d }) do
    if tonumber(part) > 255 or (#part > 1 and part:sub(1, 1) == "0") then
      return false
    end
  end
  return true
end

-- Number of 16-bit groups in a run "a:b:c", or nil. The last may be a dotted quad.
local function groups_in(text, may_end_v4)
  if text == "" then
    return 0
  end
  local count = 0
  local parts = {}
  for part in (text .. ":"):gmatch("([^:]*):") do
    parts[#parts + 1] = part
  end
  for index, part in ipairs(parts) do
    if index == #parts and may_end_v4 and part:find(".", 1, true) then
      if not is_v4(part) then
        return nil
      end
      count = count + 2
    elseif part:find("^%x%x?%x?%x?$") then
      count = count + 1
    else
      return nil
    end
  end
  return count
end

local function is_v6(text)
  local head, tail = text:match("^(.-)::(.*)$")
  if not head then
    return groups_in(text, true) == 8
  end
  if tail:find("::", 1, true) then
    return false
  end
  local first, second = groups_in(head, false), groups_in(tail, true)
  return first ~= nil and second ~= nil and first + second <= 7
end

--- Tells what a text is.
---@param text string
---@return 4|6|nil family
function M.family(text)
  return is_v4(text) and 4 or is_v6(text) and 6 or nil
end

--- True for addresses of the machine itself, unspecified ones included.
---@param text string
function M.is_loopback(text)
  return text:find("^127%.") ~= nil or text == "0.0.0.0" or text == "::1" or text == "::"
end

--- Checks a network or a single address.
---@param text string
---@return boolean
function M.is_network(text)
  local address, bits = text:match("^([^/]+)/(%d%d?%d?)$")
  local family = M.family(address or text)
  if not family then
    return false
  end
  return not bits or tonumber(bits) <= (family == 4 and 32 or 128)
end

return M
