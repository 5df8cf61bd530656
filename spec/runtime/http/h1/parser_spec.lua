-- SPDX-License-Identifier: Apache-2.0
local h1 = require("spec.support.h1")

local function lines(...)
  return table.concat({ ... }, "\r\n")
end

local function get(...)
  return lines("GET / HTTP/1.1", ...) .. "\r\n\r\n"
end

local function post(fields, body)
  return lines("POST / HTTP/1.1", "Host: a.test", fields) .. "\r\n\r\n" .. body
end

local function chunked(body)
  return post("Transfer-Encoding: chunked", body)
end

local function with_host(host)
  return get("Host: " .. host)
end

-- The same bytes in pieces of every size must come to the same result.
local function parse_whole_and_split(bytes, options)
  local whole = h1.parse(bytes, options)
  for step = 1, 7 do
    local split = {}
    for name, value in pairs(options or {}) do
      split[name] = value
    end
    split.step = step
    local again = h1.parse(bytes, split)
    assert.equal(whole.err, again.err)
    assert.equal(#whole, #again)
    for i, message in ipairs(whole) do
      for _, name in ipairs({ "method", "target", "host", "body", "complete", "body_len" }) do
        assert.equal(message[name], again[i][name])
      end
      assert.same(message.fields, again[i].fields)
      assert.same(message.trailer_fields, again[i].trailer_fields)
    end
  end
  return whole
end

-- name, bytes, code
local REFUSED = {
  -- framing: what could be read as two lengths
  { "Content-Length beside Transfer-Encoding", post(
    "Content-Length: 3\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"
  ), "ERR_AMBIGUOUS_FRAMING" },
  { "Transfer-Encoding beside Content-Length", post(
    "Transfer-Encoding: chunked\r\nContent-Length: 3", "3\r\nabc\r\n0\r\n\r\n"
  ), "ERR_BAD_REQUEST" },
  { "two Content-Lengths that differ", post(
    "Content-Length: 3\r\nContent-Length: 4", "abcd"
  ), "ERR_AMBIGUOUS_FRAMING" },
  { "two Content-Lengths that agree", post(
    "Content-Length: 3\r\nContent-Length: 3", "abc"
  ), "ERR_AMBIGUOUS_FRAMING" },
  { "two Transfer-Encodings", post(
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"
  ), "ERR_AMBIGUOUS_FRAMING" },
  { "chunked twice", post(
    "Transfer-Encoding: chunked, chunked", "0\r\n\r\n"
  ), "ERR_AMBIGUOUS_FRAMING" },
  { "chunked that is not last", post(
    "Transfer-Encoding: chunked, identity", "0\r\n\r\n"
  ), "ERR_AMBIGUOUS_FRAMING" },
  { "an empty Transfer-Encoding", post("Transfer-Encoding:", "0\r\n\r\n"),
    "ERR_AMBIGUOUS_FRAMING" },
  { "chunked and a comma", post("Transfer-Encoding: chunked,", "0\r\n\r\n"),
    "ERR_AMBIGUOUS_FRAMING" },
  { "Transfer-Encoding in HTTP/1.0", lines(
    "POST / HTTP/1.0", "Host: a.test", "Transfer-Encoding: chunked", "", "0", "", ""
  ), "ERR_AMBIGUOUS_FRAMING" },
  { "a coding that ends like chunked", post("Transfer-Encoding: xchunked", "0\r\n\r\n"),
    "ERR_NOT_IMPLEMENTED" },
  { "a coding before chunked", post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
    "ERR_NOT_IMPLEMENTED" },
  { "identity", post("Transfer-Encoding: identity", ""), "ERR_NOT_IMPLEMENTED" },
  { "chunked with a parameter", post("Transfer-Encoding: chunked;q=1", "0\r\n\r\n"),
    "ERR_NOT_IMPLEMENTED" },
  { "chunked in quotes", post('Transfer-Encoding: "chunked"', "0\r\n\r\n"),
    "ERR_NOT_IMPLEMENTED" },
  { "a control byte before chunked", post("Transfer-Encoding: \vchunked", "0\r\n\r\n"),
    "ERR_BAD_REQUEST" },
  { "a space before the colon", post("Transfer-Encoding : chunked", "0\r\n\r\n"),
    "ERR_BAD_REQUEST" },
  { "a folded Transfer-Encoding", post("Transfer-Encoding: chunk\r\n ed", "0\r\n\r\n"),
    "ERR_BAD_REQUEST" },
  -- Content-Length that is no number
  { "a list of lengths", post("Content-Length: 3, 3", "abc"), "ERR_BAD_REQUEST" },
  { "a signed length", post("Content-Length: +3", "abc"), "ERR_BAD_REQUEST" },
  { "a negative length", post("Content-Length: -3", "abc"), "ERR_BAD_REQUEST" },
  { "a hexadecimal length", post("Content-Length: 0x3", "abc"), "ERR_BAD_REQUEST" },
  { "a length with a space inside", post("Content-Length: 3 4", "abc"), "ERR_BAD_REQUEST" },
  { "an empty length", post("Content-Length:", ""), "ERR_BAD_REQUEST" },
  { "a length of 2^63", post("Content-Length: 9223372036854775808", ""), "ERR_BAD_REQUEST" },
  { "a length of 2^64", post("Content-Length: 18446744073709551616", ""), "ERR_BAD_REQUEST" },
  -- chunks
  { "a chunk size that ends in a bare LF", chunked("3\nabc\r\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a chunk that ends in a bare LF", chunked("3\r\nabc\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a chunk size that ends in a bare CR", chunked("3\rabc\r\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a chunk longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a chunk without its end", chunked("3\r\nabc0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a chunk size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a signed chunk size", chunked("+3\r\nabc\r\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a space before a chunk size", chunked(" 3\r\nabc\r\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a space after a chunk size", chunked("3 \r\nabc\r\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "an empty chunk size", chunked("\r\nabc\r\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a chunk size of 2^68", chunked("fffffffffffffffff\r\nabc"), "ERR_BAD_REQUEST" },
  { "a bare LF in a chunk extension", chunked("3;x\ny\r\nabc\r\n0\r\n\r\n"), "ERR_BAD_REQUEST" },
  { "a bare LF after the trailers", chunked("3\r\nabc\r\n0\r\n\n"), "ERR_BAD_REQUEST" },
  { "a Content-Length in the trailers", chunked("0\r\nContent-Length: 5\r\n\r\n"),
    "ERR_BAD_REQUEST" },
  { "a folded trailer", chunked("0\r\nX: a\r\n b\r\n\r\n"), "ERR_BAD_REQUEST" },
  -- fields
  { "an obs-fold", get("Host: a.test", "X: a", " b"), "ERR_BAD_REQUEST" },
  { "a space before the first field", get(" Host: a.test"), "ERR_BAD_REQUEST" },
  { "a space in a field name", get("Host: a.test", "X Y: a"), "ERR_BAD_REQUEST" },
  { "a field without a colon", get("Host: a.test", "X"), "ERR_BAD_REQUEST" },
  { "a field without a name", get("Host: a.test", ": a"), "ERR_BAD_REQUEST" },
  { "a field name that is no token", get("Host: a.test", "X(: a"), "ERR_BAD_REQUEST" },
  { "a NUL in a value", get("Host: a.test", "X: a\0b"), "ERR_BAD_REQUEST" },
  { "a bare CR in a value", get("Host: a.test", "X: a\rb"), "ERR_BAD_REQUEST" },
  { "a DEL in a value", get("Host: a.test", "X: a\127b"), "ERR_BAD_REQUEST" },
  { "a field that ends in a bare LF", "GET / HTTP/1.1\r\nHost: a.test\n\r\n", "ERR_BAD_REQUEST" },
  { "a request line that ends in a bare LF", "GET / HTTP/1.1\nHost: a.test\r\n\r\n",
    "ERR_BAD_REQUEST" },
  -- Host
  { "no Host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", "ERR_BAD_REQUEST" },
  { "two Hosts", get("Host: a.test", "Host: a.test"), "ERR_BAD_REQUEST" },
  { "a Host with a space", with_host("a b"), "ERR_BAD_REQUEST" },
  { "a Host with a path", with_host("a/b"), "ERR_BAD_REQUEST" },
  { "a Host with user information", with_host("u@a.test"), "ERR_BAD_REQUEST" },
  { "a Host with a backslash", with_host("a\\b"), "ERR_BAD_REQUEST" },
  { "a Host with a quote", with_host('a"b'), "ERR_BAD_REQUEST" },
  { "a Host with an empty label inside", with_host("a..test"), "ERR_BAD_REQUEST" },
  { "a Host that is only a port", with_host(":80"), "ERR_BAD_REQUEST" },
  { "a port that is no number", with_host("a.test:http"), "ERR_BAD_REQUEST" },
  { "a port above 65535", with_host("a.test:65536"), "ERR_BAD_REQUEST" },
  { "two ports", with_host("a.test:80:80"), "ERR_BAD_REQUEST" },
  { "an IPv6 address without brackets", with_host("::1"), "ERR_BAD_REQUEST" },
  { "an open bracket", with_host("[::1"), "ERR_BAD_REQUEST" },
  { "text behind a bracket", with_host("[::1]x"), "ERR_BAD_REQUEST" },
  { "empty brackets", with_host("[]"), "ERR_BAD_REQUEST" },
  { "a bad Host beside an absolute target", lines(
    "GET http://a.test/ HTTP/1.1", "Host: a b", "", ""
  ), "ERR_BAD_REQUEST" },
  -- the request line
  { "an empty Host", "GET / HTTP/1.1\r\nHost: \r\n\r\n", "ERR_BAD_REQUEST" },
  { "a target beyond ASCII", "GET /\200 HTTP/1.1\r\nHost: a\r\n\r\n", "ERR_BAD_REQUEST" },
  { "a target without a slash", "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", "ERR_BAD_REQUEST" },
  { "an absolute target with user information", lines(
    "GET http://u@a.test/ HTTP/1.1", "Host: a", "", ""
  ), "ERR_BAD_REQUEST" },
  { "an absolute target without a host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
    "ERR_BAD_REQUEST" },
  { "an absolute target of another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "ERR_BAD_REQUEST" },
  { "a star that is not for OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "ERR_BAD_REQUEST" },
  { "CONNECT with an authority", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "ERR_METHOD" },
  { "CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "ERR_METHOD" },
  { "a method in lower case", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "ERR_BAD_REQUEST" },
  { "HTTP/0.9", "GET /\r\n\r\n", "ERR_VERSION" },
  { "HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "ERR_VERSION" },
  { "HTTP/2.0 in clothes of HTTP/1", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "ERR_VERSION" },
  { "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "ERR_BAD_REQUEST" },
  { "RTSP", "OPTIONS * RTSP/1.0\r\nHost: a\r\n\r\n", "ERR_BAD_REQUEST" },
  { "ICE", "SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", "ERR_BAD_REQUEST" },
  { "a TLS handshake", "\22\3\1\2\0\1\0\1\252\3\3", "ERR_BAD_REQUEST" },
  { "an expectation that nobody knows", get("Host: a", "Expect: tea"), "ERR_EXPECTATION" },
}

describe("the parser of HTTP/1.1 requests", function()
  for _, case in ipairs(REFUSED) do
    it("refuses " .. case[1], function()
      assert.equal(case[3], parse_whole_and_split(case[2]).err)
    end)
  end

  it("reads a request without a body", function()
    local result = parse_whole_and_split(
      "GET /a?b=c HTTP/1.1\r\nHost: A.test:80\r\nX:  y \t\r\n\r\n"
    )
    assert.is_nil(result.err)
    local message = result[1]
    assert.equal("GET", message.method)
    assert.equal("/a?b=c", message.target)
    assert.equal("A.test:80", message.host)
    assert.same({ "Host: A.test:80", "X: y" }, message.fields)
    assert.equal(11, message.version)
    assert.equal(0, message.body_len)
    assert.is_true(message.complete)
    assert.is_true(message.keep_alive)
  end)

  it("reads a body of a known length", function()
    local message = parse_whole_and_split(post("Content-Length: 3", "abc"))[1]
    assert.equal(3, message.body_len)
    assert.equal("abc", message.body)
    assert.is_true(message.complete)
  end)

  it("reads chunks, drops their extensions and keeps the trailers apart", function()
    local body = '3;a="b;c"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n'
    local message = parse_whole_and_split(chunked(body))[1]
    assert.equal(-1, message.body_len)
    assert.equal("abc0123456789", message.body)
    assert.same({ "X-Sum: 1" }, message.trailer_fields)
    assert.same({ "Host: a.test", "Transfer-Encoding: chunked" }, message.fields)
  end)

  it("takes chunked in any case", function()
    assert.is_true(h1.parse(post("transfer-encoding: ChunKed", "0\r\n\r\n"))[1].complete)
  end)

  it("reads requests that follow each other without a pause", function()
    local bytes = post("Content-Length: 2", "hi")
      .. chunked("1\r\nx\r\n0\r\n\r\n")
      .. get("Host: c")
    local result = parse_whole_and_split(bytes)
    assert.equal(3, #result)
    assert.equal("hi", result[1].body)
    assert.equal("x", result[2].body)
    assert.equal("c", result[3].host)
  end)

  it("stops behind the first message", function()
    local first = post("Content-Length: 2", "hi")
    assert.equal(#first, h1.parse(first .. get("Host: b"), { only_first = true }).used)
  end)

  it("takes the authority of an absolute target for the host", function()
    local bytes = "GET HTTP://b.test:81/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n"
    local message = parse_whole_and_split(bytes)[1]
    assert.equal("b.test:81", message.host)
    assert.equal("/x?y", message.target)
  end)

  it("takes a fragment off the target", function()
    assert.equal("/a", parse_whole_and_split("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n")[1].target)
  end)

  it("gives an absolute target without a path the path /", function()
    local bytes = "GET http://b.test?y HTTP/1.1\r\nHost: a.test\r\n\r\n"
    assert.equal("/?y", parse_whole_and_split(bytes)[1].target)
    bytes = "GET http://b.test HTTP/1.1\r\nHost: a.test\r\n\r\n"
    assert.equal("/", parse_whole_and_split(bytes)[1].target)
  end)

  local hosts = { "a", "a.test.", "a_b.test:", "[::1]", "[::ffff:1.2.3.4]:443", "1.2.3.4" }
  for _, host in ipairs(hosts) do
    it(("takes the Host '%s'"):format(host), function()
      local result = h1.parse(with_host(host))
      assert.is_nil(result.err)
      assert.equal(host, result[1].host)
    end)
  end

  it("does without a Host in HTTP/1.0, and closes", function()
    local message = h1.parse("GET / HTTP/1.0\r\n\r\n")[1]
    assert.equal("", message.host)
    assert.equal(10, message.version)
    assert.is_false(message.keep_alive)
  end)

  it("sees what Connection says", function()
    assert.is_false(h1.parse(get("Host: a", "Connection: close"))[1].keep_alive)
    local old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert.is_true(h1.parse(old)[1].keep_alive)
  end)

  it("sees an upgrade and leaves what follows it", function()
    local head = get("Host: a", "Connection: Upgrade", "Upgrade: websocket")
    local result = h1.parse(head .. "\129\0", { only_first = true })
    assert.is_true(result[1].upgrade)
    assert.equal(#head, result.used)
  end)

  it("sees that a client waits for 100 Continue", function()
    local head = lines("POST / HTTP/1.1", "Host: a", "Expect: 100-Continue", "Content-Length: 1")
    assert.is_true(h1.parse(head .. "\r\n\r\nx")[1].expect_continue)
  end)

  it("limits the fields' bytes, whatever they are split into", function()
    local bytes = get("Host: a", "X: " .. ("y"):rep(200))
    assert.equal("ERR_HEADERS_TOO_LARGE", parse_whole_and_split(bytes, { head_bytes = 200 }).err)
    assert.is_nil(h1.parse(bytes, { head_bytes = 220 }).err)
  end)

  it("limits the number of fields, trailers each on their own", function()
    local bytes = get("Host: a", "X: 1", "X: 2")
    assert.equal("ERR_HEADERS_TOO_LARGE", h1.parse(bytes, { fields = 2 }).err)
    assert.is_nil(h1.parse(bytes, { fields = 3 }).err)
    local trailers = chunked("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n")
    assert.equal("ERR_HEADERS_TOO_LARGE", h1.parse(trailers, { fields = 2 }).err)
    assert.is_nil(h1.parse(trailers, { fields = 3 }).err)
  end)

  it("passes over odd names as it is told, in trailers too", function()
    local names = { "x-a", "x_a", "x.a" }
    local fields = "x-a: 1\r\nx_a: 2\r\nx.a: 3"
    local bytes = post("Transfer-Encoding: chunked\r\n" .. fields, "0\r\n" .. fields .. "\r\n\r\n")
    for drop, kept in pairs({ [0] = { 1, 2, 3 }, { 1, 3 }, { 1, 2 }, { 1 } }) do
      local message = parse_whole_and_split(bytes, { drop_names = drop })[1]
      local wanted, found = {}, {}
      for i, at in ipairs(kept) do
        wanted[i] = names[at]
      end
      for _, field in ipairs(message.trailer_fields) do
        found[#found + 1] = field:match("^[^:]+")
      end
      assert.same(wanted, found)
      assert.equal(#wanted + 2, #message.fields)
    end
  end)

  it("limits the target", function()
    local bytes = "GET /" .. ("x"):rep(99) .. " HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal("ERR_TARGET_TOO_LONG", parse_whole_and_split(bytes, { target_bytes = 99 }).err)
    assert.is_nil(h1.parse(bytes, { target_bytes = 100 }).err)
  end)

  it("limits what chunk extensions add up to", function()
    local chunk = "1;" .. ("x"):rep(60) .. "\r\na\r\n"
    local result = h1.parse(chunked(chunk:rep(20) .. "0\r\n\r\n"), { head_bytes = 1000 })
    assert.equal("ERR_HEADERS_TOO_LARGE", result.err)
  end)

  it("calls a request that ends early broken", function()
    assert.equal("ERR_CLIENT_GONE", h1.parse("GET / HT", { finish = true }).err)
    local cut = post("Content-Length: 5", "abc")
    assert.equal("ERR_CLIENT_GONE", h1.parse(cut, { finish = true }).err)
    assert.is_nil(h1.parse(get("Host: a"), { finish = true }).err)
  end)
end)

local function response(...)
  return lines("HTTP/1.1 200 OK", ...) .. "\r\n\r\n"
end

local RESPONSES_REFUSED = {
  { "two lengths", response("Content-Length: 3", "Content-Length: 3") .. "abc" },
  { "a length and chunks", response("Content-Length: 3", "Transfer-Encoding: chunked") },
  { "a coding other than chunked", response("Transfer-Encoding: gzip") },
  { "a coding before chunked", response("Transfer-Encoding: gzip, chunked") },
  { "bare LFs", "HTTP/1.1 200 OK\nContent-Length: 0\n\n" },
  { "HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n" },
  { "HTTP/0.9", "HTTP/0.9 200 OK\r\n\r\n" },
  { "RTSP", "RTSP/1.0 200 OK\r\n\r\n" },
  { "ICY", "ICY 200 OK\r\n\r\n" },
  { "a status below 100", "HTTP/1.1 099 OK\r\n\r\n" },
  { "a status of two digits", "HTTP/1.1 20 OK\r\n\r\n" },
  { "an obs-fold", response("X: a", " b") },
  { "a bad field name", response("X Y: a") },
  { "an answer larger than the limit", response("X: " .. ("y"):rep(40000)),
    "ERR_UPSTREAM_HEAD_TOO_LARGE" },
}

describe("the parser of HTTP/1.1 responses", function()
  for _, case in ipairs(RESPONSES_REFUSED) do
    it("calls " .. case[1] .. " the upstream's fault", function()
      assert.equal(case[3] or "ERR_UPSTREAM_PROTOCOL",
        parse_whole_and_split(case[2], { response = true }).err)
    end)
  end

  it("reads a body of a known length", function()
    local bytes = response("Content-Length: 3") .. "abc"
    local message = parse_whole_and_split(bytes, { response = true })[1]
    assert.equal(200, message.status)
    assert.equal("abc", message.body)
    assert.is_true(message.complete)
  end)

  it("takes a status line without a reason", function()
    local bytes = "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n"
    assert.equal(404, h1.parse(bytes, { response = true })[1].status)
  end)

  it("reads a body until the end of the connection", function()
    local options = { response = true, finish = true }
    local result = parse_whole_and_split(response("X: y") .. "abc", options)
    assert.is_nil(result.err)
    assert.equal("abc", result[1].body)
    assert.equal(-1, result[1].body_len)
    assert.is_true(result[1].complete)
    assert.is_false(result[1].keep_alive)
  end)

  it("calls a body that ends early broken", function()
    local options = { response = true, finish = true }
    local cut = response("Content-Length: 5") .. "abc"
    assert.equal("ERR_UPSTREAM_CLOSED", h1.parse(cut, options).err)
    local chunks = response("Transfer-Encoding: chunked") .. "3\r\nabc\r\n"
    assert.equal("ERR_UPSTREAM_CLOSED", h1.parse(chunks, options).err)
  end)

  it("reads interim answers before the final one", function()
    local bytes = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" .. response("Content-Length: 0")
    local result = parse_whole_and_split(bytes, { response = true })
    assert.equal(2, #result)
    assert.equal(103, result[1].status)
    assert.equal(200, result[2].status)
  end)

  it("takes no body behind HEAD, whatever the length says", function()
    local bytes = response("Content-Length: 100")
    local result = parse_whole_and_split(bytes, { response = true, skip_body = true })
    assert.is_true(result[1].complete)
    assert.equal("", result[1].body)
  end)
end)
