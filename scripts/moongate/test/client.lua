-- SPDX-License-Identifier: Apache-2.0
--
-- An HTTP/1.1 client for tests. Its connection is kept as long as both sides keep it, so that what
-- a gateway does between requests can be seen.
local http1 = require("moongate.test.http1")
local state = require("moongate.test.state")

local M = {}

---@class moongate.test.Request
---@field method string?
---@field path string?
---@field headers table?
---@field body string?
---@field chunks string[]?    sent chunked, each in a write of its own
---@field trailers table?
---@field host string|false|nil
---@field version string?
---@field expect boolean?     sends the body when 100 Continue has come
---@field split integer?      sends the head in pieces of so many bytes
---@field abort boolean?      leaves, by RST, once all is sent

local Client = {}
Client.__index = Client

local function connection(self)
  local conn = self.conn
  if conn and conn:is_over() then
    conn:close()
    conn = nil
  end
  if not conn then
    conn = assert(self.connect())
    conn:set_timeout(state.patience())
    self.conn = conn
    self.connections = self.connections + 1
  end
  return conn
end

local function write_split(conn, text, size)
  for at = 1, #text, size or #text do
    local ok, err = conn:write(text:sub(at, at + (size or #text) - 1))
    if not ok then
      return ok, err
    end
  end
  return true
end

local function write(conn, request)
  local head, pieces = http1.request(request)
  write_split(conn, head, request.split)
  local interim
  if request.expect then
    interim = assert(http1.read_head(conn))
    if interim.status ~= 100 then
      return nil, interim
    end
  end
  for _, piece in ipairs(pieces) do
    if piece ~= "" then
      conn:write(piece) -- a peer that has answered may not read any more
    end
  end
  return interim
end

local function closes(response)
  return response.until_close or (response.headers.connection or ""):lower() == "close"
end

--- Sends a request and returns the response, or nil, what went wrong and its code.
---@param request moongate.test.Request
---@return moongate.test.Message?
---@return string? err
---@return string? code
function Client:request(request)
  local conn = connection(self)
  if request.expect then
    request = setmetatable({ headers = { { "Expect", "100-continue" } } }, { __index = request })
  end
  local interim, early = write(conn, request)
  if request.abort then
    conn:reset()
    self.conn = nil
    return nil, "left", "left"
  end
  local response, err, code = early, nil, nil
  if early then
    http1.read_body(conn, early)
  else
    response, err, code = http1.read_response(conn, request.method)
  end
  if not response or closes(response) then
    self:close()
  end
  if response then
    response.continued = interim ~= nil
  end
  return response, err, code
end

--- As `request`; raises when there is no response.
local function must(self, request)
  local response, err = self:request(request)
  return response or error(("%s %s: %s"):format(request.method, request.path, err), 3)
end

---@param path string
---@param headers table?
---@return moongate.test.Message
function Client:get(path, headers)
  return must(self, { method = "GET", path = path, headers = headers })
end

---@param path string
---@param body string
---@param headers table?
---@return moongate.test.Message
function Client:post(path, body, headers)
  return must(self, { method = "POST", path = path, body = body, headers = headers })
end

--- The connection itself, for what is no whole request.
---@return moongate.Connection
function Client:raw()
  return connection(self)
end

function Client:close()
  if self.conn then
    self.conn:close()
    self.conn = nil
  end
end

---@param connect fun(): moongate.Connection?, string?
---@return moongate.test.Client
function M.new(connect)
  return setmetatable({ connect = connect, connections = 0 }, Client)
end

return M
