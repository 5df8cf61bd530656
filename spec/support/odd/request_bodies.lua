-- SPDX-License-Identifier: Apache-2.0
--
-- Odd framings and bodies of HTTP/1.1 requests, as in request_heads.lua, and:
--   wanted  "cut": the head is passed on, then the gateway answers `status` (400) and breaks off
--   as      also body and trailers = { name = value or false }
--   count   how many requests pass, where they are not one
local list = require("spec.support.odd.rows")

local each = list.each
local rows, row = list.new("h1")

local function post(fields, body, version)
  return ("POST /odd HTTP/%s\r\nHost: a.test\r\n"):format(version or "1.1") .. fields .. "\r\n"
    .. (body or "")
end

local SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
-- What stands behind a request as the next one, and is to be served.
local SECOND = "GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n"
local LAST = "0\r\n\r\n"

-- --- Content-Length (RFC 9110 8.6, 9112 6.3) ---------------------------------------------------

each({ "", " ", "+4", "-4", "-0", "0x4", "4x", "4 4", "4;", "4.", "4.0", "4e0", "4_0",
  "four", "\"4\"", "4,", ",4", "4,4", "4, 4", "4,5", "4\t5", "\2194", "4\0", "\v4", "4\v", "4\f",
  "9223372036854775808", "18446744073709551615", "18446744073709551616", "18446744073709551620",
  "340282366920938463463374607431768211460", ("9"):rep(200) }, function(value)
  row("9110 8.6", ("Content-Length: %q"):format(value),
    post(("Content-Length: %s\r\n"):format(value), "body" .. SMUGGLED), 400)
end)

each({ "4", " 4 ", "\t4", "4\t ", "04", "0000000004" }, function(value)
  row("9110 8.6", ("Content-Length: %q"):format(value),
    post(("Content-Length:%s\r\n"):format(value), "body"), "pass", { as = { body = "body" } })
end)

each({
  ["two lengths"] = "Content-Length: 4\r\nContent-Length: 5\r\n",
  ["two lengths, the first 0"] = "Content-Length: 0\r\nContent-Length: 4\r\n",
  ["the same length twice"] = "Content-Length: 4\r\nContent-Length: 4\r\n",
  ["the same length in other letters"] = "Content-Length: 4\r\ncontent-length: 4\r\n",
  ["a length and chunks"] = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
  ["chunks and a length"] = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
  ["chunks and no length to speak of"] = "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
  ["a length and another coding"] = "Content-Length: 4\r\nTransfer-Encoding: identity\r\n",
  ["a space before the colon"] = "Content-Length : 4\r\n",
  ["a tab before the colon"] = "Content-Length\t: 4\r\n",
  ["a fold in the value"] = "Content-Length:\r\n 4\r\n",
  ["a length behind CR"] = "X: y\rContent-Length: 4\r\n",
  ["a length behind LF"] = "X: y\nContent-Length: 4\r\n",
  ["a length in a fold"] = "X: y\r\n Content-Length: 4\r\n",
  ["NUL in the name"] = "Content-Length\0: 4\r\n",
}, function(what, fields)
  row("9112 6.3", "a length with " .. what, post(fields, "body" .. SMUGGLED), 400)
end)

-- What looks like a length and is none: the bytes behind are the next request.
each({ "Content_Length", "Content-Lengt", "Content-Length-", "XContent-Length",
  "Content.Length", "Content--Length" }, function(name)
  row("9112 6.3", name .. " is no length", post(name .. ": 37\r\n", SECOND), "pass",
    { count = 2, as = { body = "" } })
end)

each({ "GET", "HEAD", "DELETE", "OPTIONS", "PUT" }, function(method)
  row("9110 9.3", method .. " with a body",
    (method .. " /odd HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n%s"):format(#SMUGGLED,
      SMUGGLED),
    "pass", { as = { body = SMUGGLED }, method = method })
end)

row("9112 6.3", "no framing at all", post("", SECOND), "pass", { count = 2, as = { body = "" } })
row("9110 7.6.1", "Connection names Content-Length",
  post("Connection: Content-Length\r\nContent-Length: 4\r\n", "body"), "pass",
    { as = { body = "body" } })
row("9110 7.6.1", "Connection names Transfer-Encoding",
  post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", "4\r\nbody\r\n" .. LAST),
    "pass",
  { as = { body = "body" } })
row("9110 10.1.1", "a body that waits for 100 and comes unasked",
  post("Expect: 100-continue\r\nContent-Length: 4\r\n", "body"), "pass", { as = { body = "body" } })
row("9110 10.1.1", "100-Continue in other letters",
  post("Expect: 100-Continue\r\nContent-Length: 4\r\n", "body"), "pass", { as = { body = "body" } })

-- --- Transfer-Encoding (RFC 9112 6.1) -----------------------------------------------------------

each({ "chunked", " chunked ", "\tchunked", "Chunked", "CHUNKED" }, function(value)
  row("9112 6.1", ("Transfer-Encoding: %q"):format(value),
    post(("Transfer-Encoding:%s\r\n"):format(value), "4\r\nbody\r\n" .. LAST), "pass",
    { as = { body = "body" } })
end)

-- 400 for what cannot be framed, 501 for what could be and is not known.
each({ ["chunked, chunked"] = 400, ["chunked,chunked"] = 400,
  ["chunked, identity"] = 400, ["chunked\t"] = 400, ["chunked, gzip"] = 400, ["identity"] = 501,
    ["gzip"] = 501,
  ["gzip, chunked"] = 501, ["identity, chunked"] = 501, ["xchunked"] = 501, ["chunkedx"] = 501,
  ["x chunked"] = 501, ["chunked;q=1"] = 501, ["chunked; a=b"] = 501, ["\"chunked\""] = 501,
  ["'chunked'"] = 501, [",chunked"] = 501, [", chunked"] = 501, ["chunked,"] = 400,
    ["chunke"] = 501,
  ["chunk ed"] = 501, ["\vchunked"] = 400, ["chunked\v"] = 400, ["chunked\0"] = 400,
    ["\0chunked"] = 400,
  ["\12chunked"] = 400, ["\255chunked"] = 501, ["\194\160chunked"] = 501, [""] = 400 },
    function(value, status)
  row("9112 6.1", ("Transfer-Encoding: %q"):format(value),
    post(("Transfer-Encoding: %s\r\n"):format(value), LAST .. SMUGGLED), status)
end)

each({
  ["twice"] = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
  ["behind identity"] = "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
  ["before identity"] = "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
  ["behind an empty one"] = "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n",
  ["with a space before the colon"] = "Transfer-Encoding : chunked\r\n",
  ["with a tab before the colon"] = "Transfer-Encoding\t: chunked\r\n",
  ["with a space before the name"] = " Transfer-Encoding: chunked\r\n",
  ["with a fold"] = "Transfer-Encoding:\r\n chunked\r\n",
  ["in a fold"] = "X: y\r\n Transfer-Encoding: chunked\r\n",
  ["behind CR"] = "X: y\rTransfer-Encoding: chunked\r\n",
  ["behind LF"] = "X: y\nTransfer-Encoding: chunked\r\n",
  ["with NUL in the name"] = "Transfer-Encoding\0: chunked\r\n",
}, function(what, fields)
  row("9112 6.1", "chunks " .. what, post(fields, LAST .. SMUGGLED), 400)
end)

each({ "Transfer_Encoding", "Transfer-Encodin", "XTransfer-Encoding", "TransferEncoding",
  "Transfer.Encoding" }, function(name)
  row("9112 6.1", name .. " is no framing", post(name .. ": chunked\r\n", SECOND), "pass",
    { count = 2, as = { body = "" } })
end)

row("9112 6.1", "chunks of HTTP/1.0",
  post("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", LAST .. SMUGGLED, "1.0"), 400)
row("9112 6.1", "a length and chunks of HTTP/1.0",
  post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", LAST .. SMUGGLED, "1.0"), 400)

-- --- chunks (RFC 9112 7.1)
-- -------------------------------------------------------------------------

local function chunked(body, fields)
  return post("Transfer-Encoding: chunked\r\n" .. (fields or ""), body)
end

each({
  ["a size in capitals"] = "A\r\n0123456789\r\n" .. LAST,
  ["a size in small letters"] = "a\r\n0123456789\r\n" .. LAST,
  ["a size with zeros before it"] = "000a\r\n0123456789\r\n" .. LAST,
  ["a size with many zeros before it"] = ("0"):rep(14) .. "0a\r\n0123456789\r\n" .. LAST,
  ["a last chunk of several zeros"] = "a\r\n0123456789\r\n0000\r\n\r\n",
  ["single bytes"] = ("1\r\n%d\r\n"):rep(10):format(0, 1, 2, 3, 4, 5, 6, 7, 8, 9) .. LAST,
  ["an extension"] = "a;x\r\n0123456789\r\n" .. LAST,
  ["an extension with a value"] = "a;x=y\r\n0123456789\r\n" .. LAST,
  ["an extension in quotes"] = "a;x=\"y;z\"\r\n0123456789\r\n" .. LAST,
  ["two extensions"] = "a;x=y;z\r\n0123456789\r\n" .. LAST,
  ["an extension of the last chunk"] = "a\r\n0123456789\r\n0;x=y\r\n\r\n",
}, function(what, body)
  row("9112 7.1", "chunks with " .. what, chunked(body), "pass", { as = { body = "0123456789" } })
end)

row("9112 7.1", "chunks that hold a request",
  chunked(("%x\r\n%s\r\n"):format(#SMUGGLED, SMUGGLED) .. LAST), "pass",
    { as = { body = SMUGGLED } })
row("9112 7.1", "chunks that hold a last chunk", chunked("5\r\n" .. LAST .. "\r\n" .. LAST), "pass",
  { as = { body = LAST } })

each({
  ["no size"] = "\r\nbody\r\n" .. LAST,
  ["an extension alone"] = ";x\r\nbody\r\n" .. LAST,
  ["a negative size"] = "-4\r\nbody\r\n" .. LAST,
  ["a sign"] = "+4\r\nbody\r\n" .. LAST,
  ["0x"] = "0x4\r\nbody\r\n" .. LAST,
  ["no hexadecimal size"] = "g\r\nbody\r\n" .. LAST,
  ["a letter behind the size"] = "4h\r\nbody\r\n" .. LAST,
  ["a comma in the size"] = "4,0\r\nbody\r\n" .. LAST,
  ["a dot in the size"] = "4.0\r\nbody\r\n" .. LAST,
  ["a space before the size"] = " 4\r\nbody\r\n" .. LAST,
  ["a tab before the size"] = "\t4\r\nbody\r\n" .. LAST,
  ["a space behind the size"] = "4 \r\nbody\r\n" .. LAST,
  ["a tab behind the size"] = "4\t\r\nbody\r\n" .. LAST,
  ["a vertical tab behind the size"] = "4\v\r\nbody\r\n" .. LAST,
  ["NUL behind the size"] = "4\0\r\nbody\r\n" .. LAST,
  ["NUL before the size"] = "\0" .. "4\r\nbody\r\n" .. LAST,
  ["two sizes"] = "4 4\r\nbody\r\n" .. LAST,
  ["LF alone behind the size"] = "4\nbody\r\n" .. LAST,
  ["CR alone behind the size"] = "4\rbody\r\n" .. LAST,
  ["CR CR LF behind the size"] = "4\r\r\nbody\r\n" .. LAST,
  ["LF alone behind the data"] = "4\r\nbody\n" .. LAST,
  ["CR alone behind the data"] = "4\r\nbody\r" .. LAST,
  ["no line end behind the data"] = "4\r\nbody" .. LAST,
  ["data that is too long"] = "4\r\nbody!\r\n" .. LAST,
  ["data that is too short"] = "5\r\nbody\r\n" .. LAST,
  ["a last chunk that ends by LF"] = "4\r\nbody\r\n0\n\r\n",
  ["an empty line that is LF"] = "4\r\nbody\r\n0\r\n\n",
  ["an empty line that is CR"] = "4\r\nbody\r\n0\r\n\rX",
  ["a size of 2^64"] = "10000000000000000\r\nbody\r\n" .. LAST,
  ["a size of 2^64 + 4"] = "10000000000000004\r\nbody\r\n" .. LAST,
  ["a size of 2^128 + 4"] = "1" .. ("0"):rep(31) .. "4\r\nbody\r\n" .. LAST,
  ["a size of 40 digits"] = ("f"):rep(40) .. "\r\nbody\r\n" .. LAST,
  ["LF in an extension"] = "4;x\ny\r\nbody\r\n" .. LAST,
  ["CR in an extension"] = "4;x\ry\r\nbody\r\n" .. LAST,
  ["NUL in an extension"] = "4;x\0\r\nbody\r\n" .. LAST,
  ["LF at the end of an extension"] = "4;x\nbody\r\n" .. LAST,
  ["LF in a quoted extension"] = "4;x=\"\n\"\r\nbody\r\n" .. LAST,
  ["an open quote in an extension"] = "4;x=\"y\r\nbody\r\n" .. LAST,
  ["bytes behind a quoted extension"] = "4;x=\"y\"z\r\nbody\r\n" .. LAST,
  ["a request for a chunk"] = SMUGGLED,
}, function(what, body)
  row("9112 7.1", "chunks with " .. what, chunked(body .. SMUGGLED), "cut")
end)

row("9112 7.1.1", "extensions of 60 kB", chunked(("1;%s\r\nx\r\n"):format(("x"):rep(6000)):rep(10)
  .. LAST),
  "cut", { status = 431 })

-- --- trailers (RFC 9112 7.1.2, 9110 6.5)
-- ------------------------------------------------------------

local function trailer(lines, fields)
  return chunked("4\r\nbody\r\n0\r\n" .. lines .. "\r\n", fields)
end

row("9110 6.5", "a trailer field", trailer("X-Y: z\r\n", "TE: trailers\r\n"), "pass",
  { as = { body = "body", trailers = { ["x-y"] = "z" } } })
row("9110 6.5", "a trailer field with obs-text", trailer("X-Y: \228\r\n"), "pass",
  { as = { body = "body", trailers = { ["x-y"] = "\228" } } })

-- Framing, routing and who the client is are matters of heads.
each({ "Host", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
  "Expect", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "X-Request-ID" },
    function(name)
  row("9110 6.5.1", name .. " in the trailers",
    trailer(("%s: odd\r\nX-Y: z\r\n"):format(name)), "pass",
    { as = { body = "body", trailers = { [name:lower()] = false, ["x-y"] = "z" } } })
end)

row("9110 6.5.1", "Content-Length in the trailers", trailer("Content-Length: 4\r\n"), "cut")
row("9110 6.5.1", "Transfer-Encoding in the trailers", trailer("Transfer-Encoding: chunked\r\n"),
  "cut")

each({
  ["no colon"] = "X-Y\r\n",
  ["no name"] = ": z\r\n",
  ["a space before the colon"] = "X-Y : z\r\n",
  ["a space before the name"] = " X-Y: z\r\n",
  ["a fold"] = "X-Y: a\r\n b\r\n",
  ["LF alone"] = "X-Y: a\nX-Z: b\r\n",
  ["CR alone"] = "X-Y: a\rX-Z: b\r\n",
  ["NUL in a value"] = "X-Y: \0\r\n",
  ["NUL in a name"] = "X-\0: a\r\n",
  ["a pseudo-header field"] = ":path: /smuggled\r\n",
  ["a request line"] = "GET /smuggled HTTP/1.1\r\n",
}, function(what, lines)
  row("9112 7.1.2", "trailers with " .. what, trailer(lines) .. SMUGGLED, "cut")
end)

row("9112 7.1.2", "150 trailer fields", trailer(("X-Y: z\r\n"):rep(150)), "cut", { status = 431 })

return rows
