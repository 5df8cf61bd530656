-- SPDX-License-Identifier: Apache-2.0
-- Types of settings: each parser takes a text and returns the value, or nil and what is wrong.
local address = require("moongate.control.model.address")

local M = {}

local TRUE = { ["1"] = true, t = true, T = true, ["true"] = true, TRUE = true, True = true }
local FALSE = { ["0"] = true, f = true, F = true, ["false"] = true, FALSE = true, False = true }

--- The words of Go's ParseBool, as ingress-nginx.
function M.bool(text)
  if TRUE[text] then
    return true
  elseif FALSE[text] then
    return false
  end
  return nil, "must be true or false"
end

--- on or off; true and false do as well.
function M.switch(text)
  if text == "on" then
    return true
  elseif text == "off" then
    return false
  end
  local value = M.bool(text)
  if value == nil then
    return nil, "must be on or off"
  end
  return value
end

function M.int(text)
  local value = text:find("^[-+]?%d+$") and tonumber(text)
  if not value or math.abs(value) > 2 ^ 31 - 1 then
    return nil, "must be a whole number"
  end
  return value
end

--- A whole number of at least 0.
function M.count(text)
  local value, err = M.int(text)
  if value and value < 0 then
    return nil, "must be 0 or more"
  end
  return value, err
end

local TIME_MS = { [""] = 1000, s = 1000, ms = 1, m = 60000, h = 3600000, d = 86400000 }

--- A time, in milliseconds: `4` and `4s` are 4000, `250ms` is 250. Parts add up: `1m30s`.
function M.time(text)
  local total, rest = 0, text
  repeat
    local number, unit, more = rest:match("^(%d+%.?%d*)(%a*)(.*)$")
    local scale = number and TIME_MS[unit]
    if not scale or (unit == "" and more ~= "") then
      return nil, "must be a time such as 4, 4s, 250ms or 1m"
    end
    total, rest = total + tonumber(number) * scale, more
  until rest == ""
  return math.floor(total + 0.5)
end

local SIZE = { [""] = 1, k = 1024, m = 1024 ^ 2, g = 1024 ^ 3 }

--- A size in bytes: `8k`, `1m`; 1024 and not 1000.
function M.size(text)
  local number, unit = text:match("^(%d+)(%a?)$")
  local scale = number and SIZE[unit:lower()]
  if not scale then
    return nil, "must be a size such as 4096, 8k or 1m"
  end
  return tonumber(number) * scale
end

--- Number and size of buffers, `4 8k`: { number =, size = }; the size in bytes.
function M.buffers(text)
  local number, size = text:match("^%s*(%d+)%s+(%d+%a?)%s*$")
  local bytes = size and M.size(size)
  if not bytes then
    return nil, 'must be a number and a size such as "4 8k"'
  end
  return { number = tonumber(number), size = bytes }
end

function M.text(text)
  if text:find("[\r\n%z]") then
    return nil, "must be one line"
  end
  return text
end

--- A list with commas; blanks around the entries do not count.
function M.list(text)
  local entries = {}
  for entry in text:gmatch("[^,\n]+") do
    entry = entry:match("^%s*(.-)%s*$")
    if entry ~= "" then
      entries[#entries + 1] = entry
    end
  end
  return entries
end

--- A list of words with blanks.
function M.words(text)
  local words = {}
  for word in text:gmatch("%S+") do
    words[#words + 1] = word
  end
  return words
end

--- Networks in CIDR form, or addresses.
function M.networks(text)
  local entries = M.list(text)
  for _, entry in ipairs(entries) do
    if not address.is_network(entry) then
      return nil, ('"%s" is no address or network'):format(entry)
    end
  end
  return entries
end

--- Status codes with commas.
function M.codes(text)
  local codes = {}
  for _, entry in ipairs(M.list(text)) do
    local code = M.int(entry)
    if not code or code < 300 or code > 599 then
      return nil, ('"%s" is no status code from 300 to 599'):format(entry)
    end
    codes[#codes + 1] = code
  end
  return codes
end

--- `namespace/name` of an object; empty is permitted.
function M.reference(text)
  if text ~= "" and not text:find("^[a-z0-9-]+/[a-z0-9.-]+$") then
    return nil, "must be namespace/name"
  end
  return text
end

--- Parser for one of some words.
function M.one_of(words)
  local known = {}
  for _, word in ipairs(words) do
    known[word] = true
  end
  return function(text)
    if not known[text] then
      return nil, "must be one of " .. table.concat(words, ", ")
    end
    return text
  end
end

--- Parser for a number from `low` to `high`.
function M.between(low, high)
  return function(text)
    local value = M.int(text)
    if not value or value < low or value > high then
      return nil, ("must be a number from %d to %d"):format(low, high)
    end
    return value
  end
end

return M
