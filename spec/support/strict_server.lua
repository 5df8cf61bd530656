-- SPDX-License-Identifier: Apache-2.0
--
-- A backend of HTTP/1.1 over spec.support.strict: it keeps the requests that were whole, counts
-- those
-- that broke off, and keeps what was no HTTP. Each answer has the request's number, so that a
-- client
-- can tell it from what the gateway says itself.
local mg = require("moongate")
local state = require("moongate.test.state")
local strict = require("spec.support.strict")

local M = {}

local Server = {}
Server.__index = Server

-- --- answers -----------------------------------------------------------------------

local function answer_to(self, request)
  if self.scripted then
    return self.scripted(request)
  end
  local raw = self.raw
  if raw and request.target:find("^/odd") then
    return raw.bytes, raw.close
  end
  local body = request.method == "HEAD" and "" or request.target
  return ("HTTP/1.1 200 OK\r\nX-Seen: %d\r\nContent-Length: %d\r\n\r\n%s"):format(
    #self.requests, #request.target, body)
end

local function serve_one(self, conn, reader)
  local request, why = reader:request(function(head)
    self.begun = self.begun + 1
    if #strict.values(head, "expect") > 0 then
      conn:write("HTTP/1.1 100 Continue\r\n\r\n")
    end
  end)
  if not request then
    if why == "cut" then
      self.cut = self.cut + 1
    elseif why ~= "end" then
      table.insert(self.faults, why)
      conn:write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    end
    return false
  end
  table.insert(self.requests, request)
  local bytes, close = answer_to(self, request)
  conn:write(bytes)
  return not close
end

local function serve(self, conn)
  conn:set_timeout(0)
  self.open[conn] = true
  local reader = strict.reader(conn)
  local ok, again = true, true
  while ok and again do
    ok, again = xpcall(serve_one, debug.traceback, self, conn, reader)
  end
  if not ok then
    table.insert(self.faults, again)
  end
  conn:close()
  self.open[conn] = nil
end

--- Forgets what came, and answers requests to /odd with `raw` from now on.
---@param raw { bytes: string, close: boolean? }?
function Server:begin(raw)
  self.requests, self.faults, self.cut, self.begun, self.raw = {}, {}, 0, 0, raw
end

function Server:drop_connections()
  for conn in pairs(self.open) do
    conn:reset()
  end
end

---@return string
function Server:url()
  return "http://127.0.0.1:" .. self.port
end

function Server:close()
  state.forget(self)
  self.listener:close()
  self:drop_connections()
end

function M.new()
  local listener = assert(mg.tcp.listen("127.0.0.1:0"))
  -- `scripted`, where a spec sets it, gives the bytes of an answer to a request.
  local self = setmetatable({ listener = listener, port = listener.port, open = {} }, Server)
  self:begin()
  mg.task.spawn(function()
    local conn = listener:accept()
    while conn do
      mg.task.spawn(serve, self, conn)
      conn = listener:accept()
    end
  end)
  return state.keep(self)
end

return M
