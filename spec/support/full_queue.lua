-- SPDX-License-Identifier: Apache-2.0
--
-- A port of loopback where no connection comes about: its queue is full, so the kernel drops what
-- comes now.
local ffi = require("ffi")

ffi.cdef([[
  int socket(int domain, int type, int protocol);
  int bind(int fd, const void *addr, unsigned size);
  int listen(int fd, int backlog);
  int connect(int fd, const void *addr, unsigned size);
  int getsockname(int fd, void *addr, unsigned *size);
  int close(int fd);
]])

local AF_INET, STREAM_NONBLOCK = 2, 2049

local FullQueue = {}
FullQueue.__index = FullQueue

local M = {}

---@return { port: integer, close: fun(self) }
function M.new()
  local address = ffi.new("uint8_t[16]", { AF_INET, 0, 0, 0, 127, 0, 0, 1 })
  local size = ffi.new("unsigned[1]", 16)
  local fds = { ffi.C.socket(AF_INET, STREAM_NONBLOCK, 0) }
  assert(ffi.C.bind(fds[1], address, 16) == 0 and ffi.C.listen(fds[1], 0) == 0)
  ffi.C.getsockname(fds[1], address, size)
  for i = 2, 4 do
    fds[i] = ffi.C.socket(AF_INET, STREAM_NONBLOCK, 0)
    ffi.C.connect(fds[i], address, 16)
  end
  return setmetatable({ fds = fds, port = address[2] * 256 + address[3] }, FullQueue)
end

function FullQueue:close()
  for _, fd in ipairs(self.fds) do
    ffi.C.close(fd)
  end
end

return M
