-- SPDX-License-Identifier: Apache-2.0
--
-- UDP on loopback: clients, and servers that answer as they are told; and ports that are free.
local ffi = require("ffi")
local state = require("moongate.test.state")
local t = require("moongate.test")
local task = require("moongate.api.task")

ffi.cdef([[
  int socket(int domain, int type, int protocol);
  int bind(int fd, const void *addr, unsigned size);
  int getsockname(int fd, void *addr, unsigned *size);
  int close(int fd);
  int getpid(void);
  long sendto(int fd, const void *data, size_t size, int flags, const void *addr, unsigned length);
  long recvfrom(int fd, void *data, size_t size, int flags, void *addr, unsigned *length);
]])

local AF_INET, STREAM, DGRAM, CLOEXEC_NONBLOCK, DONTWAIT = 2, 1, 2, 526336, 64
local LARGEST = 65535

local M = {}

local Socket = {}
Socket.__index = Socket

local bytes = ffi.new("char[?]", LARGEST)
local from = ffi.new("uint8_t[16]")
local from_size = ffi.new("unsigned[1]")

local function address_of(ip, port)
  local address = ffi.new("uint8_t[16]", { AF_INET, 0, math.floor(port / 256), port % 256 })
  local i = 3
  for number in ip:gmatch("%d+") do
    i = i + 1
    address[i] = tonumber(number)
  end
  return address
end

local function port_of(address)
  return address[2] * 256 + address[3]
end

local function bound(kind, ip, port)
  local fd = ffi.C.socket(AF_INET, kind + CLOEXEC_NONBLOCK, 0)
  if ffi.C.bind(fd, address_of(ip, port), 16) ~= 0 then
    ffi.C.close(fd)
    return nil
  end
  local address = ffi.new("uint8_t[16]")
  ffi.C.getsockname(fd, address, ffi.new("unsigned[1]", 16))
  return fd, port_of(address)
end

-- Below what Linux gives to who asks for any port, so that nobody gets one in between; another spec
-- that runs at the same time begins elsewhere.
local FIRST, COUNT = 20000, 12000
local last_port = ffi.C.getpid() * 64 % COUNT

--- A port of TCP and UDP that nobody has.
---@return integer
function M.free_port()
  for _ = 1, COUNT do
    last_port = (last_port + 1) % COUNT
    local tcp, port = bound(STREAM, "0.0.0.0", FIRST + last_port)
    local udp = bound(DGRAM, "0.0.0.0", FIRST + last_port)
    for _, fd in pairs({ tcp, udp }) do
      ffi.C.close(fd)
    end
    if tcp and udp then
      return port
    end
  end
  error("no port is free", 2)
end

--- A socket of 127.0.0.1, which closes with the file of the spec.
---@param port integer?  a free one unless given
function M.socket(port)
  local fd, number = bound(DGRAM, "127.0.0.1", port or 0)
  local self = setmetatable({ fd = assert(fd, "the port is taken"), port = number }, Socket)
  state.keep(self)
  return self
end

function Socket:close()
  state.forget(self)
  self.closed = true
  if self.fd then
    ffi.C.close(self.fd)
    self.fd = nil
  end
end

function Socket:send(data, port, ip)
  return tonumber(ffi.C.sendto(self.fd, data, #data, DONTWAIT, address_of(ip or "127.0.0.1", port),
    16))
end

--- What has come: data, port and address; nil when nothing has.
function Socket:poll()
  from_size[0] = 16
  local length = tonumber(ffi.C.recvfrom(self.fd, bytes, LARGEST, DONTWAIT, from, from_size))
  if length >= 0 then
    local ip = ("%d.%d.%d.%d"):format(from[4], from[5], from[6], from[7])
    return ffi.string(bytes, length), port_of(from), ip
  end
end

--- Waits for a datagram.
function Socket:receive()
  local data, port, ip
  t.wait_until(function()
    data, port, ip = self:poll()
    return data
  end, "a datagram")
  return data, port, ip
end

--- A server: `answer(data, number)` returns the datagrams that go back; `heard` has what came, each
--- with the port that it came from.
---@param answer fun(data: string, number: integer): ...
---@param port integer?
function M.server(answer, port)
  local self = M.socket(port)
  self.heard = {}
  task.spawn(function()
    while not self.closed do
      local data, client = self:poll()
      if data then
        self.heard[#self.heard + 1] = { data = data, port = client }
        for _, text in ipairs({ answer(data, #self.heard) }) do
          self:send(text, client)
        end
      else
        task.sleep(0.001)
      end
    end
  end)
  return self
end

return M
