-- SPDX-License-Identifier: Apache-2.0
--
-- A WebSocket over a stream of HTTP/2 (RFC 8441), as a client: frames of RFC 6455 by hand. And a
-- backend behind an upgrade of HTTP/1.1, which stands for one of any protocol.
local ffi = require("ffi")

local h2 = require("spec.support.h2")

local M = { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 }

local FINAL, MASKED = 128, 128
local KEY = "\17\34\51\68"

local Socket = {}
Socket.__index = Socket

-- A payload as clients have to send it (RFC 6455 5.3).
local function mask(payload)
  local bytes = ffi.new("uint8_t[?]", #payload)
  ffi.copy(bytes, payload, #payload)
  for i = 0, #payload - 1 do
    bytes[i] = bit.bxor(bytes[i], KEY:byte(i % 4 + 1))
  end
  return ffi.string(bytes, #payload)
end

local function length_of(size)
  if size < 126 then
    return string.char(MASKED + size)
  elseif size < 65536 then
    return string.char(MASKED + 126) .. h2.u32(size):sub(3)
  end
  return string.char(MASKED + 127) .. h2.u32(0) .. h2.u32(size)
end

--- Sends a frame.
---@param opcode integer
---@param payload string
---@param more boolean?  the message goes on in the next one
function Socket:send(opcode, payload, more)
  local head = string.char((more and 0 or FINAL) + opcode) .. length_of(#payload)
  return self.conn:send_body(self.id, head .. KEY .. mask(payload))
end

-- `size` bytes of the stream, or nil where it is over.
local function take(self, size)
  local stream = self.stream
  while #self.rest < size do
    while #stream.parts == 0 do
      if stream.ended or stream.error or not self.conn:next() then
        return nil
      end
    end
    self.rest = self.rest .. table.concat(stream.parts)
    stream.parts = {}
  end
  local data = self.rest:sub(1, size)
  self.rest = self.rest:sub(size + 1)
  return data
end

--- The next frame; nil at the end of the stream.
---@return { opcode: integer, payload: string, final: boolean }?
function Socket:receive()
  local head = take(self, 2)
  if not head then
    return nil
  end
  local first, size = head:byte(1, 2)
  local extra = ({ [126] = 2, [127] = 8 })[size]
  if extra then
    size = h2.number(take(self, extra), 1, extra)
  end
  return { opcode = first % 16, final = first >= FINAL, payload = take(self, size) }
end

--- The next message, whose frames are put together.
---@return string?
function Socket:message()
  local parts = {}
  repeat
    local frame = self:receive()
    parts[#parts + 1] = frame and frame.payload
  until not frame or frame.final
  return parts[1] and table.concat(parts)
end

--- The answer of a backend that changes to lines, each of which it says back.
---@param words string  before what it says
---@param protocol string?  "echo" unless given
function M.echo(words, protocol)
  return {
    status = 101,
    headers = { Connection = "Upgrade", Upgrade = protocol or "echo" },
    tunnel = function(conn)
      local line = conn:read_until("\n")
      while line do
        conn:write(words .. " " .. line .. "\n")
        line = conn:read_until("\n")
      end
    end,
  }
end

--- Opens one more on a connection; its `stream` has the answer's status.
---@param conn table  of spec.support.h2
---@param path string
---@param fields table?  { name, value } in order
function M.open(conn, path, fields)
  local all = { { ":method", "CONNECT" }, { ":protocol", "websocket" }, { ":scheme", "http" },
    { ":path", path }, { ":authority", "a.test" }, { "sec-websocket-version", "13" } }
  for _, field in ipairs(fields or {}) do
    all[#all + 1] = field
  end
  local id = conn:request({ fields = all, open = true })
  local self = setmetatable({ conn = conn, id = id, stream = conn:stream(id), rest = "" }, Socket)
  while not self.stream.status and not self.stream.error and conn:next() do
    self.answered = true
  end
  return self
end

return M
