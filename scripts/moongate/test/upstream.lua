-- SPDX-License-Identifier: Apache-2.0
--
-- A server that a test scripts: real connections, answers by a function, a table or a sequence, and
-- the requests that came.
local C = require("moongate.api.core")
local http1 = require("moongate.test.http1")
local state = require("moongate.test.state")
local task = require("moongate.api.task")
local tcp = require("moongate.api.tcp")
local values = require("moongate.api.values")
local vm = require("moongate.api.vm")

local M = {}

---@class moongate.test.Answer
---@field status integer?         200 unless given
---@field headers table?
---@field body string?
---@field chunks string[]?        sent chunked, each in a write of its own
---@field trailers table?
---@field interim integer[]?      statuses of interim responses before the final one
---@field delay number|string?    before the head
---@field pause number|string?    before each piece of the body
---@field length integer?         Content-Length that is said, whatever the body is
---@field close boolean?          ends the connection after the answer
---@field cut boolean?            ends it without the body's end
---@field reset boolean?          answers nothing, by RST
---@field hold boolean?           answers nothing until the connection is over
---@field raw string?             these bytes instead of an answer
---@field tunnel fun(conn: moongate.Connection)?  takes the connection over after the head (101)

local Upstream = {}
Upstream.__index = Upstream

local function echo(request)
  return { headers = { ["Content-Type"] = "text/plain" },
    body = request.body ~= "" and request.body or "ok" }
end

-- A sequence is used up one by one; its last answer stays.
local function answerer(answer)
  if not answer or answer == true then
    return echo
  elseif type(answer) == "function" then
    return answer
  elseif type(answer) == "string" then
    return function()
      return { body = answer }
    end
  elseif answer[1] == nil then
    return function()
      return answer
    end
  end
  local i = 0
  return function(request, conn)
    i = math.min(i + 1, #answer)
    return answerer(answer[i])(request, conn)
  end
end

--- Changes how requests are answered from now on.
---@param answer moongate.test.Answer|function|string|table[]|nil
function Upstream:answer(answer)
  self.answer_with = answerer(answer)
end

--- Waits by the real clock, whatever the clock of the test says.
---@param seconds number
function M.pause(seconds)
  task.wait(C.mg_wait_timer(vm, seconds))
end

local function pause(duration)
  if duration then
    M.pause(values.seconds(duration))
  end
end

local REASONS = { [100] = "Continue", [101] = "Switching Protocols", [103] = "Early Hints" }

local function status_line(status)
  return ("HTTP/1.1 %d %s"):format(status, REASONS[status] or "Test")
end

local BODILESS = { [101] = true, [204] = true, [304] = true }

local function send_body(conn, answer)
  local pieces = http1.body_pieces(answer)
  if answer.cut then
    pieces[#pieces] = answer.chunks and "" or pieces[#pieces]
  end
  for _, piece in ipairs(pieces) do
    pause(answer.pause)
    if piece ~= "" and not conn:write(piece) then
      return false
    end
  end
  return true
end

local function send_head(conn, answer)
  local status = answer.status or 200
  local headers = {}
  for name, value in pairs(answer.headers or {}) do
    headers[name] = value
  end
  if answer.length then
    headers["Content-Length"] = answer.length
  end
  if answer.close then
    headers.Connection = "close"
  end
  local message = setmetatable({ headers = headers }, { __index = answer })
  return conn:write(http1.head(status_line(status), message, not BODILESS[status]))
end

local function send_answer(conn, request, answer)
  for _, status in ipairs(answer.interim or {}) do
    conn:write(status_line(status) .. "\r\n\r\n")
  end
  local status = answer.status or 200
  local ok = send_head(conn, answer)
  if ok and answer.tunnel then
    answer.tunnel(conn)
    return false
  elseif ok and request.method ~= "HEAD" and not BODILESS[status] then
    ok = send_body(conn, answer)
  end
  request.abandoned = not ok
  return ok and not answer.close and not answer.cut
end

-- Returns whether the connection may serve another request.
local function send(conn, request, answer)
  pause(answer.delay)
  if answer.hold then
    request.abandoned = conn:read() == nil
    return false
  elseif answer.reset then
    conn:reset()
    return false
  elseif answer.raw then
    return conn:write(answer.raw) and not answer.close
  end
  return send_answer(conn, request, answer)
end

local function serve_one(self, conn, number)
  local request = http1.read_head(conn)
  if not request then
    return false
  end
  request.connection = number
  table.insert(self.requests, request)
  if (request.headers.expect or ""):lower() == "100-continue" then
    conn:write("HTTP/1.1 100 Continue\r\n\r\n")
  end
  local answer
  if self.eager then
    answer = self.answer_with(request, conn)
  else
    http1.read_body(conn, request)
    request.complete = not request.error
    answer = not request.error and self.answer_with(request, conn)
  end
  return answer and send(conn, request, type(answer) == "string" and { body = answer } or answer)
end

local function serve(self, conn)
  self.connections = self.connections + 1
  self.open[conn] = true
  self.open_count = self.open_count + 1
  local number = self.connections
  conn:set_timeout(0)
  local ok, again = true, true
  while ok and again do
    ok, again = xpcall(serve_one, debug.traceback, self, conn, number)
  end
  if not ok then
    self.failure = self.failure or again
    io.stderr:write("upstream of the test: ", tostring(again), "\n")
  end
  conn:close()
  self.open[conn] = nil
  self.open_count = self.open_count - 1
end

--- The request of that number, which is waited for; the last one so far without a number.
---@param number integer?
---@return moongate.test.Message
function Upstream:request(number)
  number = number or math.max(1, #self.requests)
  M.wait_until(function()
    return self.requests[number] ~= nil
  end, ("request %d at the upstream"):format(number))
  return self.requests[number]
end

---@return string
function Upstream:url()
  return "http://127.0.0.1:" .. self.port
end

--- Ends the connections that are open, and keeps listening.
function Upstream:drop_connections()
  for conn in pairs(self.open) do
    conn:reset()
  end
end

function Upstream:close()
  state.forget(self)
  self.listener:close()
  self:drop_connections()
end

--- Waits until `condition` holds; raises with `what` when it does not come to that.
---@param condition fun(): any
---@param what string
function M.wait_until(condition, what)
  local until_s = C.mg_time_monotonic() + state.patience()
  while not condition() do
    if C.mg_time_monotonic() > until_s then
      error("waited in vain for " .. what, 2)
    end
    M.pause(0.002)
  end
end

--- Starts a server on a free port of 127.0.0.1.
---@param answer moongate.test.Answer|function|string|table[]|nil
---@param options { eager: boolean?, address: string? }?  eager: answers before the body is read
---@return moongate.test.Upstream
function M.new(answer, options)
  options = options or {}
  local listener = assert(tcp.listen(options.address or "127.0.0.1:0"))
  local self = setmetatable({
    listener = listener,
    port = listener.port,
    requests = {},
    connections = 0,
    open_count = 0,
    open = {},
    eager = options.eager,
  }, Upstream)
  self:answer(answer)
  task.spawn(function()
    local conn = listener:accept()
    while conn do
      task.spawn(serve, self, conn)
      conn = listener:accept()
    end
  end)
  return state.keep(self)
end

return M
