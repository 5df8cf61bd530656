-- SPDX-License-Identifier: Apache-2.0
--
-- HTTP/2 (RFC 9113) by frames, for specs inside the binary: either end of a connection of mg.tcp.
-- Nothing that is sent is checked. What comes is read when a spec asks for it, and answered as a
-- well-behaved peer does (SETTINGS, PING, windows) unless `manual` is set.
--
--   local conn = h2.connect(gateway)
--   local response = conn:exchange({ path = "/", body = "x" })
--   conn:send(h2.PING, 0, 0, "12345678")
--   local frame = conn:next()
local frames = require("spec.support.h2_frames")
local hpack = require("spec.support.hpack")
local t = require("moongate.test")

local M = setmetatable({}, { __index = frames })

local number = frames.number

-- --- messages ----------------------------------------------------------------------

local Message = {}
Message.__index = Message

--- The first value of a field.
function Message:header(name)
  for _, field in ipairs(self.fields) do
    if field[1] == name:lower() then
      return field[2]
    end
  end
end

local function joined(fields)
  local headers = {}
  for _, field in ipairs(fields) do
    local before = headers[field[1]]
    headers[field[1]] = before and before .. ", " .. field[2] or field[2]
  end
  return headers
end

local function take_head(message, fields)
  message.fields, message.headers = fields, joined(fields)
  message.status = tonumber(message.headers[":status"])
  message.method, message.target = message.headers[":method"], message.headers[":path"]
  message.path = (message.target or ""):match("^[^?]*")
  message.line = message.headers[":status"] or (message.method or "?") .. " " .. message.path
end

-- --- a connection --------------------------------------------------------------------

local Connection = {}
Connection.__index = Connection

---@param kind integer
---@param flags integer
---@param stream integer
---@param payload string?
---@return true?
---@return string? err
---@return string? code
function Connection:send(kind, flags, stream, payload)
  return self.conn:write(M.frame(kind, flags, stream, payload))
end

--- Makes what is known of a stream, and returns it.
---@param id integer
function Connection:stream(id)
  local stream = self.streams[id]
  if not stream then
    stream = setmetatable({ id = id, window = self.initial_window, parts = {}, fields = {},
      headers = {}, interim = {}, body = "" }, Message)
    self.streams[id] = stream
  end
  return stream
end

--- A block of fields, in frames of at most `size` bytes.
---@param id integer
---@param fields table|string  { name, value } in order, or the block
---@param last boolean?  END_STREAM
---@param size integer?
function Connection:send_fields(id, fields, last, size)
  local block = type(fields) == "string" and fields or hpack.encode(fields)
  size = size or M.FRAME
  local out = {}
  for at = 1, math.max(1, #block), size do
    local flags = (at + size > #block and M.END_HEADERS or 0)
      + (at == 1 and last and M.END_STREAM or 0)
    out[#out + 1] = M.frame(at == 1 and M.HEADERS or M.CONTINUATION, flags, id,
      block:sub(at, at + size - 1))
  end
  return self.conn:write(table.concat(out))
end

-- Reads until the condition holds, or waits for it where another task reads; false at the end.
local function await(self, condition, what)
  if self.pumped then
    t.wait_until(function()
      return self.over or condition()
    end, what)
    return condition()
  end
  while not condition() do
    if not self:next() then
      return false
    end
  end
  return true
end

--- A body, as windows let it go; false when it does not go.
---@param id integer
---@param data string
---@param last boolean?
---@return boolean
function Connection:send_body(id, data, last)
  local stream, at = self:stream(id), 1
  repeat
    local open = await(self, function()
      return stream.error or at > #data or math.min(self.window, stream.window) > 0
    end, "a window")
    if not open or stream.error then
      return false
    end
    local size = math.min(#data - at + 1, M.FRAME, self.window, stream.window)
    self.window, stream.window = self.window - size, stream.window - size
    local ends = last and at + size > #data
    self:send(M.DATA, ends and M.END_STREAM or 0, id, data:sub(at, at + size - 1))
    at = at + size
  until at > #data
  return true
end

local function list_of(headers)
  local list = {}
  for name, value in pairs(headers or {}) do
    list[#list + 1] = type(name) == "number" and value or { name:lower(), tostring(value) }
  end
  return list
end

M.list_of = list_of

--- The fields of a request as they would be sent.
function M.request_fields(request)
  local fields = { { ":method", request.method or (request.body and "POST" or "GET") },
    { ":scheme", request.scheme or "http" },
    { ":authority", request.authority or request.host or "test" },
    { ":path", request.path or "/" } }
  for _, field in ipairs(list_of(request.headers)) do
    fields[#fields + 1] = field
  end
  return fields
end

--- Sends a request and returns its stream's id.
---@param request { method: string?, path: string?, authority: string?, scheme: string?,
---  headers: table?, body: string?, trailers: table?, fields: table|string|nil, open: boolean? }
---  fields: instead of all that stands before it; open: the stream goes on after what is sent
---@return integer
function Connection:request(request)
  local id = self.next_id
  self.next_id = id + 2
  self:stream(id)
  local body, trailers = request.body, request.trailers
  local more = body or trailers or request.open
  self:send_fields(id, request.fields or M.request_fields(request), not more)
  if body then
    self:send_body(id, body, not trailers and not request.open)
  end
  if trailers then
    self:send_fields(id, list_of(trailers), true)
  end
  return id
end

--- Reads until the stream's message is whole; nil and why when that does not come. A stream that is
--- reset before its end has the name of the code in `error`.
---@param id integer
---@return table? message
---@return string? err  a name of M.ERRORS after GOAWAY, else of mg.tcp
function Connection:response(id)
  local stream = self:stream(id)
  local came = await(self, function()
    return stream.ended or stream.error
  end, "a response")
  if not came or stream.error and not stream.status then
    return nil, stream.error or self.goaway and self.goaway.error or self.over
  end
  return stream
end

---@return table? message
---@return string? err
function Connection:exchange(request)
  return self:response(self:request(request))
end

-- --- what comes ------------------------------------------------------------------------

local function unpadded(frame)
  local payload = frame.payload
  if frame.flags % (2 * M.PADDED) >= M.PADDED then
    payload = payload:sub(2, #payload - payload:byte(1))
  end
  if frame.kind == M.HEADERS and frame.flags % (2 * M.HAS_PRIORITY) >= M.HAS_PRIORITY then
    payload = payload:sub(6)
  end
  return payload
end

local function has(frame, flag)
  return frame.flags % (2 * flag) >= flag
end

local function finish(stream, error)
  stream.body = table.concat(stream.parts)
  stream.ended, stream.error = not error, error
end

local function take_block(self, frame)
  self.block = (self.block or "") .. unpadded(frame)
  self.block_ends = self.block_ends or frame.kind == M.HEADERS and has(frame, M.END_STREAM)
  if not has(frame, M.END_HEADERS) then
    return
  end
  local stream = self:stream(frame.stream)
  local fields = self.decoder:decode(self.block)
  local ends = self.block_ends
  self.block, self.block_ends = nil, nil
  local status = fields[1] and fields[1][1] == ":status" and tonumber(fields[1][2])
  if status and status < 200 then
    table.insert(stream.interim, { status = status, fields = fields, headers = joined(fields) })
    return
  elseif stream.line then
    stream.trailers = joined(fields)
  else
    take_head(stream, fields)
  end
  if ends then
    finish(stream)
  end
end

local function take_data(self, frame)
  local stream, length = self:stream(frame.stream), #frame.payload
  stream.parts[#stream.parts + 1] = unpadded(frame)
  if has(frame, M.END_STREAM) then
    finish(stream)
  elseif length > 0 and not self.manual then
    self:send(M.WINDOW_UPDATE, 0, frame.stream, M.u32(length))
  end
  if length > 0 and not self.manual then
    self:send(M.WINDOW_UPDATE, 0, 0, M.u32(length))
  end
end

local function take_settings(self, frame)
  if has(frame, M.ACK) then
    self.acks = self.acks + 1
    return
  end
  for at = 1, #frame.payload, 6 do
    local id, value = number(frame.payload, at, 2), number(frame.payload, at + 2, 4)
    self.settings[id] = value
    if id == M.INITIAL_WINDOW_SIZE then
      for _, stream in pairs(self.streams) do
        stream.window = stream.window + value - self.initial_window
      end
      self.initial_window = value
    end
  end
  if not self.manual then
    self:send(M.SETTINGS, M.ACK, 0)
  end
end

local TAKE = {
  [M.DATA] = take_data,
  [M.HEADERS] = take_block,
  [M.CONTINUATION] = take_block,
  [M.SETTINGS] = take_settings,
  [M.RST_STREAM] = function(self, frame)
    local stream, code = self:stream(frame.stream), number(frame.payload, 1, 4)
    stream.reset = M.ERRORS[code] or code
    if not stream.ended then
      finish(stream, stream.reset)
    end
  end,
  [M.PING] = function(self, frame)
    if not has(frame, M.ACK) and not self.manual then
      self:send(M.PING, M.ACK, 0, frame.payload)
    end
  end,
  [M.GOAWAY] = function(self, frame)
    self.goaway = { last = number(frame.payload, 1, 4) % 2147483648,
      error = M.ERRORS[number(frame.payload, 5, 4)], text = frame.payload:sub(9) }
  end,
  [M.WINDOW_UPDATE] = function(self, frame)
    local holder = frame.stream == 0 and self or self:stream(frame.stream)
    holder.window = holder.window + number(frame.payload, 1, 4)
  end,
}

--- The next frame, after what it brings was taken in; nil and why at the end.
---@return { kind: integer, flags: integer, stream: integer, payload: string }?
---@return string? err
---@return string? code
function Connection:next()
  local head, err, code = self.conn:read_exactly(9)
  local payload = ""
  if head and number(head, 1, 3) > 0 then
    payload, err, code = self.conn:read_exactly(number(head, 1, 3))
  end
  if not head or not payload then
    self.over = code ~= "timeout" and code or self.over
    return nil, err, code
  end
  local frame = { kind = head:byte(4), flags = head:byte(5),
    stream = number(head, 6, 4) % 2147483648, payload = payload }
  local take = TAKE[frame.kind]
  if take then
    take(self, frame)
  end
  return frame
end

--- Reads to the end of the connection; the name of the GOAWAY's code, if one came. Raises when the
--- connection does not end in the time that a spec waits.
---@return string?
function Connection:read_to_end()
  while self:next() do
    self.seen = (self.seen or 0) + 1
  end
  if not self.over then
    error("the connection goes on", 2)
  end
  return self.goaway and self.goaway.error
end

--- Takes a stream back.
---@param id integer
---@param error string|integer|nil  CANCEL unless given
function Connection:cancel(id, error)
  return self:send(M.RST_STREAM, 0, id, M.error(error or "CANCEL"))
end

---@param last integer
---@param error string|integer|nil  NO_ERROR unless given
function Connection:go_away(last, error)
  return self:send(M.GOAWAY, 0, 0, M.u32(last) .. M.error(error or "NO_ERROR"))
end

function Connection:close()
  self.conn:close()
end

--- One end of a connection that is open; nothing is sent yet.
---@param conn moongate.Connection
function M.over(conn)
  return setmetatable({
    conn = conn,
    streams = {},
    settings = {},
    acks = 0,
    next_id = 1,
    window = M.WINDOW,
    initial_window = M.WINDOW,
    decoder = hpack.decoder(),
  }, Connection)
end

--- Connects with prior knowledge and sends the preface and SETTINGS.
---@param gateway moongate.test.Gateway
---@param options { settings: table?, manual: boolean? }?
function M.connect(gateway, options)
  options = options or {}
  local self = M.over(gateway:connect())
  self.manual = options.manual
  self.conn:write(M.PREFACE .. M.frame(M.SETTINGS, 0, 0, M.settings(options.settings)))
  return self
end

return M
