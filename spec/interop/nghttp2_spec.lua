-- SPDX-License-Identifier: Apache-2.0
--
-- nghttp2's programs as clients: nghttp, with whatever the protocol lets it choose, and h2load with
-- thousands of streams, of which each must be answered.
local certificates = require("spec.support.certificates")
local program = require("spec.support.program")
local t = require("moongate.test")

local PIECE = ("0123456789abcdef"):rep(4096)
local LARGE = PIECE:rep(16) -- 1 MB

local gateway, app

local function answer(request)
  if request.path == "/large" then
    return { body = LARGE }
  elseif request.path == "/trailers" then
    return { chunks = { "a" }, trailers = { ["X-Sum"] = request.trailers["x-in"] } }
  end
  return { body = request.method .. " " .. #request.body }
end

local function start(workers)
  local server = certificates.make("server", { san = "DNS:a.test" })
  gateway = t.gateway({
    workers = workers,
    upstreams = { app = answer },
    scripts = 'require("moongate").route({ path = "/", to = "${app}" })\n',
    settings = { ["access-log-path"] = "/dev/null" },
    args = { "--cert", server.certificate_path, "--key", server.key_path },
  }):start()
  app = gateway:upstream("app")
end

local function url(scheme, path)
  return ("%s://127.0.0.1:%d%s"):format(scheme, scheme == "https" and gateway.https_port
    or gateway.port, path)
end

describe("nghttp", function()
  setup(function()
    start()
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app.requests = {}
  end)

  -- Its exit code says nothing of streams that were reset: what comes is counted.
  local function nghttp(scheme, path, ...)
    local arguments = { "nghttp", "-nv", "-y", ... }
    table.insert(arguments, url(scheme, path))
    local ran = program.run(arguments)
    assert.equal(0, ran.code, ran.output .. ran.errors)
    assert.is_nil(ran.output:find("RST_STREAM", 1, true), ran.output)
    local statuses, ends, bytes = 0, 0, 0
    for _ in ran.output:gmatch(":status: 200") do
      statuses = statuses + 1
    end
    for length in ran.output:gmatch("recv DATA frame <length=(%d+)") do
      bytes = bytes + tonumber(length)
    end
    for flags in ran.output:gmatch("recv %u+ frame <length=%d+, flags=0x(%x+), stream_id=[1-9]") do
      ends = ends + tonumber(flags, 16) % 2
    end
    return { statuses, ends }, bytes, ran.output
  end

  local UPLOAD = { "-d", certificates.write("upload", LARGE) }
  -- what: arguments; `upload`: a megabyte goes up; else one comes down
  local CASES = {
    ["a download"] = {},
    ["20 downloads at once"] = { "-m", "20", count = 20 },
    ["a download in windows of 1 KiB"] = { "-w", "10", "-W", "10" },
    ["a download in windows of 1 GiB"] = { "-w", "30", "-W", "30" },
    ["a download with padding of its own"] = { "-b", "255" },
    ["a download without a table of fields"] = { "--header-table-size=0",
      "--encoder-header-table-size=0", "-m", "3", count = 3 },
    ["a download while the table of fields changes"] = { "--header-table-size=4096",
      "--header-table-size=0", "--header-table-size=65536", "-m", "3", count = 3 },
    ["a download behind fields in many frames"] = { "--continuation", "-H", "x-y: "
      .. ("z"):rep(2000) },
    ["a download without dependencies"] = { "--no-dep" },
    ["a download without priorities"] = { "--no-rfc7540-pri" },
    ["a download that depends on others"] = { "-p", "200", "-m", "5", count = 5 },
    ["an upload"] = { upload = true },
    ["an upload of no known length"] = { "--no-content-length", upload = true },
    ["an upload with padding"] = { "-b", "100", upload = true },
    ["an upload that waits to be told"] = { "--expect-continue", upload = true },
    ["10 uploads at once"] = { "-m", "10", upload = true, count = 10 },
  }

  for what, case in pairs(CASES) do
    for _, scheme in ipairs({ "http", "https" }) do
      it(("has %s answered, %s"):format(what, scheme), function()
        local arguments, count = { unpack(case) }, case.count or 1
        for _, word in ipairs(case.upload and UPLOAD or {}) do
          table.insert(arguments, word)
        end
        local path = case.upload and "/up" or "/large"
        local seen, bytes, text = nghttp(scheme, path, unpack(arguments))
        assert.same({ count, count }, seen, text)
        assert.equal(count * (case.upload and #("POST " .. #LARGE) or #LARGE), bytes)
        assert.equal(count, #app.requests)
        for _, request in ipairs(app.requests) do
          assert.equal(case.upload and #LARGE or 0, #request.body)
        end
      end)
    end
  end

  it("has its trailers carried up, and gets some", function()
    local path = certificates.write("small", "body")
    local _, _, text = nghttp("https", "/trailers", "-d", path, "--no-content-length",
      "--trailer=x-in: from below")
    assert.matches("x%-sum: from below", text)
  end)

  it("is told of the end of a connection that may have no more requests", function()
    local text = program.run({ "nghttp", "-nv", "-m", "1100", url("http", "/") }).output
    assert.matches("recv GOAWAY.-error_code=NO_ERROR", text)
  end)
end)

describe("h2load", function()
  setup(function()
    start(3)
  end)

  teardown(function()
    gateway:stop()
  end)

  local function h2load(scheme, path, requests, ...)
    local arguments = { "h2load", "-n", tostring(requests), ... }
    table.insert(arguments, url(scheme, path))
    local ran = program.run(arguments, 60)
    local total, succeeded, failed = ran.output:match(
      "(%d+) total, %d+ started, %d+ done, (%d+) succeeded, (%d+) failed")
    local good = ran.output:match("status codes: (%d+) 2xx")
    assert.same({ requests, requests, 0, requests },
      { tonumber(total), tonumber(succeeded), tonumber(failed), tonumber(good) }, ran.output)
    return ran.output
  end

  local LOADS = {
    ["3000 streams, 100 at once"] = { 3000, "/", "-c", "6", "-m", "100" },
    ["3000 streams, one at once on each of 30 connections"] = { 3000, "/", "-c", "30", "-m", "1" },
    ["60 downloads"] = { 60, "/large", "-c", "3", "-m", "20" },
    ["60 downloads in small windows"] = { 60, "/large", "-c", "3", "-m", "20", "-w", "12", "-W",
      "14" },
    ["40 uploads"] = { 40, "/", "-c", "2", "-m", "20", "-d", certificates.write("load", LARGE) },
    ["60 downloads in large frames"] = { 60, "/large", "-c", "3", "-m", "20", "-f", "1048576" },
    ["1000 streams of fields without a table"] = { 1000, "/", "-c", "2", "-m", "50",
      "--header-table-size=0", "--encoder-header-table-size=0" },
    ["3000 requests of HTTP/1.1"] = { 3000, "/", "--h1", "-c", "6" },
    ["3000 requests of HTTP/1.1, pipelined"] = { 3000, "/", "--h1", "-c", "6", "-m", "20" },
  }

  for what, load in pairs(LOADS) do
    for _, scheme in ipairs({ "http", "https" }) do
      it(("has %s answered, %s"):format(what, scheme), function()
        h2load(scheme, load[2], load[1], unpack(load, 3))
      end)
    end
  end
end)
