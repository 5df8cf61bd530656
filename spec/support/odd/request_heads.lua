-- SPDX-License-Identifier: Apache-2.0
--
-- Odd heads of HTTP/1.1 requests: rows of
--   rule    of the RFC, number and section
--   what    is odd
--   h1      the bytes
--   wanted  "pass": the backend gets it and answers; or the status with which the gateway refuses
--   it
--   as      of what passes, what the backend gets: target, host, has = { name = value or false }
--   goes_on the connection serves the next request behind a refusal
--   last    it serves none behind what passes
--   refused_behind  of what passes: what stands behind it is refused
--   method  "HEAD" where the answer has no body for that reason
local list = require("spec.support.odd.rows")

local each = list.each
local rows, row = list.new("h1")

local function request(line, fields)
  return line .. "\r\nHost: a.test\r\n" .. (fields or "") .. "\r\n"
end

-- --- the request line (RFC 9112 3) ---------------------------------------------------

-- What a recipient may overlook, and what goes on to the backend without it.
each({
  ["an empty line before it"] = "\r\n" .. request("GET /odd HTTP/1.1"),
  ["three empty lines before it"] = ("\r\n"):rep(3) .. request("GET /odd HTTP/1.1"),
  ["LF alone before it"] = "\n" .. request("GET /odd HTTP/1.1"),
  ["two spaces behind the method"] = request("GET  /odd HTTP/1.1"),
  ["two spaces behind the target"] = request("GET /odd  HTTP/1.1"),
}, function(what, head)
  row("9112 2.2, 3", what, head, "pass", { as = { target = "/odd" } })
end)

each({
  ["a space before it"] = " GET /odd HTTP/1.1",
  ["a tab before it"] = "\tGET /odd HTTP/1.1",
  ["NUL before it"] = "\0GET /odd HTTP/1.1",
  ["a tab behind the method"] = "GET\t/odd HTTP/1.1",
  ["a tab behind the target"] = "GET /odd\tHTTP/1.1",
  ["a vertical tab between its parts"] = "GET\v/odd\vHTTP/1.1",
  ["a space behind the version"] = "GET /odd HTTP/1.1 ",
  ["a word behind the version"] = "GET /odd HTTP/1.1 HTTP/1.1",
  ["an empty version"] = "GET /odd ",
  ["no target"] = "GET HTTP/1.1",
  ["a space for a target"] = "GET   HTTP/1.1",
  ["no method"] = " /odd HTTP/1.1",
  ["a small version"] = "GET /odd http/1.1",
  ["version HTTP/1."] = "GET /odd HTTP/1.",
  ["version HTTP/11"] = "GET /odd HTTP/11",
  ["version HTTP/1,1"] = "GET /odd HTTP/1,1",
  ["version HTTP/1.1x"] = "GET /odd HTTP/1.1x",
  ["version HTTP/1.10"] = "GET /odd HTTP/1.10",
  ["version HTTP/1.+1"] = "GET /odd HTTP/1.+1",
  ["version HTPT/1.1"] = "GET /odd HTPT/1.1",
  ["version RTSP/1.0"] = "GET /odd RTSP/1.0",
  ["version ICE/1.0"] = "SOURCE /odd ICE/1.0",
  ["CR within it"] = "GET /odd\rX HTTP/1.1",
  ["CR CR LF behind it"] = "GET /odd HTTP/1.1\r",
}, function(what, line)
  row("9112 3", what, request(line), 400)
end)

each({ "0.9", "1.2", "1.9", "2.0", "3.0", "9.9", "01.1", ".1" }, function(version)
  row("9110 2.5", "version " .. version, request("GET /odd HTTP/" .. version), 505)
end)
row("9110 2.5", "no version", request("GET /odd"), 505)

row("9112 2.2", "LF alone behind it", "GET /odd HTTP/1.1\nHost: a.test\r\n\r\n", 400)
row("9112 2.2", "CR alone behind it", "GET /odd HTTP/1.1\rHost: a.test\r\n\r\n", 400)

-- --- methods (RFC 9110 9.1) -------------------------------------------------------------

each({ "get", "Get", "GETX", "GE T", "G\0T", "G(T", "G:T", "G/T", "G,T", "\"GET\"",
  "G\127T", "G\195\164T" }, function(method)
  row("9110 9.1", ("method %q"):format(method), request(method .. " /odd HTTP/1.1"), 400)
end)

each({ "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MKCOL",
  "REPORT", "PURGE", "SEARCH", "QUERY" }, function(method)
  row("9110 9.3", "method " .. method, request(method .. " /odd HTTP/1.1"), "pass")
end)

row("9110 9.3.2", "HEAD", request("HEAD /odd HTTP/1.1"), "pass", { method = "HEAD" })
row("9110 9.3.8", "TRACE", request("TRACE /odd HTTP/1.1"), 405)
row("9110 9.3.6", "CONNECT", "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n", 405)
row("9110 9.3.6", "CONNECT with a path", request("CONNECT /odd HTTP/1.1"), 405)
row("9113 3.4", "HTTP/2's preface behind a request",
  request("GET /odd HTTP/1.1"):sub(1, -3) .. "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "pass",
  { refused_behind = true })

-- --- targets (RFC 9112 3.2) -------------------------------------------------------------

list.each_byte(function(char, name, code)
  if code < 32 and char ~= "\n" and char ~= "\r" or code >= 127 then
    row("9112 3.2", name .. " in the target", request(("GET /odd%sx HTTP/1.1"):format(char)), 400)
  end
end)

each({
  ["no slash"] = "odd",
  ["a query alone"] = "?odd",
  ["an authority"] = "a.test:80",
  ["an asterisk for GET"] = "*",
  ["an asterisk and more"] = "*odd",
  ["a scheme without authority"] = "http:/odd",
  ["an empty authority"] = "http:///odd",
  ["an empty authority and port"] = "http://:80/odd",
  ["a scheme that is not served"] = "ftp://a.test/odd",
  ["a scheme of files"] = "file:///odd",
  ["userinfo"] = "http://me@a.test/odd",
  ["userinfo with a password"] = "http://me:pass@a.test/odd",
  ["a port of letters"] = "http://a.test:http/odd",
  ["a port that is too large"] = "http://a.test:65536/odd",
  ["two ports"] = "http://a.test:80:80/odd",
  ["a space in the authority"] = "http://a .test/odd",
  ["a backslash in the authority"] = "http://a.test\\odd",
  ["an open bracket"] = "http://[::1/odd",
}, function(what, target)
  row("9112 3.2", "a target with " .. what, request(("GET %s HTTP/1.1"):format(target)), 400)
end)

-- A message like any other, of which nothing can be made.
each({
  ["a cut escape"] = "/odd%",
  ["half an escape"] = "/odd%2",
  ["a broken escape"] = "/odd%zz",
  ["an escaped NUL"] = "/odd%00",
  ["a way above the root"] = "/../odd",
  ["an escaped way above the root"] = "/%2e%2e/odd",
  ["a way above the root behind a segment"] = "/a/../../odd",
}, function(what, target)
  row("3986 2.1, 5.2.4", "a target with " .. what, request(("GET %s HTTP/1.1"):format(target)), 400,
    { goes_on = true })
end)

-- What nginx hands on as it came.
each({ "/odd/./x", "/odd/a/../x", "/odd//x", "/odd/%2e%2e/x", "/odd?a=%zz",
  "/odd?a=/../..", "/odd??", "/odd?", "/odd;x=1", "/odd:80", "/odd@b", "/odd%20x", "/odd%0d%0ax",
  "/odd'", "/odd(*)", "/odd!$&+,=", "/odd\"<>", "/odd\\x", "/odd^`{|}", "/odd?http://b.test/" },
    function(target)
  row("9112 3.2.1", "target " .. target, request(("GET %s HTTP/1.1"):format(target)), "pass",
    { as = { target = target } })
end)

row("9112 3.2.1", "a fragment", request("GET /odd#part HTTP/1.1"), "pass",
  { as = { target = "/odd" } })
row("9112 3.2.4", "an asterisk for OPTIONS", request("OPTIONS * HTTP/1.1"), "pass",
  { as = { target = "*" } })

each({
  ["http://b.test/odd"] = { target = "/odd", host = "b.test" },
  ["HTTP://b.test/odd"] = { target = "/odd", host = "b.test" },
  ["https://b.test/odd"] = { target = "/odd", host = "b.test" },
  ["http://B.test:8080/odd?x"] = { target = "/odd?x", host = "B.test:8080" },
  ["http://b.test"] = { target = "/", host = "b.test" },
  ["http://b.test?odd"] = { target = "/?odd", host = "b.test" },
  ["http://[::1]:80/odd"] = { target = "/odd", host = "[::1]:80" },
  ["http://b.test:/odd"] = { target = "/odd", host = "b.test:" },
  ["http://b.test//c.test/odd"] = { target = "//c.test/odd", host = "b.test" },
}, function(target, as)
  row("9112 3.2.2", "target " .. target, request(("GET %s HTTP/1.1"):format(target)), "pass",
    { as = as })
end)

row("9112 3.2.2", "an absolute target and no Host", "GET http://b.test/odd HTTP/1.1\r\n\r\n", 400)
row("9112 3", "a target of 9000 bytes", request(("GET /%s HTTP/1.1"):format(("x"):rep(9000))), 414)

-- --- Host (RFC 9112 3.2) -----------------------------------------------------------------

each({
  ["no Host"] = "",
  ["two Hosts"] = "Host: a.test\r\nHost: b.test\r\n",
  ["the same Host twice"] = "Host: a.test\r\nhost: a.test\r\n",
  ["an empty Host"] = "Host:\r\n",
  ["a list of Hosts"] = "Host: a.test, b.test\r\n",
  ["a space in Host"] = "Host: a.test b.test\r\n",
  ["a tab in Host"] = "Host: a\ttest\r\n",
  ["userinfo in Host"] = "Host: me@a.test\r\n",
  ["a path in Host"] = "Host: a.test/odd\r\n",
  ["a query in Host"] = "Host: a.test?odd\r\n",
  ["a fragment in Host"] = "Host: a.test#odd\r\n",
  ["a scheme in Host"] = "Host: http://a.test\r\n",
  ["a backslash in Host"] = "Host: a.test\\odd\r\n",
  ["a port of letters"] = "Host: a.test:x\r\n",
  ["a signed port"] = "Host: a.test:+80\r\n",
  ["a port that is too large"] = "Host: a.test:65536\r\n",
  ["a port that is far too large"] = "Host: a.test:4294967376\r\n",
  ["two ports"] = "Host: a.test:80:80\r\n",
  ["a port alone"] = "Host: :80\r\n",
  ["two dots in Host"] = "Host: a..test\r\n",
  ["an open bracket in Host"] = "Host: [::1\r\n",
  ["empty brackets in Host"] = "Host: []\r\n",
  ["letters behind brackets"] = "Host: [::1]x\r\n",
  ["NUL in Host"] = "Host: a.test\0\r\n",
  ["high bytes in Host"] = "Host: \195\164.test\r\n",
  ["quotes in Host"] = "Host: \"a.test\"\r\n",
  ["angle brackets in Host"] = "Host: <a.test>\r\n",
  ["a folded Host"] = "Host:\r\n a.test\r\n",
  ["a space before Host's colon"] = "Host : a.test\r\n",
}, function(what, fields)
  row("9112 3.2", what, "GET /odd HTTP/1.1\r\n" .. fields .. "\r\n", 400)
end)

each({ "A.TEST", "a.test.", "a.test:", "a.test:0", "a.test:65535", "127.0.0.1",
  "[::1]", "[::1]:80", "a_b.test", "xn--4ca.test", "a%20b", "-a.test", "~!$&'()*+,;=" },
    function(host)
  row("9110 7.2", "Host " .. host, ("GET /odd HTTP/1.1\r\nHost: %s\r\n\r\n"):format(host), "pass",
    { as = { host = host } })
end)

-- --- names of fields (RFC 9110 5.1) --------------------------------------------------------

local TCHAR = "[%w!#$%%&'*+.^_`|~-]"
list.each_byte(function(char, name)
  if not char:find(TCHAR) and char ~= ":" and char ~= "\r" and char ~= "\n" then
    row("9110 5.1", name .. " in a field's name",
      request("GET /odd HTTP/1.1", "X-" .. char .. "Y: z\r\n"), 400)
  end
end)

each({
  ["no colon"] = "X-Y",
  ["no name"] = ": z",
  ["a space for a name"] = " : z",
  ["a space before the colon"] = "X-Y : z",
  ["a tab before the colon"] = "X-Y\t: z",
  ["a space before the name"] = " X-Y: z",
  ["a request line for a field"] = "GET /smuggled HTTP/1.1",
}, function(what, line)
  row("9112 5.1", "a field with " .. what, request("GET /odd HTTP/1.1", line .. "\r\n"), 400)
end)

row("9112 2.2", "a space before the first field", "GET /odd HTTP/1.1\r\n Host: a.test\r\n\r\n", 400)

-- As nginx does unless told otherwise (ignore-invalid-headers, enable-underscores-in-headers): one
-- form for a name.
each({ "!", "#", "$", "%", "&", "'", "*", "+", ".", "^", "_", "`", "|", "~", "-", "0" },
  function(char)
    local value = char:find("[-0]") and "z" or false
    row("9110 5.6.2", char .. " in a field's name",
      request("GET /odd HTTP/1.1", ("X%sY: z\r\n"):format(char)), "pass",
      { as = { has = { ["x" .. char .. "y"] = value } } })
  end)

-- --- values of fields (RFC 9110 5.5) ---------------------------------------------------------

list.each_byte(function(char, name, code)
  local head = request("GET /odd HTTP/1.1", ("X-Y: a%sb\r\n"):format(char))
  if code >= 128 and code % 13 == 0 then
    row("9110 5.5", name .. " in a field's value", head, "pass",
      { as = { has = { ["x-y"] = ("a%sb"):format(char) } } })
  elseif code == 127 or code < 32 and not char:find("[\t\r\n]") then
    row("9110 5.5", name .. " in a field's value", head, 400)
  end
end)

each({
  ["an empty value"] = { "X-Y:\r\n", "" },
  ["a value of spaces"] = { "X-Y: \t  \r\n", "" },
  ["spaces around a value"] = { "X-Y: \t z \t\r\n", "z" },
  ["no space before a value"] = { "X-Y:z\r\n", "z" },
  ["tabs and spaces within a value"] = { "X-Y: a\tb  c\r\n", "a\tb  c" },
  ["colons in a value"] = { "X-Y: :a:b:\r\n", ":a:b:" },
  ["a value in quotes"] = { "X-Y: \"a, b\\\"\"\r\n", "\"a, b\\\"\"" },
  ["an open quote"] = { "X-Y: \"a\r\n", "\"a" },
}, function(what, case)
  row("9110 5.5", what, request("GET /odd HTTP/1.1", case[1]), "pass",
    { as = { has = { ["x-y"] = case[2] } } })
end)

each({
  ["a fold with a space"] = "X-Y: a\r\n b\r\n",
  ["a fold with a tab"] = "X-Y: a\r\n\tb\r\n",
  ["a fold that is empty"] = "X-Y: a\r\n \r\n",
  ["a fold behind an empty value"] = "X-Y:\r\n z\r\n",
  ["a fold that looks like a field"] = "X-Y: a\r\n Content-Length: 5\r\n",
}, function(what, fields)
  row("9112 5.2", what, request("GET /odd HTTP/1.1", fields), 400)
end)

each({
  ["LF alone behind a field"] = "X-Y: a\nX-Z: b\r\n",
  ["CR alone behind a field"] = "X-Y: a\rX-Z: b\r\n",
  ["CR CR LF behind a field"] = "X-Y: a\r\r\n",
  ["LF CR behind a field"] = "X-Y: a\n\rX-Z: b\r\n",
  ["LF alone behind an empty value"] = "X-Y:\nX-Z: b\r\n",
  ["LF LF within a head"] = "X-Y: a\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n",
  ["CR LF LF within a head"] = "X-Y: a\r\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n",
  ["CR alone for an empty line"] = "X-Y: a\r\n\rGET /smuggled HTTP/1.1\r\nHost: a\r\n",
}, function(what, fields)
  row("9112 2.2", what, request("GET /odd HTTP/1.1", fields), 400)
end)

row("9112 2.2", "LF alone for the empty line", "GET /odd HTTP/1.1\r\nHost: a.test\r\n\n", 400)

row("6585 5", "a head of 40 kB", request("GET /odd HTTP/1.1",
  ("X-Y: %s\r\n"):format(("z"):rep(7000)):rep(6)),
  431)
row("6585 5", "150 fields", request("GET /odd HTTP/1.1", ("X-Y: z\r\n"):rep(150)), 431)
row("6585 5", "a field of 9 kB", request("GET /odd HTTP/1.1",
  ("X-Y: %s\r\n"):format(("z"):rep(9000))), 400)

-- --- fields of one connection (RFC 9110 7.6.1) --------------------------------------------------

local function without(...)
  local has = {}
  for _, name in ipairs({ ... }) do
    has[name] = false
  end
  return { as = { has = has } }
end

each({
  ["Connection names a field"] = { "Connection: X-Y\r\nX-Y: z\r\n", "x-y" },
  ["Connection names it in other letters"] = { "Connection: x-Y\r\nX-y: z\r\n", "x-y" },
  ["Connection is a list with gaps"] = { "Connection: ,, X-Y\t ,\r\nX-Y: z\r\n", "x-y" },
  ["Connection names a long field"] = { ("Connection: X-@\r\nX-@: z\r\n"):gsub("@", ("y"):rep(90)),
    "x-" .. ("y"):rep(90) },
  ["two Connections"] = { "Connection: X-A\r\nConnection: X-Y\r\nX-Y: z\r\n", "x-y" },
  ["Connection names a field that stands twice"] = { "X-Y: a\r\nConnection: X-Y\r\nX-Y: z\r\n",
    "x-y" },
  ["Keep-Alive"] = { "Keep-Alive: timeout=5\r\n", "keep-alive" },
  ["Proxy-Connection"] = { "Proxy-Connection: keep-alive\r\n", "proxy-connection" },
  ["Upgrade that Connection does not name"] = { "Upgrade: h2c\r\n", "upgrade" },
  ["Proxy"] = { "Proxy: http://b.test/\r\n", "proxy" },
  ["TE that is not trailers"] = { "TE: gzip\r\n", "te" },
  ["Trailer that Connection names"] = { "Connection: Trailer\r\nTrailer: X\r\n", "trailer" },
}, function(what, case)
  row("9110 7.6.1", what, request("GET /odd HTTP/1.1", case[1]), "pass", without(case[2]))
end)

row("9110 7.6.1", "Connection names Host", request("GET /odd HTTP/1.1", "Connection: Host\r\n"),
  "pass",
  { as = { host = "a.test" } })
row("9110 10.1.4", "TE: trailers, gzip", request("GET /odd HTTP/1.1", "TE: trailers, gzip\r\n"),
  "pass",
  { as = { has = { te = "trailers" } } })
row("9110 10.1.1", "an expectation that is not known",
  request("GET /odd HTTP/1.1", "Expect: 200-ok\r\n"), 417)
row("9110 10.1.1", "100-continue and more",
  request("GET /odd HTTP/1.1", "Expect: 100-continue, x\r\n"), 417)
row("9110 10.1.1", "an expectation for no body", request("GET /odd HTTP/1.1",
  "Expect: 100-continue\r\n"),
  "pass", without("expect"))
row("6265 5.4", "two Cookies", request("GET /odd HTTP/1.1", "Cookie: a=b\r\nCookie: c=d\r\n"),
  "pass")

-- --- HTTP/1.0 ------------------------------------------------------------------------------------

row("9112 3.2", "HTTP/1.0 without Host", "GET /odd HTTP/1.0\r\n\r\n", "pass",
  { last = true, as = { host = "" } })
row("9112 9.3", "HTTP/1.0 that asks to be kept",
  "GET /odd HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", "pass")
row("9112 9.3", "HTTP/1.0", "GET /odd HTTP/1.0\r\nHost: a.test\r\n\r\n", "pass", { last = true })
row("9112 9.6", "Connection: close", request("GET /odd HTTP/1.1", "Connection: close\r\n"), "pass",
  { last = true })
row("9112 9.6", "close among others", request("GET /odd HTTP/1.1", "Connection: x, Close\r\n"),
  "pass",
  { last = true })
row("9112 9.6", "close and keep-alive",
  request("GET /odd HTTP/1.1", "Connection: keep-alive, close\r\n"), "pass", { last = true })

return rows
