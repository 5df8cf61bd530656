-- SPDX-License-Identifier: Apache-2.0
--
-- Odd responses of HTTP/1.1: rows of
--   rule    of the RFC, number and section
--   what    is odd
--   h1      the bytes that a backend answers a request with
--   close   the backend ends the connection behind them
--   method  of the request, GET unless given
--   wanted  "pass": the client gets it; "bad": the client gets 502; "cut": what the client gets
--           breaks off
--   as      of what passes, what the client gets: status, body, has and trailers of
--           { name = value or false }
local list = require("spec.support.odd.rows")

local each = list.each
local rows, row = list.new("h1")

local function response(fields, body, line)
  return (line or "HTTP/1.1 200 OK") .. "\r\n" .. fields .. "\r\n" .. (body or "")
end

local function body_of(fields, body, line)
  return response(fields .. ("Content-Length: %d\r\n"):format(#body), body, line)
end

local SMUGGLED = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
local LAST = "0\r\n\r\n"

-- --- the status line (RFC 9112 4) -------------------------------------------------------

each({
  ["no reason"] = "HTTP/1.1 200 ",
  ["no reason and no space"] = "HTTP/1.1 200",
  ["an odd reason"] = "HTTP/1.1 200 \228 \t!",
  ["NUL in the reason, which ends here"] = "HTTP/1.1 200 O\0K",
  ["HTTP/1.0"] = "HTTP/1.0 200 OK",
}, function(what, line)
  row("9112 4", "a status line with " .. what, body_of("", "body", line), "pass",
    { as = { status = 200, body = "body" } })
end)

each({ 299, 399, 418, 451, 499, 599, 600, 999 }, function(status)
  row("9110 15", "status " .. status, body_of("", "body", ("HTTP/1.1 %d X"):format(status)), "pass",
    { as = { status = status, body = "body" } })
end)

each({
  ["no version"] = "200 OK",
  ["no status"] = "HTTP/1.1 OK",
  ["a status of two digits"] = "HTTP/1.1 20 OK",
  ["a status of four digits"] = "HTTP/1.1 2000 OK",
  ["a status of letters"] = "HTTP/1.1 2xx OK",
  ["a negative status"] = "HTTP/1.1 -20 OK",
  ["a status of 0"] = "HTTP/1.1 000 OK",
  ["a status of 99"] = "HTTP/1.1 099 OK",
  ["a tab for a space"] = "HTTP/1.1\t200 OK",
  ["a space before it"] = " HTTP/1.1 200 OK",
  ["a small version"] = "http/1.1 200 OK",
  ["HTTP/2.0"] = "HTTP/2.0 200 OK",
  ["HTTP/0.9"] = "HTTP/0.9 200 OK",
  ["HTTP/1.2"] = "HTTP/1.2 200 OK",
  ["HTTP/1.10"] = "HTTP/1.10 200 OK",
  ["another protocol"] = "ICY 200 OK",
  ["RTSP"] = "RTSP/1.0 200 OK",
  ["CR in the reason"] = "HTTP/1.1 200 O\rK",
  ["a request line"] = "GET / HTTP/1.1",
}, function(what, line)
  row("9112 4", "a status line with " .. what, body_of("", "body", line), "bad", { close = true })
end)

row("9112 2.2", "a status line that ends by LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
  "bad",
  { close = true })
row("9112 4", "no HTTP at all", "what?\r\n", "bad", { close = true })
row("9112 8", "nothing", "", "bad", { close = true })
row("9112 8", "half a head", "HTTP/1.1 200 OK\r\nX-Y: z\r\n", "bad", { close = true })

-- --- fields (RFC 9110 5, RFC 9112 5) ----------------------------------------------------------

list.each_byte(function(char, name, code)
  local line = body_of(("X-Y: a%sb\r\n"):format(char), "body")
  if code == 127 or code < 32 and not char:find("[\t\r\n]") then
    row("9110 5.5", name .. " in a field's value", line, "bad", { close = true })
  end
end)

each({ "X Y", "X\tY", "X\0Y", "X(Y", "X/Y", "X@Y", "X\"Y", "X\228Y", "X{Y", " X", "", "X " },
  function(name)
    row("9110 5.1", ("a field of the name %q"):format(name), body_of(name .. ": z\r\n", "body"),
      "bad",
      { close = true })
  end)

each({
  ["no colon"] = "X-Y\r\n",
  ["a fold"] = "X-Y: a\r\n b\r\n",
  ["LF alone"] = "X-Y: a\nX-Z: b\r\n",
  ["CR alone"] = "X-Y: a\rX-Z: b\r\n",
  ["CR CR LF"] = "X-Y: a\r\r\n",
  ["LF LF"] = "X-Y: a\n\n",
}, function(what, line)
  row("9112 5", "a field with " .. what, body_of(line, "body"), "bad", { close = true })
end)

each({
  ["an empty value"] = { "X-Y:\r\n", "" },
  ["obs-text"] = { "X-Y: \228\255\r\n", "\228\255" },
  ["spaces around it"] = { "X-Y: \t z \t\r\n", "z" },
  ["a tab within"] = { "X-Y: a\tb\r\n", "a\tb" },
}, function(what, case)
  row("9110 5.5", "a field with " .. what, body_of(case[1], "body"), "pass",
    { as = { body = "body", has = { ["x-y"] = case[2] } } })
end)

each({
  ["Connection names a field"] = { "Connection: X-Y\r\nX-Y: z\r\n", "x-y" },
  ["Keep-Alive"] = { "Keep-Alive: timeout=5\r\n", "keep-alive" },
  ["Proxy-Connection"] = { "Proxy-Connection: keep-alive\r\n", "proxy-connection" },
  ["Upgrade"] = { "Upgrade: h2c\r\n", "upgrade" },
}, function(what, case)
  row("9110 7.6.1", what, body_of(case[1], "body"), "pass",
    { as = { body = "body", has = { [case[2]] = false } } })
end)

row("9110 7.6.1", "Connection names Content-Length",
  body_of("Connection: Content-Length\r\n", "body"), "pass", { as = { body = "body" } })
row("9112 9.6", "close", body_of("Connection: close\r\n", "body"), "pass",
  { as = { body = "body" } })
row("9112 9.6", "close, and an end", body_of("Connection: close\r\n", "body"), "pass",
  { close = true, as = { body = "body" } })
row("6585 5", "a head of 200 kB", body_of(("X-Y: %s\r\n"):format(("z"):rep(7000)):rep(30), "body"),
  "bad")

-- --- Content-Length (RFC 9112 6.3) --------------------------------------------------------------

each({ "", "+4", "-4", "0x4", "4x", "4 4", "4,", "4,5", "4, 4", "4.0", "four", "\v4", "4\0",
  "9223372036854775808", "18446744073709551616", "18446744073709551620", ("9"):rep(100) },
  function(value)
    row("9112 6.3", ("Content-Length: %q"):format(value),
      response(("Content-Length: %s\r\n"):format(value), "body" .. SMUGGLED), "bad",
        { close = true })
  end)

each({
  ["two lengths"] = "Content-Length: 4\r\nContent-Length: 5\r\n",
  ["the same length twice"] = "Content-Length: 4\r\nContent-Length: 4\r\n",
  ["a length and chunks"] = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
  ["chunks and a length"] = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
  ["a space before a length's colon"] = "Content-Length : 4\r\n",
  ["a length in a fold"] = "X: y\r\n Content-Length: 4\r\n",
  ["a length behind LF"] = "X: y\nContent-Length: 4\r\n",
}, function(what, fields)
  row("9112 6.3", what, response(fields, "body" .. SMUGGLED), "bad", { close = true })
end)

row("9112 6.3", "neither length nor chunks", response("", "until the end"), "pass",
  { close = true, as = { body = "until the end" } })
row("9112 6.3", "neither length nor chunks, of a kept connection",
  response("Connection: keep-alive\r\n", "until the end"), "pass",
  { close = true, as = { body = "until the end" } })
row("9112 6.3", "a body that breaks off", response("Content-Length: 10\r\n", "half"), "cut",
  { close = true })
row("9112 6.3", "bytes behind a body", body_of("", "body") .. "more", "pass",
  { as = { body = "body" } })
row("9112 6.3", "a response behind a response", body_of("", "body") .. SMUGGLED, "pass",
  { as = { body = "body" } })
row("9112 6.3", "an empty line behind a response", body_of("", "body") .. "\r\n", "pass",
  { as = { body = "body" } })
row("9112 6.3", "half a response behind a response", body_of("", "body") .. "HTTP/1.1 200 O",
  "pass",
  { as = { body = "body" } })

-- --- responses without a body (RFC 9110 6.4.1)
-- -----------------------------------------------------

each({ 204, 304 }, function(status)
  local line = ("HTTP/1.1 %d X"):format(status)
  row("9110 6.4.1", status .. " with a length and no body", response("Content-Length: 4\r\n", "",
    line),
    "pass", { as = { status = status, body = "" } })
  row("9110 6.4.1", status .. " with a body", response("Content-Length: 8\r\n", "smuggled", line),
    "pass", { as = { status = status, body = "" } })
  row("9110 6.4.1", status .. " with chunks",
    response("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n" .. LAST, line), "pass",
    { as = { status = status, body = "" } })
  row("9110 6.4.1", status .. " with a response for a body",
    response(("Content-Length: %d\r\n"):format(#SMUGGLED), SMUGGLED, line), "pass",
    { as = { status = status, body = "" } })
end)

each({
  ["a length"] = response("Content-Length: 4\r\n"),
  ["chunks"] = response("Transfer-Encoding: chunked\r\n"),
  ["a length and a body"] = response("Content-Length: 4\r\n", "body"),
  ["a length and a response for a body"] =
    response(("Content-Length: %d\r\n"):format(#SMUGGLED), SMUGGLED),
  ["chunks that come"] = response("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n" .. LAST),
  ["neither length nor chunks"] = response(""),
}, function(what, bytes)
  row("9110 9.3.2", "an answer to HEAD with " .. what, bytes, "pass",
    { method = "HEAD", as = { status = 200, body = "" } })
end)

row("9110 15.3.6", "205 with a body", body_of("", "body", "HTTP/1.1 205 X"), "pass",
  { as = { status = 205 } })
row("9110 15.2", "100 that nobody asked for", "HTTP/1.1 100 Continue\r\n\r\n" .. body_of("",
  "body"),
  "pass", { as = { status = 200, body = "body" } })
row("9110 15.2", "103", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" .. body_of("", "body"),
  "pass",
  { as = { status = 200, body = "body" } })
row("9110 15.2", "150", "HTTP/1.1 150 Odd\r\n\r\n" .. body_of("", "body"), "pass",
  { as = { status = 200, body = "body" } })
row("9110 15.2", "103 with a length",
  "HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\n" .. body_of("", "body"), "pass",
  { as = { status = 200, body = "body" } })
row("9110 15.2", "103 with a body",
  "HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nbody" .. body_of("", "body"), "bad",
  { close = true })
row("9110 15.2", "103 and no more", "HTTP/1.1 103 Early Hints\r\n\r\n", "bad", { close = true })
row("9110 15.2.2", "101 that nobody asked for",
  "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" .. SMUGGLED, "bad",
    { close = true })

-- --- Transfer-Encoding (RFC 9112 6.1)
-- ----------------------------------------------------------------

each({ "chunked, chunked", "chunked, gzip", "gzip", "gzip, chunked", "identity",
  "identity, chunked",
  "xchunked", "chunked;q=1", ",chunked", "chunked,", "\vchunked", "chunked\0", "\"chunked\"", "" },
  function(value)
    row("9112 6.1", ("Transfer-Encoding: %q"):format(value),
      response(("Transfer-Encoding: %s\r\n"):format(value), LAST .. SMUGGLED), "bad",
        { close = true })
  end)

each({
  ["chunks twice"] = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
  ["a space before the colon"] = "Transfer-Encoding : chunked\r\n",
  ["chunks in a fold"] = "X: y\r\n Transfer-Encoding: chunked\r\n",
  ["chunks behind LF"] = "X: y\nTransfer-Encoding: chunked\r\n",
}, function(what, fields)
  row("9112 6.1", what, response(fields, LAST .. SMUGGLED), "bad", { close = true })
end)

row("9112 6.1", "chunks of HTTP/1.0",
  response("Transfer-Encoding: chunked\r\n", LAST, "HTTP/1.0 200 OK"), "bad", { close = true })

-- --- chunks (RFC 9112 7.1)
-- -----------------------------------------------------------------------------

local function chunked(body)
  return response("Transfer-Encoding: chunked\r\n", body)
end

each({
  ["a size in capitals"] = "A\r\n0123456789\r\n" .. LAST,
  ["a size with zeros before it"] = "000a\r\n0123456789\r\n" .. LAST,
  ["a last chunk of several zeros"] = "a\r\n0123456789\r\n000\r\n\r\n",
  ["an extension"] = "a;x=\"y\"\r\n0123456789\r\n" .. LAST,
  ["bytes behind the end"] = "a\r\n0123456789\r\n" .. LAST .. "more",
  ["a response behind the end"] = "a\r\n0123456789\r\n" .. LAST .. SMUGGLED,
}, function(what, body)
  row("9112 7.1", "chunks with " .. what, chunked(body), "pass", { as = { body = "0123456789" } })
end)

each({
  ["no size"] = "\r\nbody\r\n" .. LAST,
  ["a negative size"] = "-4\r\nbody\r\n" .. LAST,
  ["0x"] = "0x4\r\nbody\r\n" .. LAST,
  ["a space before the size"] = " 4\r\nbody\r\n" .. LAST,
  ["two sizes"] = "4 4\r\nbody\r\n" .. LAST,
  ["LF alone behind the size"] = "4\nbody\r\n" .. LAST,
  ["LF alone behind the data"] = "4\r\nbody\n" .. LAST,
  ["no line end behind the data"] = "4\r\nbody" .. LAST,
  ["data that is too long"] = "4\r\nbody!\r\n" .. LAST,
  ["data that is too short"] = "5\r\nbody\r\n" .. LAST,
  ["a size of 2^64 + 4"] = "10000000000000004\r\nbody\r\n" .. LAST,
  ["LF in an extension"] = "4;x\ny\r\nbody\r\n" .. LAST,
  ["an end within a chunk"] = "a\r\nbody",
  ["an end behind a chunk"] = "4\r\nbody\r\n",
  ["an end within the last chunk"] = "4\r\nbody\r\n0\r\n",
  ["a response for a chunk"] = SMUGGLED,
  ["trailers of no colon"] = "4\r\nbody\r\n0\r\nX-Y\r\n\r\n",
  ["trailers with a fold"] = "4\r\nbody\r\n0\r\nX-Y: a\r\n b\r\n\r\n",
  ["trailers with LF alone"] = "4\r\nbody\r\n0\r\nX-Y: a\n\r\n",
}, function(what, body)
  row("9112 7.1", "chunks with " .. what, chunked("5\r\nfirst\r\n" .. body), "cut",
    { close = true })
end)

row("9110 6.5", "a trailer field", chunked("4\r\nbody\r\n0\r\nX-Y: z\r\n\r\n"), "pass",
  { as = { body = "body", trailers = { ["x-y"] = "z" } } })

each({ "Connection", "Keep-Alive", "Trailer", "Upgrade", "Host", "Date", "Server",
  "Transfer-Encoding" }, function(name)
  row("9110 6.5.1", name .. " in the trailers",
    chunked(("4\r\nbody\r\n0\r\n%s: odd\r\nX-Y: z\r\n\r\n"):format(name)), "pass",
    { as = { body = "body", trailers = { [name:lower()] = false, ["x-y"] = "z" } } })
end)

row("9110 6.5.1", "Content-Length in the trailers",
  chunked("4\r\nbody\r\n0\r\nContent-Length: 4\r\n\r\n"), "cut")

return rows
