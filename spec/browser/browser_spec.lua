-- SPDX-License-Identifier: Apache-2.0
--
-- Chromium loads a page with whatever a page does, and tells what it has seen.
local certificates = require("spec.support.certificates")
local json = require("moongate.api.json")
local mg = require("moongate")
local process = require("moongate.test.process")
local program = require("spec.support.program")
local t = require("moongate.test")

local SIGTERM = 15
-- The program itself: what /usr/bin has is a script that a signal ends alone.
local CHROMIUM = "/usr/lib/chromium/chromium-headless-shell"
local SCRIPT = [[
local mg = require("moongate")
mg.route({ path = "/echo", to = "http://127.0.0.1:%d" })
mg.route({ path = "/", to = "${app}" })
]]
local PIECES = ("piece "):rep(20)

local gateway, app, server, pair

local TYPES = { css = "text/css", html = "text/html", js = "text/javascript",
  svg = "image/svg+xml" }
local FILES = {
  ["/page.html"] = certificates.read("spec/browser/page.html"),
  ["/style.css"] = "body { color: rgb(1, 2, 3); }",
  ["/module.js"] = "export const answer = 42;",
}
local IMAGE = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"></svg>'

local function answer(request, conn)
  local path = request.path
  if path == "/endless" then
    conn:write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    repeat
      mg.task.sleep("10ms")
    until not conn:write("4\r\nmore\r\n")
    request.left = true
    return { raw = "", close = true }
  elseif path == "/post" then
    return { body = #request.body .. request.body:sub(1, 200) }
  end
  local body = FILES[path] or path:find("^/image/") and IMAGE or "ok"
  return { body = body, headers = { ["Content-Type"] = TYPES[path:match("%w+$")] or "text/plain" } }
end

-- What the page has told. The browser goes on until it is ended.
local function load(url)
  local errors = {}
  local child = process.start({ CHROMIUM, "--no-sandbox", "--disable-gpu",
    "--disable-dev-shm-usage", "--no-proxy-server", "--ignore-certificate-errors",
    "--host-resolver-rules=MAP a.test 127.0.0.1", "--remote-debugging-port=0",
    "--user-data-dir=" .. certificates.folder() .. "/profile", url }, function(line)
    errors[#errors + 1] = line
  end)
  local function told()
    for _, request in ipairs(app.requests) do
      if request.path == "/result" then
        return request
      end
    end
  end
  local ok = pcall(t.wait_until, told, "the result")
  child:kill(SIGTERM)
  child:join()
  assert.is_true(ok, table.concat(errors, "\n"))
  return json.decode(told().body)
end

-- The access log, which is written in pieces, has this version for all.
local function is_logged_as(version)
  local seen = {}
  t.wait_until(function()
    for _, line in ipairs(gateway.output) do
      local entry = json.decode(line)
      seen[entry.uri] = entry.protocol
    end
    return seen["/result"] and seen["/echo"]
  end, "the access log")
  for path, logged in pairs(seen) do
    assert.equal(version, logged, path)
  end
end

describe("Chromium", function()
  setup(function()
    pair = certificates.make("pair", { san = "DNS:a.test" })
    server = program.serve({ program.PYTHON, "spec/interop/websocket_server.py" })
  end)

  before_each(function()
    gateway = t.gateway({
      workers = 2,
      upstreams = { app = answer },
      scripts = SCRIPT:format(server.port),
      args = { "--cert", pair.certificate_path, "--key", pair.key_path },
    }):start()
    app = gateway:upstream("app")
  end)

  after_each(function()
    gateway:stop()
  end)

  local function same(wanted, found)
    for name, value in pairs(wanted) do
      assert.same(value, found[name], name)
    end
  end

  local ALWAYS = { module = 42, color = "rgb(1, 2, 3)", images = 8,
    posted = "300000" .. ("x"):rep(200), many = 50, cancelled = 200,
    webSocket = { "chat", 4000, 1, 100000, 3 } }

  local function endless_was_left()
    for _, request in ipairs(app.requests) do
      if request.path == "/endless" then
        return request.left
      end
    end
  end

  it("loads a page over TLS by HTTP/2, with all that belongs to it", function()
    local result = load(("https://a.test:%d/page.html"):format(gateway.https_port))
    same(ALWAYS, result)
    same({ page = "h2", resources = { "h2" }, streamed = #PIECES .. PIECES }, result)
    t.wait_until(endless_was_left, "the end of what was cancelled")
    is_logged_as("HTTP/2.0")
  end)

  it("loads a page in clear by HTTP/1.1, with all that belongs to it", function()
    local result = load(("http://a.test:%d/page.html"):format(gateway.port))
    same(ALWAYS, result)
    same({ page = "http/1.1" }, result)
    assert.equal("http/1.1", result.resources[1])
    assert.matches("^failed: ", result.streamed) -- there is no such thing in HTTP/1.1
    t.wait_until(endless_was_left, "the end of what was cancelled")
    is_logged_as("HTTP/1.1")
  end)
end)
