-- SPDX-License-Identifier: Apache-2.0
--
-- Odd requests of HTTP/2: rows of
--   rule    of the RFC, number and section
--   what    is odd
--   h2      { fields, body, trailers }: fields in their order, `body` in one frame
--   wanted  "pass": the backend gets it and answers; "malformed": a stream error, or 400; a status;
--           "cut": the head is passed on, then the stream is reset or answered with 400
--   as      of what passes, what the backend gets: method, target, host, body, has and trailers of
--           { name = value or false }
local list = require("spec.support.odd.rows")

local each = list.each
local rows, row = list.new("h2")

local PSEUDO = { ":method", ":scheme", ":authority", ":path" }
local USUAL = { [":method"] = "GET", [":scheme"] = "http", [":authority"] = "a.test",
  [":path"] = "/odd" }

-- The usual pseudo-header fields, some of them replaced or (false) left out, and more fields.
local function fields(replaced, more)
  local made = {}
  for _, name in ipairs(PSEUDO) do
    local value = replaced[name]
    if value == nil then
      value = USUAL[name]
    end
    if value then
      made[#made + 1] = { name, value }
    end
  end
  for _, field in ipairs(more or {}) do
    made[#made + 1] = field
  end
  return made
end

local function with(...)
  return { fields = fields({}, { ... }) }
end

local function instead(name, value)
  return { fields = fields({ [name] = value }) }
end

local function post(body, ...)
  return { fields = fields({ [":method"] = "POST" }, { ... }), body = body }
end

local SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"

-- --- pseudo-header fields (RFC 9113 8.3) ------------------------------------------------------

each({ ":method", ":scheme", ":path" }, function(name)
  row("9113 8.3.1", "no " .. name, instead(name, false), "malformed")
end)

each(PSEUDO, function(name)
  row("9113 8.3", name .. " twice", with({ name, USUAL[name] }), "malformed")
  row("9113 8.3", name .. " behind a field",
    { fields = fields({ [name] = false }, { { "x-y", "z" }, { name, USUAL[name] } }) }, "malformed")
  row("9113 8.2.1", name .. " in capitals",
    { fields = fields({ [name] = false }, { { name:upper(), USUAL[name] } }) }, "malformed")
  row("9113 8.1", name .. " in the trailers",
    { fields = fields({ [":method"] = "POST" }), body = "body", trailers = { { name,
      "/smuggled" } } },
    "cut")
end)

each({ ":status", ":protocol", ":foo", ":", "::path", ":path:" }, function(name)
  row("9113 8.3", "a pseudo-header field " .. name,
    { fields = fields({}, { { name, "200" } }) }, "malformed")
end)

row("9113 8.3.1", "an empty :path", instead(":path", ""), "malformed")
row("9113 8.3.1", "an empty :method", instead(":method", ""), "malformed")
row("9113 8.3.1", "an empty :scheme", instead(":scheme", ""), "malformed")
row("9113 8.3.1", "no :authority and no Host", instead(":authority", false), "malformed")
row("9113 8.3.1", "an empty :authority", instead(":authority", ""), "malformed")
row("9113 8.3.1", "Host for :authority",
  { fields = fields({ [":authority"] = false }, { { "host", "b.test" } }) }, "pass",
  { as = { host = "b.test" } })
row("9113 8.3.1", "Host that is :authority", with({ "host", "a.test" }), "pass",
  { as = { host = "a.test" } })
row("9113 8.3.1", "Host that is not :authority", with({ "host", "b.test" }), 400)
row("9113 8.3.1", "two Hosts", with({ "host", "a.test" }, { "host", "a.test" }), "malformed")
row("9113 8.3.1", "two Hosts for :authority",
  { fields = fields({ [":authority"] = false }, { { "host", "a.test" }, { "host", "b.test" } }) },
  "malformed")

each({ "a.test/odd", "a.test?odd", "me@a.test", "http://a.test", "a.test:x", "a.test:65536",
  "a.test:80:80", ":80", "a..test", "a test", "a.test\\odd", "[::1", "a.test, b.test", "<a>" },
  function(authority)
    row("9113 8.3.1", ":authority " .. authority, instead(":authority", authority), "malformed")
  end)

each({ "A.TEST", "a.test.", "a.test:8080", "[::1]:80", "a_b.test" }, function(authority)
  row("9113 8.3.1", ":authority " .. authority, instead(":authority", authority), "pass",
    { as = { host = authority } })
end)

each({ "odd", "?odd", "*", "*odd", "http://a.test/odd", "//", "/odd /x", "/odd HTTP/1.1", " /odd",
  "/odd " },
  function(path)
    row("9113 8.3.1", (":path %q"):format(path), instead(":path", path),
      path == "//" and "pass" or "malformed")
  end)

each({ "/odd%", "/odd%zz", "/odd%00", "/../odd", "/%2e%2e/odd" }, function(path)
  row("3986 2.1, 5.2.4", ":path " .. path, instead(":path", path), 400)
end)

each({ "/odd/../x", "/odd//x", "/odd?a=%zz", "/odd?http://b.test/", "/odd%0d%0ax" }, function(path)
  row("9113 8.3.1", ":path " .. path, instead(":path", path), "pass", { as = { target = path } })
end)

row("9110 7.1", "a fragment in :path", instead(":path", "/odd#part"), "pass",
  { as = { target = "/odd" } })
row("9113 8.3.1", "an asterisk for OPTIONS",
  { fields = fields({ [":method"] = "OPTIONS", [":path"] = "*" }) }, "pass",
    { as = { target = "*" } })

each({ "ftp", "http:", "ht tp", "HTTP/1.1", "http://b.test/x" }, function(scheme)
  row("9113 8.3.1", ":scheme " .. scheme, instead(":scheme", scheme), "malformed")
end)

each({ "http", "https", "HTTP" }, function(scheme)
  row("9113 8.3.1", ":scheme " .. scheme, instead(":scheme", scheme), "pass")
end)

each({ "GE T", "GET ", "GET /x HTTP/1.1", "G(T", "G:T", "\"GET\"", "G\228T" }, function(method)
  row("9110 9.1", (":method %q"):format(method), instead(":method", method), "malformed")
end)

each({ "PUT", "DELETE", "OPTIONS", "PROPFIND", "get", "X-Y" }, function(method)
  row("9110 9.1", ":method " .. method, instead(":method", method), "pass",
    { as = { method = method } })
end)

row("9110 9.3.8", ":method TRACE", instead(":method", "TRACE"), 405)
row("9113 8.5", "CONNECT",
  { fields = { { ":method", "CONNECT" }, { ":authority", "a.test:80" } } }, 405)
row("9113 8.5", "CONNECT with :path", instead(":method", "CONNECT"), "malformed")
row("9113 8.5", "CONNECT without :authority", { fields = { { ":method", "CONNECT" } } },
  "malformed")
row("8441 4", "CONNECT to another protocol",
  { fields = fields({ [":method"] = "CONNECT" }, { { ":protocol", "odd" } }), body = "" },
    501)

-- --- bytes in pseudo-header fields (RFC 9113 8.2.1) ----------------------------------------------

each(PSEUDO, function(pseudo)
  list.each_byte(function(char, name, code)
    if code <= 32 or code >= 127 and code <= 129 or code == 255 then
      row("9113 8.2.1", ("%s in %s"):format(name, pseudo),
        instead(pseudo, USUAL[pseudo] .. char .. "x"), "malformed")
    end
  end)
  row("9113 8.2.1", "a request within " .. pseudo,
    instead(pseudo, USUAL[pseudo] .. " HTTP/1.1\r\n\r\n" .. SMUGGLED), "malformed")
end)

-- --- names and values (RFC 9113 8.2.1)
-- ------------------------------------------------------------

local NAME = "[%l%d!#$%%&'*+.^_`|~-]"
list.each_byte(function(char, name)
  if not char:find(NAME) then
    row("9113 8.2.1", name .. " in a field's name", with({ "x-" .. char .. "y", "z" }), "malformed")
  end
end)

row("9113 8.2.1", "a field without name", with({ "", "z" }), "malformed")
row("9113 8.2.1", "a field for a name", with({ "x: y\r\ncontent-length", "39" }), "malformed")
row("9113 8.2.1", "capitals in a name", with({ "X-Y", "z" }), "malformed")
each({ "!", "#", "$", "%", "&", "'", "*", "+", ".", "^", "_", "`", "|", "~", "-", "0" },
  function(char)
    local value = char:find("[-0]") and "z" or false
    row("9110 5.6.2", char .. " in a field's name", with({ "x" .. char .. "y", "z" }), "pass",
      { as = { has = { ["x" .. char .. "y"] = value } } })
  end)

list.each_byte(function(char, name, code)
  if code == 127 or code < 32 and char ~= "\t" then
    row("9113 8.2.1", name .. " in a field's value", with({ "x-y", "a" .. char .. "b" }),
      "malformed")
  elseif code % 16 == 0 and code >= 128 then
    row("9110 5.5", name .. " in a field's value", with({ "x-y", "a" .. char .. "b" }), "pass",
      { as = { has = { ["x-y"] = "a" .. char .. "b" } } })
  end
end)

each({ " z", "z ", "\tz", "z\t", " ", "\t" }, function(value)
  row("9113 8.2.1", ("a field's value %q"):format(value), with({ "x-y", value }), "malformed")
end)

each({ "", "a\tb", "a: b", "a, b", "\"a" }, function(value)
  row("9110 5.5", ("a field's value %q"):format(value), with({ "x-y", value }), "pass",
    { as = { has = { ["x-y"] = value } } })
end)

each({ "\r\nx: y", "\r\n\r\n" .. SMUGGLED, "\n\nGET /smuggled HTTP/1.1\n\n", "\rx: y" },
  function(tail)
  row("9113 8.2.1", ("a field's value with %q"):format(tail), with({ "x-y", "z" .. tail }),
    "malformed")
end)

row("6585 5", "a head of 40 kB", { fields = fields({}, { { "x-a", ("a"):rep(7000) },
  { "x-b", ("b"):rep(7000) }, { "x-c", ("c"):rep(7000) }, { "x-d", ("d"):rep(7000) },
  { "x-e", ("e"):rep(7000) }, { "x-f", ("f"):rep(7000) } }) }, 431)
row("6585 5", "a field of 9 kB", with({ "x-y", ("z"):rep(9000) }), 400)
row("9113 8.3.1", "a :path of 9000 bytes", instead(":path", "/" .. ("x"):rep(9000)), 414)

-- --- fields of one connection (RFC 9113 8.2.2)
-- ------------------------------------------------------

each({ { "connection", "close" }, { "connection", "keep-alive" }, { "connection", "x-y" },
  { "connection", "" }, { "proxy-connection", "keep-alive" }, { "keep-alive", "timeout=5" },
  { "transfer-encoding", "chunked" }, { "transfer-encoding", "identity" }, { "upgrade",
    "websocket" },
  { "upgrade", "h2c" }, { "te", "gzip" }, { "te", "trailers, gzip" }, { "te", "" } },
    function(field)
  row("9113 8.2.2", ("%s: %s"):format(field[1], field[2]), with(field), "malformed")
  row("9113 8.2.2", ("%s: %s in the trailers"):format(field[1], field[2]),
    { fields = fields({ [":method"] = "POST" }), body = "body", trailers = { field } }, "cut")
end)

row("9113 8.2.2", "te: trailers", with({ "te", "trailers" }), "pass",
  { as = { has = { te = "trailers" } } })
row("9112 7.1", "chunks in DATA", post("0\r\n\r\n" .. SMUGGLED, { "transfer-encoding", "chunked" }),
  "malformed")
row("9110 10.1.1", "an expectation that is not known", with({ "expect", "200-ok" }), 417)
row("9110 10.1.1", "an expectation", post("body", { "expect", "100-continue" }), "pass",
  { as = { body = "body", has = { expect = false } } })

-- --- cookies (RFC 9113 8.2.3)
-- ------------------------------------------------------------------------

row("9113 8.2.3", "a cookie in crumbs", with({ "cookie", "a=b" }, { "cookie", "c=d" },
  { "x-y", "z" }, { "cookie", "e=f" }), "pass", { as = { has = { cookie = "a=b; c=d; e=f" } } })
row("9113 8.2.3", "a crumb that is empty", with({ "cookie", "a=b" }, { "cookie", "" }), "pass")
row("9113 8.2.3", "LF in a crumb", with({ "cookie", "a=b" }, { "cookie", "c=d\ne=f" }), "malformed")

-- --- content-length and DATA (RFC 9113 8.1.1)
-- ---------------------------------------------------------

row("9113 8.1.1", "a body without length", post("body"), "pass", { as = { body = "body" } })
row("9113 8.1.1", "a body that holds a request", post(SMUGGLED), "pass",
  { as = { body = SMUGGLED } })
row("9113 8.1.1", "a body that holds a request, with its length",
  post(SMUGGLED, { "content-length", tostring(#SMUGGLED) }), "pass", { as = { body = SMUGGLED } })
row("9113 8.1.1", "a body of GET",
  { fields = fields({}, { { "content-length", "4" } }), body = "body" }, "pass",
  { as = { body = "body" } })
row("9113 8.1.1", "a length of 0 and no body", post(nil, { "content-length", "0" }), "pass",
  { as = { body = "" } })
row("9113 8.1.1", "a length of 0 and empty DATA", post("", { "content-length", "0" }), "pass",
  { as = { body = "" } })

row("9113 8.1.1", "a length and no body", post(nil, { "content-length", "4" }), "malformed")
row("9113 8.1.1", "a length and empty DATA", post("", { "content-length", "4" }), "cut")
row("9113 8.1.1", "more DATA than its length", post("body" .. SMUGGLED, { "content-length", "4" }),
  "cut")
row("9113 8.1.1", "less DATA than its length", post("bod", { "content-length", "4" }), "cut")
row("9113 8.1.1", "DATA and a length of 0", post(SMUGGLED, { "content-length", "0" }), "cut")
row("9113 8.1.1", "less DATA than its length, and trailers",
  { fields = fields({ [":method"] = "POST" }, { { "content-length", "9" } }), body = "body",
    trailers = { { "x-y", "z" } } }, "cut")

each({ "", "+4", "-4", "0x4", "4x", "4,4", "4, 4", "4 4", "4.0", "four",
  "9223372036854775808", "18446744073709551620", ("9"):rep(60) }, function(value)
  row("9110 8.6", "content-length: " .. value, post("body", { "content-length", value }),
    "malformed")
end)
row("9110 8.6", "two lengths", post("body", { "content-length", "4" }, { "content-length", "5" }),
  "malformed")
row("9110 8.6", "the same length twice",
  post("body", { "content-length", "4" }, { "content-length", "4" }), "malformed")

-- --- trailers (RFC 9113 8.1)
-- ---------------------------------------------------------------------------

local function trailing(...)
  return { fields = fields({ [":method"] = "POST" }, { { "te", "trailers" } }), body = "body",
    trailers = { ... } }
end

row("9113 8.1", "a trailer field", trailing({ "x-y", "z" }), "pass",
  { as = { body = "body", trailers = { ["x-y"] = "z" } } })

each({ "host", "via", "expect", "trailer", "x-forwarded-for", "x-real-ip" }, function(name)
  row("9110 6.5.1", name .. " in the trailers", trailing({ name, "odd" }, { "x-y", "z" }), "pass",
    { as = { body = "body", trailers = { [name] = false, ["x-y"] = "z" } } })
end)

each({ { "X-Y", "z" }, { "x y", "z" }, { "x-y", "a\r\nb" }, { "x-y", "a\nb" }, { "x-y", "\0" },
  { "", "z" } },
  function(field)
    row("9113 8.2.1", ("a trailer field %q"):format(field[1] .. ": " .. field[2]), trailing(field),
      "cut")
  end)

return rows
