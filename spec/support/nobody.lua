-- SPDX-License-Identifier: Apache-2.0
--
-- A port of loopback that refuses connections: it is bound, so that nobody else gets it, and never
-- listened on.
local ffi = require("ffi")
local state = require("moongate.test.state")

ffi.cdef([[
  int socket(int domain, int type, int protocol);
  int bind(int fd, const void *addr, unsigned size);
  int getsockname(int fd, void *addr, unsigned *size);
  int close(int fd);
]])

local AF_INET, STREAM_CLOEXEC = 2, 524289

local Nobody = {}
Nobody.__index = Nobody

local M = {}

function Nobody:close()
  ffi.C.close(self.fd)
end

--- Such a port, until the file of the spec is over.
---@return integer
function M.port()
  local address = ffi.new("uint8_t[16]", { AF_INET, 0, 0, 0, 127, 0, 0, 1 })
  local size = ffi.new("unsigned[1]", 16)
  local fd = ffi.C.socket(AF_INET, STREAM_CLOEXEC, 0)
  assert(ffi.C.bind(fd, address, 16) == 0)
  ffi.C.getsockname(fd, address, size)
  state.keep(setmetatable({ fd = fd }, Nobody))
  return address[2] * 256 + address[3]
end

return M
