-- SPDX-License-Identifier: Apache-2.0
-- Types of settings: each parser takes a text and returns the value, or nil and what is wrong.
local address = require("moongate.control.model.address")
local template = require("moongate.api.template")
local TOKEN = require("moongate.api.token")

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

local TLS_VERSIONS = { ["TLSv1.2"] = 12, ["TLSv1.3"] = 13 }
local OLD_VERSIONS = { SSLv2 = true, SSLv3 = true, TLSv1 = true, ["TLSv1.1"] = true }

--- Versions of TLS, with spaces between: { least =, most = }, of 12 and 13.
function M.tls_versions(text)
  local least, most
  for word in text:gmatch("[^%s,]+") do
    local version = TLS_VERSIONS[word]
    if OLD_VERSIONS[word] then
      return nil, word .. " is not spoken any more (RFC 8996); name TLSv1.2, TLSv1.3 or both"
    elseif not version then
      return nil, "must be TLSv1.2, TLSv1.3 or both"
    end
    least, most = math.min(least or version, version), math.max(most or version, version)
  end
  if not least then
    return nil, "must be TLSv1.2, TLSv1.3 or both"
  end
  return { least = least, most = most }
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

-- Times are kept in 32 bits: one of more than 24 days never ends.
local LONGEST_MS = 2 ^ 31 - 1
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
  return math.min(math.floor(total + 0.5), LONGEST_MS)
end

local LARGEST, LARGEST_BUFFER = 2 ^ 53, 2 ^ 30
local SIZE = { [""] = 1, k = 1024, m = 1024 ^ 2, g = 1024 ^ 3 }

--- A size in bytes: `8k`, `1m`; 1024 and not 1000.
function M.size(text)
  local number, unit = text:match("^(%d+)(%a?)$")
  local scale = number and SIZE[unit:lower()]
  if not scale then
    return nil, "must be a size such as 4096, 8k or 1m"
  elseif tonumber(number) * scale >= LARGEST then
    return nil, "must be less than 2^53 bytes"
  end
  return tonumber(number) * scale
end

--- A size of something that is kept in memory, in bytes.
function M.buffer_size(text)
  local value, err = M.size(text)
  if value and value > LARGEST_BUFFER then
    return nil, "must be at most 1g"
  end
  return value, err
end

--- A window of HTTP/2 (RFC 9113 6.9), in bytes.
function M.window(text)
  local value, err = M.size(text)
  if value and (value < 65535 or value > 2147483647) then
    return nil, "must be a size from 64k to 2147483647"
  end
  return value, err
end

--- Number and size of buffers, `4 8k`: { number =, size = }; the size in bytes.
function M.buffers(text)
  local number, size = text:match("^%s*(%d+)%s+(%d+%a?)%s*$")
  local bytes, err = nil, 'must be a number and a size such as "4 8k"'
  if size then
    bytes, err = M.buffer_size(size)
  end
  if not bytes then
    return nil, err
  end
  return { number = tonumber(number), size = bytes }
end

function M.text(text)
  if text:find("[\r\n%z]") then
    return nil, "must be one line"
  end
  return text
end

local HEADER_NAME_MAX = 64 -- ADDRESS_FIELD_MAX of exchange.h

--- The name of a header (RFC 9110 5.6.2).
function M.header_name(text)
  if #text > HEADER_NAME_MAX or not text:find(TOKEN) then
    return nil, "must be the name of a header, of at most 64 characters"
  end
  return text
end

--- Names of headers, with commas.
function M.header_names(text)
  local entries = M.list(text)
  for _, entry in ipairs(entries) do
    if not entry:find(TOKEN) then
      return nil, ('"%s" is no name of a header'):format(entry)
    end
  end
  return entries
end

--- A pattern, perhaps none.
function M.pattern(text)
  if text == "" then
    return text
  end
  -- Asked for here: the vocabulary is also read where there is no core.
  local _, err = require("moongate.api.regex").compile(text)
  if err then
    return nil, "must be a pattern: " .. err
  end
  return text
end

--- Texts with commas, of which those behind `~` or `~*` are patterns.
function M.matches(text)
  local entries = M.list(text)
  for _, entry in ipairs(entries) do
    local pattern = entry:match("^~%*?(.*)$")
    local _, err = M.pattern(pattern or "")
    if err then
      return nil, ('"%s" %s'):format(entry, err)
    end
  end
  return entries
end

--- A host name or an address, perhaps none.
function M.host(text)
  local is_name = text:find("^[%w._-]*$") ~= nil
  if not is_name and (text:find("/", 1, true) or not address.is_network(text)) then
    return nil, "must be the name of a host, or an address, without a port"
  end
  return text
end

--- A share, from 0 to 1.
function M.ratio(text)
  local value = text:find("^%d*%.?%d*$") and tonumber(text)
  if not value or value > 1 then
    return nil, "must be a number from 0 to 1"
  end
  return value
end

--- Text with variables.
function M.template(text)
  return template.parse(text)
end

--- The same as it is written.
function M.template_text(text)
  local right, err = template.parse(text)
  return right and text, err
end

--- What is counted, as a text with variables. An address is the same in binary.
function M.key(text)
  if text == "" then
    return nil, "must be a text with variables, such as $binary_remote_addr"
  end
  return template.parse((text:gsub("(%${?)binary_remote_addr%f[^%w_]", "%1remote_addr")))
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

--- Addresses with commas, none of them a network.
function M.addresses(text)
  local entries = M.list(text)
  for _, entry in ipairs(entries) do
    if not address.family(entry) then
      return nil, ('"%s" is no address; write 192.0.2.1 or 2001:db8::1'):format(entry)
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

--- Parser for one of some words; with `fold` in any case of letters.
function M.one_of(words, fold)
  local known = {}
  for _, word in ipairs(words) do
    known[fold and word:upper() or word] = word
  end
  return function(text)
    local word = known[fold and text:upper() or text]
    if not word then
      return nil, "must be one of " .. table.concat(words, ", ")
    end
    return word
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

local DAYS = { w = 7, M = 30, y = 365 }

-- A time as nginx writes it, as a duration.
local function duration_of(text)
  local number, unit = text:match("^(%d+)(%a*)$")
  if DAYS[unit] then
    return ("%dd"):format(number * DAYS[unit])
  end
  return number and (unit == "" or unit == "ms" or unit:find("^[smhd]$"))
    and number .. (unit == "" and "s" or unit) or nil
end

--- Statuses and how long their answers hold, such as `200 202 401 5m, 404 1m`.
function M.cache_durations(text)
  local list = {}
  for _, entry in ipairs(M.list(text)) do
    local codes, time = entry:match("^([%d%s]+)%s(%d+%a*)$")
    local one = { status = {}, time = time and duration_of(time) }
    for code in (codes or ""):gmatch("%d+") do
      one.status[#one.status + 1] = tonumber(code)
    end
    if not one.time or not one.status[1] then
      return nil, ("holds %q; an entry is statuses and a time, such as 200 401 5m"):format(entry)
    end
    list[#list + 1] = one
  end
  return list
end

--- `from to`, or `off`: { from, to } or { "off" }.
function M.from_to(text)
  local words = M.words(text)
  if #words ~= 2 and not (#words == 1 and words[1] == "off") then
    return nil, "must be two words, what is replaced and by what, or off"
  elseif text:find(";", 1, true) then
    return nil, "may not hold ';', which would begin another attribute of the cookie"
  end
  local right, err = template.parse(words[2] or "")
  return right and words, err
end

return M
