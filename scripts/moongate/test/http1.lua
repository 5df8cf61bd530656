-- SPDX-License-Identifier: Apache-2.0
--
-- HTTP/1.1 as tests speak it, over connections of mg.tcp: nothing is corrected or refused, so that
-- what came can be looked at as it came.
local M = {}

local HEAD_MAX = 1048576

local Message = {}
Message.__index = Message

--- The first value of a field, without regard to case.
---@param name string
---@return string?
function Message:header(name)
  return self:header_values(name)[1]
end

---@param name string
---@return string[]
function Message:header_values(name)
  local values = {}
  for _, field in ipairs(self.fields) do
    if field[1]:lower() == name:lower() then
      values[#values + 1] = field[2]
    end
  end
  return values
end

local function add_fields(message, text)
  for line in (text .. "\r\n"):gmatch("(.-)\r\n") do
    local name, value = line:match("^([^:]+):[ \t]*(.-)[ \t]*$")
    if name then
      table.insert(message.fields, { name, value })
      name = name:lower()
      local before = message.headers[name]
      message.headers[name] = before and before .. ", " .. value or value
    end
  end
end

--- A message without body: `headers` by lower-case name with values joined, `fields` as they came.
---@param conn moongate.Connection
---@return moongate.test.Message?
---@return string? err
---@return string? code
function M.read_head(conn)
  local text, err, code = conn:read_until("\r\n\r\n", HEAD_MAX)
  if not text then
    return nil, err, code
  end
  local line, rest = text:match("^([^\r\n]*)\r?\n?(.*)$")
  local message = setmetatable({ line = line, headers = {}, fields = {}, body = "" }, Message)
  add_fields(message, rest)
  local status, reason = line:match("^HTTP/1%.%d (%d%d%d) ?(.*)$")
  if status then
    message.status, message.reason = tonumber(status), reason
  else
    message.method, message.target, message.version = line:match("^(%S+) (%S+) HTTP/(%S+)$")
    message.path = (message.target or ""):match("^[^?]*")
  end
  return message
end

local function read_chunked(conn, message)
  local parts = {}
  message.chunks = parts
  while true do
    local line, err, code = conn:read_until("\r\n", 4096)
    local size = tonumber((line or ""):match("^%x+") or "x", 16)
    if not size then
      return table.concat(parts), err or ("no chunk size: " .. line), code or "broken"
    elseif size == 0 then
      break
    end
    local data
    data, err, code = conn:read_exactly(size + 2)
    if not data then
      return table.concat(parts), err, code
    end
    parts[#parts + 1] = data:sub(1, -3)
  end
  local trailer, err, code = conn:read_until("\r\n")
  local trailers = setmetatable({ headers = {}, fields = {} }, Message)
  while trailer and trailer ~= "" do
    add_fields(trailers, trailer)
    trailer, err, code = conn:read_until("\r\n")
  end
  message.trailers = trailers.headers
  return table.concat(parts), err, code
end

local function read_rest(conn)
  local parts = {}
  local data, err, code = conn:read()
  while data do
    parts[#parts + 1] = data
    data, err, code = conn:read()
  end
  if code == "closed" then
    err, code = nil, nil
  end
  return table.concat(parts), err, code
end

local function read_length(conn, length)
  local parts = {}
  while length > 0 do
    local data, err, code = conn:read(length)
    if not data then
      return table.concat(parts), err, code
    end
    parts[#parts + 1] = data
    length = length - #data
  end
  return table.concat(parts)
end

--- Reads the body into `message.body`. What breaks it off stands in `message.error`, a code.
---@param conn moongate.Connection
---@param message moongate.test.Message
---@return moongate.test.Message
function M.read_body(conn, message)
  local err, code
  local coding, length = message.headers["transfer-encoding"], message.headers["content-length"]
  if coding and coding:lower():find("chunked", 1, true) then
    message.body, err, code = read_chunked(conn, message)
  elseif length then
    message.body, err, code = read_length(conn, tonumber(length))
  elseif message.status then
    message.body, err, code = read_rest(conn)
    message.until_close = true
  end
  message.error = err and (code or err)
  return message
end

local BODILESS = { [204] = true, [304] = true }

--- The final response to a request of that method; those before it stand in `interim`.
---@param conn moongate.Connection
---@param method string?  GET unless given
---@return moongate.test.Message?
---@return string? err
---@return string? code
function M.read_response(conn, method)
  local interim = {}
  while true do
    local message, err, code = M.read_head(conn)
    if not message then
      return nil, err, code
    elseif not message.status then
      return nil, "not a status line: " .. message.line, "broken"
    elseif message.status >= 200 or message.status == 101 then
      message.interim = interim
      if message.status == 101 or method == "HEAD" or BODILESS[message.status] then
        return message
      end
      return M.read_body(conn, message)
    end
    interim[#interim + 1] = message
  end
end

-- --- writing -----------------------------------------------------------------

-- Fields by name, or in order, as a list in order.
local function list_of(fields)
  local list = {}
  for name, value in pairs(fields or {}) do
    if type(name) == "number" then
      list[#list + 1] = value
    else
      for _, one in ipairs(type(value) == "table" and value or { value }) do
        list[#list + 1] = { name, one }
      end
    end
  end
  return list
end

local function put_fields(out, fields)
  for _, field in ipairs(list_of(fields)) do
    out[#out + 1] = ("%s: %s\r\n"):format(field[1], tostring(field[2]))
  end
end

local function has_field(fields, wanted)
  for name, value in pairs(fields or {}) do
    if (type(name) == "number" and value[1] or name):lower() == wanted then
      return true
    end
  end
  return false
end

local function is_framed(fields)
  return has_field(fields, "content-length") or has_field(fields, "transfer-encoding")
end

--- One chunk of a chunked body.
function M.chunk(data)
  return ("%x\r\n%s\r\n"):format(#data, data)
end

--- The end of a chunked body.
function M.last_chunk(trailers)
  local out = { "0\r\n" }
  put_fields(out, trailers)
  out[#out + 1] = "\r\n"
  return table.concat(out)
end

--- A head, with the framing that `message` needs unless its headers have one: `chunks` are sent
--- chunked, `body` with its length.
---@param line string
---@param message table
---@param default_length boolean  says 0 where there is no body
function M.head(line, message, default_length)
  local out = { line, "\r\n" }
  put_fields(out, message.headers)
  if not is_framed(message.headers) then
    if message.chunks or message.trailers then
      out[#out + 1] = "Transfer-Encoding: chunked\r\n"
    elseif message.body or default_length then
      out[#out + 1] = ("Content-Length: %d\r\n"):format(#(message.body or ""))
    end
  end
  out[#out + 1] = "\r\n"
  return table.concat(out)
end

--- The body as it goes on the wire, in pieces.
---@return string[]
function M.body_pieces(message)
  if not message.chunks and not message.trailers then
    return { message.body or "" }
  end
  local pieces = {}
  for _, chunk in ipairs(message.chunks or { message.body }) do
    pieces[#pieces + 1] = M.chunk(chunk)
  end
  pieces[#pieces + 1] = M.last_chunk(message.trailers)
  return pieces
end

--- A request as text.
---@param request { method: string?, path: string?, headers: table?, body: string?, host: string?,
---  chunks: string[]?, trailers: table?, version: string? }
---@return string head
---@return string[] pieces  of the body
function M.request(request)
  local headers = list_of(request.headers)
  if not has_field(headers, "host") and request.host ~= false then
    table.insert(headers, 1, { "Host", request.host or "test" })
  end
  local line = ("%s %s HTTP/%s"):format(
    request.method or "GET",
    request.path or "/",
    request.version or "1.1"
  )
  local message = {
    headers = headers,
    body = request.body,
    chunks = request.chunks,
    trailers = request.trailers,
  }
  return M.head(line, message, false), M.body_pieces(message)
end

return M
