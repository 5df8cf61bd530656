-- SPDX-License-Identifier: Apache-2.0
--
-- Streams of the runtime on a loop that the spec turns itself. Everything is on loopback, ports are
-- the kernel's choice, and waiting is for a condition.
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "net/stream.h", "net/loop.h", "base/err.h" })
local C = core.C

-- What is called here calls back; a trace must not be in between.
jit.off(true, true)

local UV_RUN_DEFAULT, UV_RUN_ONCE, UV_TCP = 0, 1, 12
local READ_BYTES = 65536
local TIMEOUT_MS = tonumber(os.getenv("MG_TEST_TIMEOUT_MS")) or 10000

local M = {}

local Peer = {}
Peer.__index = Peer

local Loop = {}
Loop.__index = Loop

local function address_of(pointer)
  return tonumber(ffi.cast("uintptr_t", ffi.cast("void *", pointer)))
end

local function check(result)
  if result < 0 then
    error(ffi.string(C.err_name(result)), 3)
  end
  return result
end

--- The name of an error code; nil for 0.
function M.name_of(code)
  return code ~= 0 and ffi.string(C.err_name(code)) or nil
end

-- --- peers -------------------------------------------------------------------

function Peer:write(...)
  local pieces = { ... }
  local bufs = ffi.new("uv_buf_t[?]", #pieces)
  for i, piece in ipairs(pieces) do
    bufs[i - 1].base = ffi.cast("char *", piece)
    bufs[i - 1].len = #piece
  end
  return C.stream_write(self.stream, bufs, #pieces)
end

function Peer:read(on)
  C.stream_read(self.stream, on and 1 or 0)
end

function Peer:text()
  return table.concat(self.received)
end

function Peer:finish()
  C.stream_finish(self.stream)
end

function Peer:close()
  C.stream_close(self.stream)
end

-- --- the loop ----------------------------------------------------------------

local function new_peer(self, handlers)
  local peer = setmetatable({
    loop = self,
    received = {},
    handlers = handlers or {},
  }, Peer)
  local out = ffi.new("struct stream *[1]")
  check(C.stream_new(out, self.uv, C.STREAM_TCP, self.events, nil, self.read_buf))
  peer.stream = out[0]
  self.peers[address_of(peer.stream)] = peer
  return peer
end

local function tell(peer, name, ...)
  local handler = peer.handlers[name]
  if not handler then
    return
  end
  -- An error may not pass through C.
  local ok, err = xpcall(handler, debug.traceback, peer, ...)
  if not ok then
    peer.loop.failure = err
  end
end

local function make_events(self)
  local events = ffi.new("struct stream_events")
  events.on_open = function(stream, err)
    local peer = self.peers[address_of(stream)]
    peer.open, peer.open_err = err == 0, M.name_of(err)
    tell(peer, "on_open", err)
  end
  events.on_data = function(stream, data, len)
    local peer = self.peers[address_of(stream)]
    peer.received[#peer.received + 1] = ffi.string(data, len)
    tell(peer, "on_data", len)
  end
  events.on_end = function(stream, err)
    local peer = self.peers[address_of(stream)]
    peer.ended, peer.end_err = true, M.name_of(err)
    tell(peer, "on_end", err)
  end
  events.on_drained = function(stream)
    tell(self.peers[address_of(stream)], "on_drained")
  end
  events.on_closed = function(stream)
    local peer = self.peers[address_of(stream)]
    peer.closed = true
    tell(peer, "on_closed")
    self.peers[address_of(stream)] = nil
  end
  return events
end

function M.loop()
  local self = setmetatable({ peers = {}, listeners = {}, callbacks = {} }, Loop)
  self.uv = ffi.new("uv_loop_t")
  self.bytes = ffi.new("char[?]", READ_BYTES)
  self.read_buf = ffi.new("uv_buf_t", { base = self.bytes, len = READ_BYTES })
  check(C.uv_loop_init(self.uv))
  self.events = make_events(self)
  self.timer = ffi.new("uv_timer_t")
  check(C.uv_timer_init(self.uv, self.timer))
  self.on_timer = ffi.cast("uv_timer_cb", function()
    self.late = true
  end)
  return self
end

--- Listens on a port of the kernel's choice; `on_accept` gets an accepted peer, its reading off.
function Loop:listen(handlers, on_accept)
  local server = ffi.new("uv_tcp_t")
  local address = ffi.new("struct sockaddr_in")
  check(C.uv_tcp_init(self.uv, server))
  check(C.uv_ip4_addr("127.0.0.1", 0, address))
  check(C.uv_tcp_bind(server, ffi.cast("struct sockaddr *", address), 0))
  local on_connection = ffi.cast("uv_connection_cb", function()
    local peer = new_peer(self, handlers)
    check(C.stream_accept(peer.stream, ffi.cast("uv_stream_t *", server)))
    on_accept(peer)
  end)
  self.callbacks[#self.callbacks + 1] = on_connection
  self.listeners[#self.listeners + 1] = server
  check(C.uv_listen(ffi.cast("uv_stream_t *", server), 16, on_connection))
  local len = ffi.new("int[1]", ffi.sizeof(address))
  check(C.uv_tcp_getsockname(server, ffi.cast("struct sockaddr *", address), len))
  return bit.rshift(bit.bswap(address.sin_port), 16)
end

function Loop:connect(port, handlers)
  local peer = new_peer(self, handlers)
  local address = ffi.new("struct sockaddr_in")
  check(C.uv_ip4_addr("127.0.0.1", port, address))
  check(C.stream_connect(peer.stream, ffi.cast("struct sockaddr *", address)))
  return peer
end

--- Turns the loop until `done()` holds; an error when that takes too long.
function Loop:wait(done)
  self.late = false
  check(C.uv_timer_start(self.timer, self.on_timer, TIMEOUT_MS, 0))
  while not done() do
    C.uv_run(self.uv, UV_RUN_ONCE)
    if self.failure then
      error(self.failure, 2)
    end
    if self.late then
      error("nothing came of it in " .. TIMEOUT_MS .. " ms", 2)
    end
  end
  C.uv_timer_stop(self.timer)
end

--- One turn that does not wait: whatever can happen now does.
function Loop:turn()
  for _ = 1, 5 do
    C.uv_run(self.uv, 2)
  end
end

--- Closes all, and runs to the end: a handle that is left would hang, memory that is left leaks.
function Loop:close()
  for _, peer in pairs(self.peers) do
    C.stream_close(peer.stream)
  end
  for _, server in ipairs(self.listeners) do
    assert(server.type == UV_TCP)
    C.uv_close(ffi.cast("uv_handle_t *", server), nil)
  end
  C.uv_close(ffi.cast("uv_handle_t *", self.timer), nil)
  C.uv_run(self.uv, UV_RUN_DEFAULT)
  check(C.uv_loop_close(self.uv))
  for _, name in ipairs({ "on_open", "on_data", "on_end", "on_drained", "on_closed" }) do
    self.events[name]:free()
  end
  for _, callback in ipairs(self.callbacks) do
    callback:free()
  end
  self.on_timer:free()
end

return M
