-- SPDX-License-Identifier: Apache-2.0
--
-- Odd responses of HTTP/2: rows of
--   rule    of the RFC, number and section
--   what    is odd
--   frames  that a backend answers a request with: { kind, flags, payload[, stream] } in order, on
--           the request's stream unless they say 0; or bytes
--   method  of the request, GET unless given
--   wanted  "pass": the client gets it; "bad": the client gets 502; "any": that, or what the
--           client gets breaks off, or it gets the answer without what is odd in it
--   as      of what passes, what the client gets: status, body, has and trailers of
--           { name = value or false }
local h2 = require("spec.support.h2_frames")
local hpack = require("spec.support.hpack")
local list = require("spec.support.odd.rows")

local each = list.each
local rows, row = list.new("frames")

local BODY = { status = 200, body = "body" }

local function block(fields)
  return type(fields) == "string" and fields or hpack.encode(fields)
end

local function head(fields, last)
  return { h2.HEADERS, h2.END_HEADERS + (last and h2.END_STREAM or 0), block(fields) }
end

local function data(payload, more)
  return { h2.DATA, more and 0 or h2.END_STREAM, payload }
end

-- The status, more fields, and four bytes of a body.
local function with(...)
  return { head({ { ":status", "200" }, ... }), data("body") }
end

local function of_fields(fields)
  return { head(fields), data("body") }
end

-- --- pseudo-header fields (RFC 9113 8.3.2) ----------------------------------------------

row("9113 8.3.2", "no :status", of_fields({ { "x-y", "z" } }), "bad")
row("9113 8.3.2", "nothing in its head", of_fields({}), "bad")
row("9113 8.3.2", ":status twice", with({ ":status", "200" }), "bad")
row("9113 8.3", ":status behind a field", of_fields({ { "x-y", "z" }, { ":status", "200" } }),
  "bad")
each({ ":method", ":path", ":scheme", ":authority", ":protocol", ":foo", ":", ":STATUS" },
  function(name)
    row("9113 8.3", name .. " in a response", with({ name, "/" }), "bad")
  end)
each({ "", "2", "20", "2000", "2xx", "-20", "+20", " 200", "200 ", "200 OK", "099", "000" },
  function(status)
    row("9113 8.3.2", ("status %q"):format(status), of_fields({ { ":status", status } }), "bad")
  end)
each({ 299, 399, 418, 451, 499, 599, 600, 999 }, function(status)
  row("9110 15", "status " .. status, of_fields({ { ":status", tostring(status) } }), "pass",
    { as = { status = status, body = "body" } })
end)

-- --- fields (RFC 9113 8.2) -----------------------------------------------------------------

list.each_byte(function(char, name, code)
  local is_token = char:find("[%l%d!#$%%&'*+%-.^_`|~]") ~= nil
  row("9113 8.2.1", "a name with " .. name, with({ "x" .. char .. "y", "z" }),
    is_token and "pass" or "bad", { as = BODY })
  -- What fields of HTTP/1.1 may have. A control character in the middle harms neither side.
  local harms = code == 0 or code == 10 or code == 13
  if harms or code >= 32 and code ~= 127 or code == 9 then
    row("9113 8.2.1", "a value with " .. name, with({ "x-y", "a" .. char .. "b" }),
      harms and "bad" or "pass", { as = BODY })
  end
end)
row("9113 8.2.1", "an empty name", with({ "", "z" }), "bad")
row("9110 5.5", "an empty value", with({ "x-y", "" }), "pass",
  { as = { status = 200, body = "body", has = { ["x-y"] = "" } } })
each({ { "connection", "close" }, { "connection", "x-y" }, { "keep-alive", "timeout=5" },
  { "proxy-connection", "close" }, { "transfer-encoding", "chunked" }, { "upgrade", "h2c" } },
  function(field)
    row("9113 8.2.2", ("%s: %s"):format(field[1], field[2]), with(field), "bad")
  end)
row("9110 5.3", "two fields of one name", with({ "x-y", "a" }, { "x-y", "b" }), "pass",
  { as = BODY })
row("9113 10.5.1", "fields of 1 MB", with(unpack((function()
  local many = {}
  for i = 1, 64 do
    many[i] = { "x-" .. i, ("y"):rep(16000) }
  end
  return many
end)())), "bad")

-- --- lengths (RFC 9113 8.1.1) ------------------------------------------------------------

local function length(...)
  local fields = { { ":status", "200" } }
  for _, value in ipairs({ ... }) do
    fields[#fields + 1] = { "content-length", value }
  end
  return fields
end

row("9113 8.1.1", "a length", of_fields(length("4")), "pass", { as = BODY })
row("9113 8.1.1", "a length that is too small", of_fields(length("3")), "any")
row("9113 8.1.1", "a length that is too large", of_fields(length("5")), "any")
row("9113 8.1.1", "a length and no body", { head(length("4"), true) }, "any")
row("9113 8.1.1", "a length of 0 and a body", of_fields(length("0")), "any")
each({ "", "x", "-4", "+4", "4 4", "4,5", "0x4", "4.0", "99999999999999999999" }, function(value)
  row("9110 8.6", ("Content-Length: %q"):format(value), of_fields(length(value)), "bad")
end)
row("9110 8.6", "two lengths", of_fields(length("4", "5")), "bad")
row("9110 8.6", "two equal lengths", of_fields(length("4", "4")), "bad")

-- --- frames (RFC 9113 6, 8.1) ------------------------------------------------------------------

local OK = block({ { ":status", "200" } })

each({
  ["DATA in many frames"] = { head(OK), data("b", true), data("", true), data("o", true),
    data("dy") },
  ["an empty frame at the end"] = { head(OK), data("body", true), data("") },
  ["padding"] = { { h2.HEADERS, h2.END_HEADERS + h2.PADDED, "\5" .. OK .. ("\0"):rep(5) },
    { h2.DATA, h2.END_STREAM + h2.PADDED, "\7body" .. ("\0"):rep(7) } },
  ["a priority"] = { { h2.HEADERS, h2.END_HEADERS + h2.HAS_PRIORITY, h2.u32(0) .. "\15" .. OK },
    data("body") },
  ["a head in two frames"] = { { h2.HEADERS, 0, "" }, { h2.CONTINUATION, h2.END_HEADERS, OK },
    data("body") },
  ["frames of an unknown type"] = { { 0x42, 0, "odd" }, head(OK), { 0x42, 255, "odd", 0 },
    data("body") },
  ["unknown flags"] = { { h2.HEADERS, h2.END_HEADERS + 0x40, OK }, { h2.DATA, 0xc1, "body" } },
  ["PING and SETTINGS between"] = { { h2.PING, 0, "12345678", 0 }, head(OK),
    { h2.SETTINGS, 0, h2.settings({ { 0x99, 1 } }), 0 }, data("body") },
  ["early hints"] = { head({ { ":status", "103" }, { "link", "<a>" } }), head(OK), data("body") },
  ["100 that nobody asked for"] = { head({ { ":status", "100" } }), head(OK), data("body") },
  ["RST_STREAM of NO_ERROR behind its end"] = { head(OK), data("body"),
    { h2.RST_STREAM, 0, h2.error("NO_ERROR") } },
  ["GOAWAY that counts it in"] = { { h2.GOAWAY, 0, h2.u32(0x7fffffff) .. h2.error("NO_ERROR"), 0 },
    head(OK), data("body") },
}, function(what, frames)
  row("9113 8.1", what, frames, "pass", { as = BODY })
end)

each({
  ["DATA for a head"] = { data("body") },
  ["no answer, but RST_STREAM"] = { { h2.RST_STREAM, 0, h2.error("INTERNAL_ERROR") } },
  ["RST_STREAM of CANCEL"] = { { h2.RST_STREAM, 0, h2.error("CANCEL") } },
  ["RST_STREAM of NO_ERROR"] = { { h2.RST_STREAM, 0, h2.error("NO_ERROR") } },
  ["early hints at its end"] = { head({ { ":status", "103" } }, true) },
  ["101"] = { head({ { ":status", "101" } }), head(OK), data("body") },
  ["a block that is no HPACK"] = { { h2.HEADERS, h2.END_HEADERS, "\255\255\255\255\255\255" } },
  ["an index that is too large"] = { head("\255\0") },
  ["PUSH_PROMISE"] = { { h2.PUSH_PROMISE, h2.END_HEADERS, h2.u32(2) .. OK }, head(OK) },
  ["HEADERS on stream 0"] = { { h2.HEADERS, h2.END_HEADERS, OK, 0 } },
  ["DATA on stream 0"] = { { h2.DATA, 0, "body", 0 } },
  ["CONTINUATION without HEADERS"] = { { h2.CONTINUATION, h2.END_HEADERS, OK } },
  ["a frame that interrupts a head"] = { { h2.HEADERS, 0, OK }, { h2.PING, 0, "12345678", 0 } },
  ["padding that is longer than the frame"] = { { h2.HEADERS, h2.END_HEADERS + h2.PADDED,
    "\255" .. OK } },
  ["SETTINGS of five bytes"] = { { h2.SETTINGS, 0, "12345", 0 } },
  ["a window that grows by 0"] = { { h2.WINDOW_UPDATE, 0, h2.u32(0) } },
  ["a window that is too large"] = { { h2.WINDOW_UPDATE, 0, h2.u32(0x7fffffff), 0 } },
  ["HTTP/1.1"] = { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
}, function(what, frames)
  row("9113 5.4", what, frames, "bad")
end)

each({
  ["RST_STREAM within the body"] = { head(OK), data("bo", true),
    { h2.RST_STREAM, 0, h2.error("INTERNAL_ERROR") } },
  ["RST_STREAM of NO_ERROR within the body"] = { head(OK), data("bo", true),
    { h2.RST_STREAM, 0, h2.error("NO_ERROR") } },
  ["RST_STREAM for a body"] = { head(OK), { h2.RST_STREAM, 0, h2.error("CANCEL") } },
  ["a body that is longer than its frame says"] = { head(OK), data("bo", true),
    { h2.DATA, h2.PADDED, "\255dy" } },
  ["a second head"] = { head(OK), data("bo", true), head(OK) },
  ["trailers without an end"] = { head(OK), data("bo", true), head({ { "x-y", "z" } }) },
  ["trailers with :status"] = { head(OK), data("bo", true), head({ { ":status", "200" } }, true) },
  ["trailers with a name in capitals"] = { head(OK), data("bo", true),
    head({ { "X-Y", "z" } }, true) },
  ["GOAWAY that does not count it in"] = { head(OK), data("bo", true),
    { h2.GOAWAY, 0, h2.u32(0) .. h2.error("NO_ERROR"), 0 } },
  ["SETTINGS of five bytes within the body"] = { head(OK), data("bo", true),
    { h2.SETTINGS, 0, "12345", 0 } },
}, function(what, frames)
  row("9113 5.4", what, frames, "any")
end)

each({
  ["DATA behind its end"] = { head(OK), data("body"), data("more") },
  ["HEADERS behind its end"] = { head(OK), data("body"), head(OK, true) },
  ["RST_STREAM of an error behind its end"] = { head(OK), data("body"),
    { h2.RST_STREAM, 0, h2.error("INTERNAL_ERROR") } },
}, function(what, frames)
  row("9113 5.1", what, frames, "pass", { as = BODY })
end)

-- --- answers without a body, trailers -----------------------------------------------------------

each({ 204, 304 }, function(status)
  local fields = { { ":status", tostring(status) } }
  row("9110 6.4.1", status .. " as it should be", { head(fields, true) }, "pass",
    { as = { status = status, body = "" } })
  row("9110 6.4.1", status .. " with a body", of_fields(fields), "any")
end)
row("9110 9.3.2", "an answer to HEAD with a length", { head(length("4"), true) }, "pass",
  { method = "HEAD", as = { status = 200, body = "" } })
row("9110 9.3.2", "an answer to HEAD with a body", of_fields(length("4")), "any",
  { method = "HEAD" })

row("9113 8.1", "trailers", { head(OK), data("body", true), head({ { "x-y", "z" } }, true) },
  "pass", { as = { status = 200, body = "body", trailers = { ["x-y"] = "z" } } })
each({ "content-length", "host", "trailer", "date", "server" }, function(name)
  row("9110 6.5.1", name .. " in the trailers", { head(OK), data("body", true),
    head({ { name, "4" }, { "x-y", "z" } }, true) }, "pass",
    { as = { status = 200, body = "body", trailers = { [name] = false, ["x-y"] = "z" } } })
end)

return rows
