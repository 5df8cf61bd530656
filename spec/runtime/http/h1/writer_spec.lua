-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "http/h1/writer.h" })
local C = core.C

describe("the writer of HTTP/1.1", function()
  local out, arena, head

  local function put(text)
    local span = ffi.new("struct span")
    assert(C.text_put(arena, text, #text, span) == 0)
    return span
  end

  local function request(method, target, fields, body_len)
    head.method, head.target = put(method), put(target)
    head.body_len = body_len or 0
    head.version = 11
    for _, field in ipairs(fields) do
      assert(C.head_add(head, arena, field[1], #field[1], field[2], #field[2]) == 0)
    end
  end

  local function response(status, body_len, fields)
    head.status, head.body_len = status, body_len
    for _, field in ipairs(fields or {}) do
      assert(C.head_add(head, arena, field[1], #field[1], field[2], #field[2]) == 0)
    end
  end

  local function written()
    return ffi.string(out.data, out.len)
  end

  before_each(function()
    out = ffi.gc(ffi.new("struct buf"), C.buf_fini)
    arena = ffi.gc(ffi.new("struct buf"), C.buf_fini)
    head = ffi.gc(ffi.new("struct head"), C.head_fini)
  end)

  it("writes a request without a body", function()
    request("GET", "/a?b", { { "Host", "a.test" }, { "X", "" } })
    assert.equal(0, C.h1_write_request(out, head, arena, 0))
    assert.equal("GET /a?b HTTP/1.1\r\nHost: a.test\r\nX: \r\n\r\n", written())
  end)

  it("writes the framing itself, whatever the fields say", function()
    local lies = { { "Content-Length", "99" }, { "Transfer-Encoding", "gzip" }, { "A", "1" } }
    request("POST", "/", lies, 3)
    assert.equal(0, C.h1_write_request(out, head, arena, 1))
    assert.equal("POST / HTTP/1.1\r\nA: 1\r\ncontent-length: 3\r\n\r\n", written())
  end)

  it("sends a body of unknown length in chunks", function()
    request("POST", "/", {}, -1)
    assert.equal(0, C.h1_write_request(out, head, arena, 1))
    assert.equal("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", written())
  end)

  it("says that a body is empty where the client said so", function()
    request("POST", "/", { { "Content-Length", "0" } }, 0)
    assert.equal(0, C.h1_write_request(out, head, arena, 0))
    assert.equal("POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", written())
  end)

  -- name, status, body_len, more, keep, the client's version, fields, what follows the status line
  local RESPONSES = {
    { "a known length", 200, 5, 1, 1, 11, {}, "content-length: 5\r\n" },
    { "no body", 200, 0, 0, 1, 11, {}, "content-length: 0\r\n" },
    { "an unknown length in chunks", 200, -1, 1, 1, 11, {}, "transfer-encoding: chunked\r\n" },
    { "an unknown length to HTTP/1.0 until the end", 200, -1, 1, 0, 10, {},
      "connection: close\r\n" },
    { "that the connection ends", 200, 0, 0, 0, 11, {},
      "content-length: 0\r\nconnection: close\r\n" },
    { "that the connection stays to HTTP/1.0", 200, 0, 0, 1, 10, {},
      "content-length: 0\r\nconnection: keep-alive\r\n" },
    { "no length with 204", 204, 0, 0, 1, 11, { { "Content-Length", "3" } }, "" },
    { "neither length nor Connection with 1xx", 103, 0, 0, 0, 11, { { "Link", "x" } },
      "Link: x\r\n" },
    { "no length of its own with 304", 304, 0, 0, 1, 11, {}, "" },
    { "the length that HEAD would have", 200, -1, 0, 1, 11, { { "Content-Length", "77" } },
      "content-length: 77\r\n" },
    { "the framing itself", 200, 4, 1, 1, 11,
      { { "Transfer-Encoding", "gzip" }, { "Content-Length", "9" }, { "A", "b" } },
      "A: b\r\ncontent-length: 4\r\n" },
  }
  for _, case in ipairs(RESPONSES) do
    it("writes a response with " .. case[1], function()
      response(case[2], case[3], case[7])
      assert.equal(0, C.h1_write_response(out, head, arena, case[4], case[5], case[6]))
      local line, rest = written():match("^(HTTP/1%.1 %d+ [^\r]*\r\n)(.*)$")
      assert.equal(("HTTP/1.1 %d %s\r\n"):format(case[2], ffi.string(C.http_reason(case[2]))), line)
      assert.equal(case[8] .. "\r\n", rest)
    end)
  end

  it("knows the registered reasons", function()
    assert.equal("Not Found", ffi.string(C.http_reason(404)))
    assert.equal("HTTP Version Not Supported", ffi.string(C.http_reason(505)))
    assert.equal("", ffi.string(C.http_reason(299)))
  end)

  it("writes a status that has no reason", function()
    response(599, 0)
    assert.equal(0, C.h1_write_response(out, head, arena, 0, 1, 11))
    assert.equal("HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n", written())
  end)

  it("writes trailers, or only their end", function()
    response(0, 0, { { "X-Sum", "1" }, { "Content-Length", "1" } })
    assert.equal(0, C.h1_write_trailers(out, head, arena))
    assert.equal("X-Sum: 1\r\n\r\n", written())
    out.len = 0
    assert.equal(0, C.h1_write_trailers(out, nil, arena))
    assert.equal("\r\n", written())
  end)

  it("writes the size of a chunk in hexadecimal", function()
    local line = ffi.new("char[20]")
    local sizes = { [1] = "1", [15] = "f", [16] = "10", [255] = "ff", [65536] = "10000" }
    for size, text in pairs(sizes) do
      assert.equal(text .. "\r\n", ffi.string(line, C.h1_chunk_line(line, size)))
    end
    local largest = C.h1_chunk_line(line, 0xffffffffffffffffULL)
    assert.equal("ffffffffffffffff\r\n", ffi.string(line, largest))
  end)
end)
