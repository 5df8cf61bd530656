-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")
local net = require("spec.support.net")

core.cdef({ "net/listener.h" })
ffi.cdef("int getsockopt(int fd, int level, int name, void *value, unsigned *size);")
local C = core.C

local IPPROTO_TCP, TCP_NODELAY = 6, 1

jit.off(true, true)

describe("a listener", function()
  it("gives connections that send at once what they have", function()
    local loop = net.loop()
    local fds, out = ffi.new("int[1]"), ffi.new("struct listener *[1]")
    local fd = ffi.new("int[1]", -1)
    local stream = ffi.new("struct stream *[1]")
    local port = C.listener_bind("127.0.0.1:0", fds, 1)
    local on_connection = ffi.cast("void (*)(struct listener *)", function(listener)
      assert(C.stream_new(stream, loop.uv, C.STREAM_TCP, loop.events, nil, loop.read_buf) == 0)
      loop.peers[tonumber(ffi.cast("uintptr_t", ffi.cast("void *", stream[0])))] = { handlers = {},
        stream = stream[0] }
      assert(C.stream_accept(stream[0], ffi.cast("uv_stream_t *", listener.uv)) == 0)
      assert(C.uv_fileno(ffi.cast("uv_handle_t *", stream[0].uv), fd) == 0)
    end)
    assert.equal(0, C.listener_open(out, loop.uv, fds[0], on_connection, nil, 0))
    loop:connect(port)
    loop:wait(function()
      return fd[0] >= 0
    end)
    local value, size = ffi.new("int[1]"), ffi.new("unsigned[1]", ffi.sizeof("int"))
    assert.equal(0, ffi.C.getsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, value, size))
    assert.equal(1, value[0])
    C.listener_close(out[0])
    loop:close()
    on_connection:free()
  end)
end)
