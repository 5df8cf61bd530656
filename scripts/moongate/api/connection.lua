-- SPDX-License-Identifier: Apache-2.0
--
-- conn: a client's connection as the hook client_hello sees it, before anything of TLS is answered.
local bit = require("bit")
local ffi = require("ffi")

local C = require("moongate.api.core")
local crypto = require("moongate.api.crypto")
local log = require("moongate.api.log")

local M = {}

---@class moongate.Connection
---@field sni string?           lower case
---@field alpn string[]         protocols, in the client's order
---@field ip string             the client's address, behind a PROXY header
---@field port integer
---@field version integer       the highest of TLS that it offers: 13, 12, …
---@field suites integer[]      as sent, GREASE (RFC 8701) among them; the next four alike
---@field groups integer[]
---@field signatures integer[]
---@field versions integer[]
---@field extensions integer[]
---@field points integer[]
local Connection = {}
Connection.__index = Connection

local function numbers(text)
  local list = {}
  for i = 0, text.length - 2, 2 do
    local high, low = text.data[i], text.data[i + 1]
    list[#list + 1] = bit.band(high, 255) * 256 + bit.band(low, 255)
  end
  return list
end

local function protocols(text)
  local list, at = {}, 0
  while at < text.length do
    local length = bit.band(text.data[at], 255)
    list[#list + 1] = ffi.string(text.data + at + 1, length)
    at = at + 1 + length
  end
  return list
end

local function string_of(text)
  return text.length > 0 and ffi.string(text.data, text.length) or nil
end

--- Copies what is borrowed.
---@param hello ffi.cdata*  struct mg_hello
---@return moongate.Connection
function M.new(hello)
  local self = {
    sni = string_of(hello.sni),
    ip = string_of(hello.ip),
    port = hello.port,
    version = hello.version,
    legacy_version = hello.legacy_version,
    alpn = protocols(hello.alpn),
    suites = numbers(hello.suites),
    groups = numbers(hello.groups),
    signatures = numbers(hello.signatures),
    versions = numbers(hello.versions),
    points = {},
    extensions = {},
    closed = false,
  }
  for i = 0, hello.points.length - 1 do
    self.points[i + 1] = bit.band(hello.points.data[i], 255)
  end
  for i = 0, hello.extension_count - 1 do
    self.extensions[i + 1] = hello.extensions[i]
  end
  return setmetatable(self, Connection)
end

--- Ends the connection with an alert; hooks of other plugins do not run.
---@param reason string?  for the log
function Connection:close(reason)
  self.closed = true
  log.info("connection_refused", { client = self.ip, sni = self.sni, reason = reason })
end

local loaded = setmetatable({}, { __mode = "v" }) -- PEM and key -> certificate
local error_text = ffi.new("char[256]")

--- Answers with this certificate in place of the one of the name.
---
--- Errors: `invalid`, with what is wrong.
---@param pem string  the chain, the server's own first
---@param key string  PEM
---@return true?
---@return string? err
---@return "invalid"? code
function Connection:use_certificate(pem, key)
  local text = pem .. key
  local certificate = loaded[text]
  if not certificate then
    certificate = C.mg_certificate_new(pem, #pem, key, #key, error_text, ffi.sizeof(error_text))
    if certificate == nil then
      return nil, ffi.string(error_text), "invalid"
    end
    certificate = ffi.gc(certificate, C.mg_certificate_unref)
    loaded[text] = certificate
  end
  self.certificate = certificate
  return true
end

--- What use_certificate was called with last; nil: nothing.
---@return ffi.cdata*?
function Connection:chosen()
  return self.certificate
end

-- --- fingerprints ------------------------------------------------------------

-- RFC 8701: values that mean nothing.
local function is_grease(value)
  return bit.band(value, 0x0f0f) == 0x0a0a and bit.rshift(value, 8) == bit.band(value, 255)
end

local function without_grease(list, but)
  local kept = {}
  for _, value in ipairs(list) do
    if not is_grease(value) and not (but and but[value]) then
      kept[#kept + 1] = value
    end
  end
  return kept
end

--- The text that JA3 hashes: version, suites, extensions, groups, point formats.
---@return string
function Connection:ja3_text()
  local function join(list)
    return table.concat(without_grease(list), "-")
  end
  return ("%d,%s,%s,%s,%s"):format(self.legacy_version, join(self.suites), join(self.extensions),
    join(self.groups), table.concat(self.points, "-"))
end

local function hexadecimal(list)
  local texts = {}
  for i, value in ipairs(list) do
    texts[i] = ("%04x"):format(value)
  end
  return texts
end

local function short_hash(text)
  return crypto.hex(crypto.digest("sha256", text)):sub(1, 12)
end

local function sorted_hash(list, more)
  if #list == 0 then
    return "000000000000"
  end
  local texts = hexadecimal(list)
  table.sort(texts)
  return short_hash(table.concat(texts, ",") .. more)
end

local VERSIONS = { [13] = "13", [12] = "12", [11] = "11", [10] = "10", [3] = "s3" }
local SNI, ALPN = 0, 16

local function protocol_mark(name)
  if not name then
    return "00"
  end
  local first, last = name:sub(1, 1), name:sub(-1)
  if first:find("%w") and last:find("%w") then
    return first .. last
  end
  return crypto.hex(first):sub(1, 1) .. crypto.hex(last):sub(2, 2)
end

--- The client's JA4: alike for all connections of one kind of client.
---@return string
function Connection:ja4()
  local suites, extensions = without_grease(self.suites), without_grease(self.extensions)
  local signatures = hexadecimal(without_grease(self.signatures))
  local tail = #signatures > 0 and "_" .. table.concat(signatures, ",") or ""
  return ("t%s%s%02d%02d%s_%s_%s"):format(
    VERSIONS[self.version] or "00",
    self.sni and "d" or "i",
    math.min(#suites, 99),
    math.min(#extensions, 99),
    protocol_mark(self.alpn[1]),
    sorted_hash(suites, ""),
    sorted_hash(without_grease(self.extensions, { [SNI] = true, [ALPN] = true }), tail)
  )
end

return M
