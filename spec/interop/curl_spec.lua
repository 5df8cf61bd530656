-- SPDX-License-Identifier: Apache-2.0
--
-- curl as the client: each request over HTTP/1.1 and HTTP/2, plain and over TLS.
local certificates = require("spec.support.certificates")
local program = require("spec.support.program")
local t = require("moongate.test")

local CHUNK = ("0123456789abcdef"):rep(1024)
local LARGE_CHUNKS = 320 -- 5 MB
local SIZES = { ["/large"] = 1, ["/huge"] = 4 }

local WAYS = {
  ["HTTP/1.0"] = { flags = { "--http1.0" }, version = "1.1", ends = true },
  ["HTTP/1.1"] = { flags = { "--http1.1" }, version = "1.1" },
  ["HTTP/1.1 that offers h2c"] = { flags = { "--http2" }, version = "1.1" },
  -- curl 7.88 cannot use such a connection twice (its issue 10634).
  ["HTTP/2 by prior knowledge"] = { flags = { "--http2-prior-knowledge" }, version = "2",
    once = true },
  ["HTTP/1.1 over TLS"] = { flags = { "--http1.1" }, version = "1.1", tls = true },
  ["HTTP/2 over TLS"] = { flags = { "--http2" }, version = "2", tls = true },
}

local gateway, app, ca

local function answer(request)
  local chunks = {}
  local times = SIZES[request.path]
  if times then
    for i = 1, times * LARGE_CHUNKS do
      chunks[i] = CHUNK
    end
    return { chunks = chunks }
  elseif request.path == "/trailers" then
    local headers = { Trailer = "X-Sum" }
    return { chunks = { "a", "b" }, headers = headers, trailers = { ["X-Sum"] = "ab" } }
  elseif request.path == "/early" then
    return { interim = { 103 }, body = "late" }
  elseif request.path == "/headers" then
    return { headers = { ["X-Back"] = request:header("x-long") }, body = "" }
  elseif request.path == "/empty" then
    return { status = 204 }
  end
  return { body = request.method .. " " .. request.target .. " " .. request.body }
end

-- What curl prints: the body, a line of dashes, and a line `version status connects` a transfer.
local function curl(way, paths, ...)
  local arguments = { "curl", "-sS", "--cacert", ca.certificate_path, "-w",
    "\n-- %{http_version} %{http_code} %{num_connects}\n", unpack(way.flags) }
  for _, word in ipairs({ ... }) do
    table.insert(arguments, word)
  end
  local port = way.tls and gateway.https_port or gateway.port
  table.insert(arguments, "--resolve")
  table.insert(arguments, ("a.test:%d:127.0.0.1"):format(port))
  for _, path in ipairs(paths) do
    table.insert(arguments, ("%s://a.test:%d%s"):format(way.tls and "https" or "http", port, path))
  end
  local ran = program.run(arguments)
  assert.equal(0, ran.code, ran.errors)
  return ran.output
end

local function said(way, status, body, connects)
  return ("%s\n-- %s %d %d"):format(body, way.version, status, connects or 1)
end

local function last_request()
  return app:request(#app.requests)
end

-- Files of `megabytes`, made once.
local function file_of(megabytes)
  local path = ("%s/%d-megabytes"):format(certificates.folder(), megabytes)
  return certificates.write(path:match("[^/]+$"), CHUNK:rep(64 * megabytes)), megabytes * 1048576
end

describe("curl, by", function()
  setup(function()
    ca = certificates.make("ca", { ca = true })
    local server = certificates.make("server", { san = "DNS:a.test", issuer = ca })
    gateway = t.gateway({
      upstreams = { app = answer },
      scripts = 'require("moongate").route({ path = "/", to = "${app}" })\n',
      settings = { ["proxy-body-size"] = "64m" },
      args = { "--cert", server.certificate_path, "--key", server.key_path },
    }):start()
    app = gateway:upstream("app")
  end)

  teardown(function()
    gateway:stop()
  end)

  for name, way in pairs(WAYS) do
    it(name .. " gets a page", function()
      assert.equal(said(way, 200, "GET /a?b=c "), curl(way, { "/a?b=c" }))
      assert.equal(said(way, 204, ""), curl(way, { "/empty" }))
    end)

    it(name .. " gets a head alone", function()
      local text = curl(way, { "/a" }, "--head")
      assert.matches("^HTTP/[%d.]+ 200", text)
      assert.matches("content%-length: 8", text:lower())
    end)

    it(name .. " sends a form", function()
      local text = curl(way, { "/form" }, "-d", "a=b", "-d", "c=d")
      assert.equal(said(way, 200, "POST /form a=b&c=d"), text)
    end)

    it(name .. " uploads a file of known length, once it is told to go on", function()
      local path, size = file_of(3)
      curl(way, { "/put" }, "-T", path, "-o", "/dev/null", "-H", "Expect: 100-continue",
        "--expect100-timeout", "60")
      assert.equal(size, #last_request().body)
      assert.equal(tostring(size), last_request():header("content-length"))
    end)

    if not way.ends then
      it(name .. " uploads a file of unknown length", function()
        local path, size = file_of(3)
        curl(way, { "/put" }, "-T", path, "-o", "/dev/null", "-H", "Transfer-Encoding: chunked")
        assert.equal(size, #last_request().body)
        assert.is_nil(last_request():header("content-length"))
      end)

      it(name .. " gets trailers", function()
        local text = curl(way, { "/trailers" }, "-D", "-", "-H", "TE: trailers")
        assert.matches("ab.*x%-sum: ab", text:lower())
      end)
    end

    if not way.ends and not way.once then
      it(name .. " uses a connection again", function()
        local text = curl(way, { "/1", "/2", "/3" })
        assert.equal(said(way, 200, "GET /1 ", 1) .. "\n" .. said(way, 200, "GET /2 ", 0) .. "\n"
          .. said(way, 200, "GET /3 ", 0), text)
      end)
    end

    it(name .. " downloads 5 MB", function()
      local path = certificates.folder() .. "/down"
      curl(way, { "/large" }, "-o", path)
      assert.is_true(certificates.read(path) == CHUNK:rep(LARGE_CHUNKS))
    end)

    it(name .. " downloads no faster than it wants", function()
      local text = curl(way, { "/huge" }, "-o", "/dev/null", "--limit-rate", "40M", "-w",
        "%{size_download} %{time_total}")
      local size, took = text:match("^(%d+) ([%d.]+)$")
      assert.equal(tostring(#CHUNK * LARGE_CHUNKS * SIZES["/huge"]), size)
      -- curl may take 10 MB before it looks at its clock: the other 10 MB take 0.25 s.
      assert.is_true(tonumber(took) >= 0.15, took)
    end)

    it(name .. " carries long fields", function()
      local long = ("long "):rep(1200) .. "field"
      local text = curl(way, { "/headers" }, "-i", "-H", "X-Long: " .. long)
      assert.matches("[Xx]%-[Bb]ack: " .. long, text)
    end)

    it(name .. " takes early hints for what they are", function()
      assert.equal(said(way, 200, "late"), curl(way, { "/early" }))
    end)
  end

  it("HTTP/2 over TLS asks for 60 pages at once on one connection", function()
    app.requests = {}
    local text = curl(WAYS["HTTP/2 over TLS"], { "/[1-60]" }, "--parallel", "--parallel-max", "60")
    local connects, answered, targets = 0, 0, {}
    for count in text:gmatch("\n%-%- 2 200 (%d+)") do
      connects, answered = connects + tonumber(count), answered + 1
    end
    for _, request in ipairs(app.requests) do
      targets[request.target] = true
    end
    assert.same({ 1, 60, 60 }, { connects, answered, #app.requests })
    assert.is_true(targets["/1"] and targets["/60"])
  end)
end)
