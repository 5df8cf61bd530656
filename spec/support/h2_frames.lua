-- SPDX-License-Identifier: Apache-2.0
--
-- HTTP/2 on the wire (RFC 9113): the numbers it is made of, and frames as bytes.
local M = {
  -- types
  DATA = 0, HEADERS = 1, PRIORITY = 2, RST_STREAM = 3, SETTINGS = 4, PUSH_PROMISE = 5, PING = 6,
  GOAWAY = 7, WINDOW_UPDATE = 8, CONTINUATION = 9,
  -- flags
  ACK = 1, END_STREAM = 1, END_HEADERS = 4, PADDED = 8, HAS_PRIORITY = 32,
  -- settings
  HEADER_TABLE_SIZE = 1, ENABLE_PUSH = 2, MAX_CONCURRENT_STREAMS = 3, INITIAL_WINDOW_SIZE = 4,
  MAX_FRAME_SIZE = 5, MAX_HEADER_LIST_SIZE = 6, ENABLE_CONNECT_PROTOCOL = 8,
  PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

--- Names of error codes, by number and the other way round (7).
M.ERRORS = { [0] = "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL",
  "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED" }
for code = 0, #M.ERRORS do
  M.ERRORS[M.ERRORS[code]] = code
end

-- What holds until SETTINGS say otherwise.
M.WINDOW = 65535
M.FRAME = 16384

-- --- bytes -----------------------------------------------------------------------

--- A number in four bytes.
function M.u32(value)
  return string.char(math.floor(value / 16777216) % 256, math.floor(value / 65536) % 256,
    math.floor(value / 256) % 256, value % 256)
end

--- The number in `length` bytes from `at` on.
function M.number(data, at, length)
  local value = 0
  for i = at, at + length - 1 do
    value = value * 256 + data:byte(i)
  end
  return value
end

--- A frame as it goes on the wire.
---@param kind integer
---@param flags integer
---@param stream integer
---@param payload string?
---@return string
function M.frame(kind, flags, stream, payload)
  payload = payload or ""
  return M.u32(#payload):sub(2) .. string.char(kind, flags) .. M.u32(stream) .. payload
end

--- The payload of SETTINGS, of a list of { id, value }.
function M.settings(list)
  local out = {}
  for i, one in ipairs(list or {}) do
    out[i] = string.char(0, one[1]) .. M.u32(one[2])
  end
  return table.concat(out)
end

--- A code of an error in four bytes, by name or number.
function M.error(code)
  return M.u32(type(code) == "string" and M.ERRORS[code] or code)
end

return M
