-- SPDX-License-Identifier: Apache-2.0
--
-- mg.tcp: byte streams. Each call waits for the task that makes it; what comes is kept in a buffer
-- of bounded size, so that a peer which sends more than is read is slowed down.
local ffi = require("ffi")

local C = require("moongate.api.core")
local dns = require("moongate.api.dns")
local errors = require("moongate.api.errors")
local task = require("moongate.api.task")
local values = require("moongate.api.values")
local vm = require("moongate.api.vm")

local M = {}

--- Set by `moongate test`: a gateway's own listeners come from its command line alone.
M.may_listen = false

local TIMEOUT_SECONDS = 60
local CONNECT_SECONDS = 5
local MAX_BYTES = 1048576

local HANDLE = ffi.typeof("struct mg_handle")
local text = ffi.new("struct mg_text")

local NAMES = { etimedout = "timeout", eof = "closed", stale = "closed", econnreset = "closed" }

local function failure(code)
  local name = errors.name(code)
  return nil, errors.text(code), NAMES[name] or name
end

local function drop(handle)
  C.mg_tcp_close(vm, handle, 1)
end

--- A handle that is closed when nobody refers to it any more.
local function new_handle()
  return ffi.gc(HANDLE(), drop)
end

local Connection = {}
Connection.__index = Connection

local function new_connection(handle, timeout)
  return setmetatable({ handle = handle, timeout = timeout or TIMEOUT_SECONDS }, Connection)
end

--- For what C opened: the reading end of a child's output, the client's side of a test.
---@param open fun(handle: ffi.cdata*): integer
---@return moongate.Connection?
---@return string? err
---@return string? code
function M.adopt(open)
  local handle = new_handle()
  local result = open(handle)
  if result < 0 then
    return failure(result)
  end
  return new_connection(handle)
end

local function seconds_of(options, default)
  local timeout = options and options.timeout
  return timeout and values.seconds(timeout) or default
end

local function address_of(host)
  if host:match("^%d+%.%d+%.%d+%.%d+$") or host:find(":", 1, true) then
    return host
  end
  local addresses, err, code = dns.resolve(host)
  if not addresses then
    return nil, err, code
  end
  return addresses[1]
end

--- Connects to a host and port, or to `unix:/path`.
---
--- Errors: `timeout`, `econnrefused` and other codes of the system, those of mg.dns.resolve.
---@param host string
---@param port integer|table|nil
---@param options { timeout: number|string }?  of each wait; else 5 s to connect, 60 s to read
---@return moongate.Connection?
---@return string? err
---@return string? code
function M.connect(host, port, options)
  if host:sub(1, 5) == "unix:" then
    options, port = type(port) == "table" and port or options, 0
  end
  local address, err, code = address_of(host)
  if not address then
    return nil, err, code
  end
  local handle = new_handle()
  local result = C.mg_tcp_connect(vm, address, #address, port, handle)
  if result >= 0 then
    result = task.wait(C.mg_tcp_wait_open(vm, handle, seconds_of(options, CONNECT_SECONDS)))
  end
  if result < 0 then
    drop(handle)
    return failure(result)
  end
  return new_connection(handle, seconds_of(options))
end

-- What is buffered, and why nothing more will come: 0 while it may.
local function buffered(self)
  local code = C.mg_tcp_data(vm, self.handle, text)
  if code == errors.STALE then
    return "", code
  end
  return text.length > 0 and ffi.string(text.data, text.length) or "", code
end

local function take(self, length)
  local data = buffered(self):sub(1, length)
  C.mg_tcp_take(vm, self.handle, #data)
  return data
end

local function wait_data(self, least)
  return task.wait(C.mg_tcp_wait_data(vm, self.handle, least, self.timeout))
end

--- Limits each wait from now on.
---@param timeout number|string
function Connection:set_timeout(timeout)
  self.timeout = values.seconds(timeout)
end

--- What has come, at least one byte.
---
--- Errors: `closed` at the end, `timeout`, codes of the system.
---@param max integer?
---@return string? data
---@return string? err
---@return string? code
function Connection:read(max)
  local result = wait_data(self, 1)
  if result < 0 then
    return failure(result)
  end
  return take(self, max or MAX_BYTES)
end

--- Exactly `length` bytes.
---
--- Errors: as `read`; what had come by then is still there.
---@param length integer
---@return string? data
---@return string? err
---@return string? code
function Connection:read_exactly(length)
  if length == 0 then
    return ""
  end
  local result = wait_data(self, length)
  if result < 0 then
    return failure(result)
  end
  return take(self, length)
end

--- What comes before a delimiter, which is taken off and not returned.
---
--- Errors: as `read`, and `too_long` when `max` bytes hold none.
---@param delimiter string  taken literally
---@param max integer?  1 MiB unless given
---@return string? data
---@return string? err
---@return string? code
function Connection:read_until(delimiter, max)
  max = max or MAX_BYTES
  local from = 1
  while true do
    local data = buffered(self)
    local first, last = data:find(delimiter, from, true)
    if first and first - 1 <= max then
      C.mg_tcp_take(vm, self.handle, last)
      return data:sub(1, first - 1)
    elseif #data > max then
      return nil, ("no %q within %d bytes"):format(delimiter, max), "too_long"
    end
    from = math.max(1, #data - #delimiter + 2)
    local result = wait_data(self, #data + 1)
    if result < 0 then
      return failure(result)
    end
  end
end

--- Whether the peer has ended its side, or the connection is broken, and all was read.
---@return boolean
function Connection:is_over()
  local data, code = buffered(self)
  return data == "" and code < 0
end

--- Writes all of it; waits until the system has taken it.
---
--- Errors: `closed`, `epipe`, `timeout`.
---@param data string
---@return true?
---@return string? err
---@return string? code
function Connection:write(data)
  local result = C.mg_tcp_write(vm, self.handle, data, #data)
  if result > 0 then
    result = task.wait(C.mg_tcp_wait_drained(vm, self.handle, self.timeout))
  end
  if result < 0 then
    return failure(result)
  end
  return true
end

--- Ends our side behind what has been written; reading goes on.
function Connection:shutdown()
  C.mg_tcp_shutdown(vm, self.handle)
end

--- Sends what is left and closes; the connection is over for its user at once.
function Connection:close()
  C.mg_tcp_close(vm, self.handle, 0)
end

--- Closes with RST.
function Connection:reset()
  C.mg_tcp_reset(vm, self.handle)
end

-- --- listening, for tests ----------------------------------------------------

local Listener = {}
Listener.__index = Listener

--- Listens on `127.0.0.1:0` (a free port) or `unix:/path`; in `moongate test` only.
---@param address string
---@return moongate.Listener?
---@return string? err
---@return string? code
function M.listen(address)
  if not M.may_listen then
    error("mg.tcp.listen works in `moongate test` only; a gateway listens where its options say", 2)
  end
  local handle = new_handle()
  local port = C.mg_tcp_listen(vm, address, #address, handle)
  if port < 0 then
    return failure(port)
  end
  return setmetatable({ handle = handle, port = port, address = address }, Listener)
end

--- The next connection.
---
--- Errors: `timeout`, `closed` when the listener is closed.
---@param timeout number|string|nil  no limit unless given
---@return moongate.Connection?
---@return string? err
---@return string? code
function Listener:accept(timeout)
  local seconds = timeout and values.seconds(timeout) or 0
  local result = task.wait(C.mg_tcp_wait_accept(vm, self.handle, seconds))
  if result < 0 then
    return failure(result)
  end
  local handle = new_handle()
  result = C.mg_tcp_accept(vm, self.handle, handle)
  if result < 0 then
    return failure(result)
  end
  return new_connection(handle)
end

function Listener:close()
  C.mg_tcp_close(vm, self.handle, 1)
end

return M
