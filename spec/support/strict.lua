-- SPDX-License-Identifier: Apache-2.0
--
-- A reader of HTTP/1.1 (RFC 9112) that forgives nothing and takes one byte at a time, so that it
-- cannot make the mistakes of the gateway's. Only what a careful sender writes is a message:
-- tokens,
-- CRLF, one framing, no chunk extensions. Anything else is a fault.
local M = {}

local CR, LF = 13, 10
local LINE_MAX = 131072

local Reader = {}
Reader.__index = Reader

-- What ends a message: { fault = "…" }, or { cut = true } at the end of what comes.
local function fault(...)
  error({ fault = string.format(...) }, 0)
end

local function byte(self)
  if self.at > #self.data then
    local data = self.conn:read()
    if not data then
      error({ cut = true }, 0)
    end
    self.data, self.at = data, 1
  end
  local value = self.data:byte(self.at)
  self.at = self.at + 1
  self.taken[#self.taken + 1] = string.char(value)
  return value
end

-- A line without its CRLF; control characters other than a tab are in none.
local function line(self)
  local out = {}
  local value = byte(self)
  while value ~= CR do
    if value < 32 and value ~= 9 or value == 127 then
      fault("byte %d in the line %q", value, table.concat(out))
    elseif #out > LINE_MAX then
      fault("a line has no end")
    end
    out[#out + 1] = string.char(value)
    value = byte(self)
  end
  if byte(self) ~= LF then
    fault("a bare CR behind %q", table.concat(out))
  end
  return table.concat(out)
end

local function bytes(self, count)
  local out = {}
  for i = 1, count do
    out[i] = string.char(byte(self))
  end
  return table.concat(out)
end

-- RFC 9110 5.6.2.
local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

local function fields(self)
  local list = {}
  local text = line(self)
  while text ~= "" do
    local name, value = text:match("^([^:]*):[ \t]*(.-)[ \t]*$")
    if not name or not name:find(TOKEN) then
      fault("no header field: %q", text)
    end
    list[#list + 1] = { name:lower(), value }
    text = line(self)
  end
  return list
end

--- All values of a field.
---@param message { fields: table }
---@param name string  in lower case
---@return string[]
function M.values(message, name)
  local found = {}
  for _, field in ipairs(message.fields) do
    if field[1] == name then
      found[#found + 1] = field[2]
    end
  end
  return found
end

-- RFC 9112 6.3: nil where there is no framing, "chunked", or a length.
local function framing(message)
  local codings, lengths = M.values(message, "transfer-encoding"), M.values(message,
    "content-length")
  if #codings + #lengths > 1 then
    fault("more than one framing")
  elseif codings[1] then
    if codings[1] ~= "chunked" or message.version == "1.0" then
      fault("Transfer-Encoding: %s in HTTP/%s", codings[1], message.version)
    end
    return "chunked"
  elseif lengths[1] then
    if not lengths[1]:find("^%d+$") or #lengths[1] > 15 then
      fault("Content-Length: %s", lengths[1])
    end
    return tonumber(lengths[1])
  end
end

local function chunked(self, message)
  local parts = {}
  while true do
    local text = line(self)
    if not text:find("^%x+$") or #text > 12 then
      fault("chunk size %q", text)
    end
    local size = tonumber(text, 16)
    if size == 0 then
      break
    end
    parts[#parts + 1] = bytes(self, size)
    message.body = table.concat(parts)
    if line(self) ~= "" then
      fault("no line end behind a chunk")
    end
  end
  message.trailers = fields(self)
end

local function rest(self)
  local out = {}
  while true do
    local ok, value = pcall(byte, self)
    if not ok then
      return table.concat(out)
    end
    out[#out + 1] = string.char(value)
  end
end

local function read_request(self, on_head)
  local text = line(self)
  local method, target, version = text:match("^(%S+) (%S+) HTTP/(1%.[01])$")
  if not method or not method:find(TOKEN) then
    fault("request line %q", text)
  end
  local message = { method = method, target = target, version = version, body = "" }
  message.fields = fields(self)
  local hosts = #M.values(message, "host")
  if hosts ~= 1 and not (hosts == 0 and version == "1.0") then
    fault("%d Host fields", hosts)
  end
  local length = framing(message)
  on_head(message)
  if length == "chunked" then
    chunked(self, message)
  elseif length then
    message.body = bytes(self, length)
  end
  return message
end

local function read_response(self, method)
  local text = line(self)
  local version, status = text:match("^HTTP/(1%.[01]) (%d%d%d) [^\n]*$")
  if not version then
    fault("status line %q", text)
  end
  local message = { status = tonumber(status), version = version, body = "" }
  message.fields = fields(self)
  local length = framing(message)
  if message.status < 200 or message.status == 204 then
    if length then
      fault("framing in a response of status %s", status)
    end
  elseif method == "HEAD" or message.status == 304 then
    return message
  elseif length == "chunked" then
    chunked(self, message)
  elseif length then
    message.body = bytes(self, length)
  else
    message.body, message.until_close = rest(self), true
  end
  return message
end

-- nil and "end" before a message, "cut" within one, or what is wrong with it.
local function guarded(self, read, argument)
  self.taken = {}
  local ok, message = pcall(read, self, argument)
  if ok then
    return message
  elseif type(message) ~= "table" then
    error(message, 0)
  elseif message.cut then
    return nil, #self.taken == 0 and "end" or "cut"
  end
  return nil, ("%s, in %q"):format(message.fault, table.concat(self.taken):sub(-300))
end

--- The next request.
---@param on_head fun(message: table)  called before the body is read
---@return table? message
---@return string? why  "end" where none begins, "cut" where it breaks off, else the fault
function Reader:request(on_head)
  return guarded(self, read_request, on_head)
end

--- The next response, interim ones too.
---@param method string?  of the request
---@return table? message
---@return string? why
function Reader:response(method)
  return guarded(self, read_response, method)
end

--- Whether bytes have come that no message was made of.
---@return boolean
function Reader:has_rest()
  return self.at <= #self.data
end

---@param conn { read: function }  of mg.tcp
function M.reader(conn)
  return setmetatable({ conn = conn, data = "", at = 1, taken = {} }, Reader)
end

return M
