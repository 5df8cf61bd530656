-- SPDX-License-Identifier: Apache-2.0
--
-- Percent-encoding (RFC 3986 2.1), query strings and Cookie fields (RFC 6265).
local protocols = require("moongate.protocols")

local M = {}

local function decode_pair(digits)
  return string.char(tonumber(digits, 16))
end

local function encode_byte(char)
  return ("%%%02X"):format(char:byte())
end

--- Escapes all but unreserved characters.
---@param text string
---@return string
function M.escape(text)
  return (text:gsub("[^%w%-%._~]", encode_byte))
end

--- Escapes what may not stand in a path, slashes and sub-delimiters excepted.
---@param path string
---@return string
function M.escape_path(path)
  return (path:gsub("[^%w%-%._~/!$&'()*+,;=:@]", encode_byte))
end

--- Decodes %XX; what is no valid escape stays.
---@param text string
---@return string
function M.unescape(text)
  return (text:gsub("%%(%x%x)", decode_pair))
end

local function decode_value(text)
  return M.unescape((text:gsub("%+", " ")))
end

--- The first value of a parameter; "" when it has none.
---@param query string
---@param name string
---@return string?
function M.query_value(query, name)
  for pair in query:gmatch("[^&]+") do
    local key, value = pair:match("^([^=]*)=?(.*)$")
    if decode_value(key) == name then
      return decode_value(value)
    end
  end
end

---@param query string
---@return table<string, string[]>
function M.query_table(query)
  local all = {}
  for pair in query:gmatch("[^&]+") do
    local key, value = pair:match("^([^=]*)=?(.*)$")
    key = decode_value(key)
    all[key] = all[key] or {}
    table.insert(all[key], decode_value(value))
  end
  return all
end

--- The value of a cookie in a Cookie field; quotes around it are kept.
---@param header string
---@param name string
---@return string?
function M.cookie_value(header, name)
  for pair in header:gmatch("[^;]+") do
    local key, value = pair:match("^%s*([^=%s]+)%s*=%s*(.-)%s*$")
    if key == name then
      return value
    end
  end
end

--- Parts of an absolute URL: http, https, or another of moongate.protocols.
---
--- Errors: `invalid`.
---@param text string
---@return { scheme: string, host: string, port: integer, target: string, authority: string }?
---@return string? err
---@return "invalid"? code
function M.parse(text)
  local scheme, authority, target = text:match("^(%w+)://([^/?#@%s]+)([^#%s]*)$")
  local protocol = scheme ~= "auto" and protocols[scheme]
  if not protocol then
    return nil, "not a URL of the form http(s)://host[:port][/path]", "invalid"
  end
  local host, port = authority:match("^(%[[%x:.]+%]):?(%d*)$")
  if not host then
    host, port = authority:match("^([^:%[%]]+):?(%d*)$")
  end
  if not host then
    return nil, "no host in the URL", "invalid"
  end
  port = port ~= "" and tonumber(port) or (protocol.tls and 443 or 80)
  if target == "" or target:sub(1, 1) == "?" then
    target = "/" .. target
  end
  return {
    scheme = scheme,
    host = host:gsub("^%[(.*)%]$", "%1"):lower(),
    port = port,
    target = target,
    authority = authority,
  }
end

return M
