-- SPDX-License-Identifier: Apache-2.0
--
-- A server of HTTP/2 with prior knowledge that a spec scripts: `moongate.test.upstream` by frames.
-- An answer may write any frame itself.
local h2 = require("spec.support.h2")
local state = require("moongate.test.state")
local t = require("moongate.test")
local task = require("moongate.api.task")
local tcp = require("moongate.api.tcp")
local upstream = require("moongate.test.upstream")
local values = require("moongate.api.values")

local M = {}

---@class spec.H2Answer
---@field status integer?       200 unless given
---@field headers table?
---@field body string?
---@field chunks string[]?      each in a frame of its own
---@field trailers table?
---@field interim integer[]?    statuses of interim responses before the final one
---@field delay number|string|nil  before the head
---@field pause number|string|nil  before each piece of the body
---@field reset string?         ends the stream with this code, behind what else is given
---@field hold boolean?         answers nothing
---@field raw fun(conn: table, request: table)?  writes frames instead of an answer

local Upstream = {}
Upstream.__index = Upstream

local function echo(request)
  return { headers = { ["content-type"] = "text/plain" },
    body = request.body ~= "" and request.body or "ok" }
end

local function pause(duration)
  if duration then
    upstream.pause(values.seconds(duration))
  end
end

local function send_body(conn, id, answer, last)
  local chunks = answer.chunks or { answer.body or "" }
  for i, chunk in ipairs(chunks) do
    pause(answer.pause)
    if not conn:send_body(id, chunk, last and i == #chunks) then
      return
    end
  end
end

local function send_answer(conn, request, answer)
  local id = request.id
  for _, status in ipairs(answer.interim or {}) do
    conn:send_fields(id, { { ":status", tostring(status) } })
  end
  local fields = { { ":status", tostring(answer.status or 200) } }
  for _, field in ipairs(h2.list_of(answer.headers)) do
    fields[#fields + 1] = field
  end
  local body = request.method ~= "HEAD" and (answer.chunks or answer.body and answer.body ~= "")
  local last = not answer.trailers and not answer.reset
  conn:send_fields(id, fields, last and not body)
  if body then
    send_body(conn, id, answer, last)
  end
  if answer.trailers then
    conn:send_fields(id, h2.list_of(answer.trailers), not answer.reset)
  end
end

local function answer_one(self, conn, request)
  local answer = self.answer_with(request, conn)
  if type(answer) == "string" then
    answer = { body = answer }
  end
  if not answer or answer.hold then
    return
  elseif answer.raw then
    return answer.raw(conn, request)
  end
  pause(answer.delay)
  if not answer.reset or answer.status then
    send_answer(conn, request, answer)
  end
  if answer.reset then
    conn:cancel(request.id, answer.reset)
  end
end

-- An error in an answer must be seen, and end nothing else.
local function guard(self, ...)
  local ok, err = xpcall(answer_one, debug.traceback, self, ...)
  if not ok then
    self.failure = self.failure or err
    io.stderr:write("upstream of the test: ", tostring(err), "\n")
  end
end

local function serve(self, tcp_conn)
  local conn = h2.over(tcp_conn)
  self.connections = self.connections + 1
  self.open[conn] = true
  conn.pumped, conn.number = true, self.connections
  tcp_conn:set_timeout(0)
  if tcp_conn:read_exactly(#h2.PREFACE) == h2.PREFACE then
    conn:send(h2.SETTINGS, 0, 0, h2.settings(self.settings))
    local frame = conn:next()
    while frame do
      local request = conn.streams[frame.stream]
      if request and not request.counted and request.line and (request.ended or self.eager) then
        request.counted, request.connection = true, conn.number
        table.insert(self.requests, request)
        task.spawn(guard, self, conn, request)
      end
      frame = conn:next()
    end
  end
  conn.over = conn.over or "broken"
  tcp_conn:close()
  self.open[conn] = nil
end

--- Changes how requests are answered from now on.
---@param answer spec.H2Answer|function|string|nil
function Upstream:answer(answer)
  if type(answer) == "function" then
    self.answer_with = answer
  else
    self.answer_with = answer and function() return answer end or echo
  end
end

--- The request of that number, which is waited for.
---@param number integer
function Upstream:request(number)
  t.wait_until(function()
    return self.requests[number]
  end, ("request %d at the upstream"):format(number))
  return self.requests[number]
end

---@return string
function Upstream:url()
  return "http://127.0.0.1:" .. self.port
end

--- As `moongate.test.Gateway` has it, for h2.connect.
function Upstream:connect()
  return assert(tcp.connect("127.0.0.1", self.port, { timeout = state.patience() }))
end

--- Ends the connections that are open, and keeps listening.
function Upstream:drop_connections()
  for conn in pairs(self.open) do
    conn.conn:reset()
  end
end

function Upstream:close()
  state.forget(self)
  self.listener:close()
  self:drop_connections()
end

--- Starts a server on a free port of 127.0.0.1.
---@param answer spec.H2Answer|function|string|nil
---@param options { settings: table?, eager: boolean? }?  eager: answers at the head
function M.new(answer, options)
  options = options or {}
  local listener = assert(tcp.listen("127.0.0.1:0"))
  local self = setmetatable({ listener = listener, port = listener.port, requests = {},
    connections = 0, open = {}, settings = options.settings, eager = options.eager }, Upstream)
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
