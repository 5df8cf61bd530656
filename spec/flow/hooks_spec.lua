-- SPDX-License-Identifier: Apache-2.0
--
-- Hooks on real connections: each may wait, answer or fail, and harms its own request alone.
local mg = require("moongate")
local t = require("moongate.test")

-- One plugin that does in each hook what the request's fields say: `X-Sleep: access log` and so on.
local PROBE = [[
local mg = require("moongate")
mg.route({ host = "*", path = "/", to = "${app}" })

local kept

-- Ways to wait with a function of C in between, which cannot be left.
local ODD = {
  gsub = function(wait) ("x"):gsub(".", wait) end,
  sort = function(wait) table.sort({ 1, 2 }, wait) end,
  coroutine = function(wait) ("x"):gsub(".", function() coroutine.wrap(wait)() end) end,
  finalizer = function(wait)
    getmetatable(newproxy(true)).__gc = wait
    collectgarbage()
  end,
}

local function act_oddly(ctx, way)
  local ok, err = pcall(ODD[way], function() mg.task.sleep("20ms") end)
  ctx.log:info("oddly", { path = ctx.request.path, ok = tostring(ok), error = tostring(err) })
  mg.task.sleep("60ms")
end

local function wants(ctx, what, hook)
  local hooks = ctx.request:header("x-" .. what)
  return hooks and (" " .. hooks .. " "):find(" " .. hook .. " ", 1, true)
end

local function act(ctx, hook)
  if wants(ctx, "sleep", hook) then
    ctx.log:info("waits", { path = ctx.request.path, hook = hook })
    mg.task.sleep(ctx.request:header("x-sleep-for") or "20ms")
  end
  if wants(ctx, "fail", hook) then error("asked to fail in " .. hook) end
  if wants(ctx, "respond", hook) then ctx:respond(299, "from " .. hook) end
  if wants(ctx, "abort", hook) then ctx:abort("asked to") end
end

local function tell(ctx, event, extra)
  extra.path, extra.which = ctx.request.path, ctx.request:header("x-which")
  ctx.log:info(event, extra)
end

local function body(hook)
  return function(ctx, _, chunk, last)
    act(ctx, hook)
    if ctx.request:header("x-tell") then
      tell(ctx, hook, { chunk = chunk, last = tostring(last) })
    end
    if wants(ctx, "upper", hook) then return chunk:upper() end
    if wants(ctx, "swallow", hook) then return last and "[end]" or "" end
    if wants(ctx, "double", hook) then return chunk .. chunk end
    if wants(ctx, "number", hook) then return 5 end
  end
end

return mg.plugin({
  name = "probe",
  init = function() mg.log.info("probe_began", {}) end,
  unload = function() mg.log.info("probe_ended", {}) end,
  rewrite = function(ctx) act(ctx, "rewrite") end,
  access = function(ctx)
    act(ctx, "access")
    if ctx.request:header("x-odd") then act_oddly(ctx, ctx.request:header("x-odd")) end
    if wants(ctx, "respond-oddly", "access") then
      pcall(ODD.gsub, function() ctx:respond(299, "from access") end)
    end
    if wants(ctx, "body-in-task", "access") then
      local _, err = mg.task.join(mg.task.spawn(function() return ctx.request:body(1000) end))
      ctx.upstream:set_header("x-seen", (err:match("[^\n]+"):gsub("^.-: ", "")))
    end
    if wants(ctx, "body", "access") then
      local text, err, code = ctx.request:body(1000)
      ctx.upstream:set_header("x-seen", text and #text .. " bytes" or code)
    end
  end,
  upstream_request = function(ctx) act(ctx, "upstream_request") end,
  request_body = body("request_body"),
  response = function(ctx)
    act(ctx, "response")
    if wants(ctx, "body", "response") then
      local text, err, code = ctx.response:body(1000)
      ctx.response:set_header("x-seen", text and #text .. " bytes" or code)
    end
    local status = ctx.request:header("x-set-status")
    if status then ctx.response:set_status(tonumber(status)) end
    local new = ctx.request:header("x-set-body")
    if new then ctx.response:set_body(new) end
    if wants(ctx, "sleep", "after") then mg.task.sleep("20ms") end
  end,
  response_body = body("response_body"),
  log = function(ctx)
    if ctx.request:header("x-keep") then kept = ctx end
    if ctx.request:header("x-use-kept") then
      local ok, err = pcall(function() return kept.request:header("host") end)
      tell(ctx, "kept", { ok = tostring(ok), error = tostring(err) })
    end
    act(ctx, "log")
    tell(ctx, "ended", { status = ctx.response.status, source = ctx.response.source,
      error = ctx.response.error })
  end,
})
]]

local HOOKS = { "rewrite", "access", "upstream_request", "request_body", "response",
  "response_body", "log" }

describe("a hook", function()
  local gateway, app, client, number

  setup(function()
    number = 0
    gateway = t.gateway({ scripts = PROBE, upstreams = { app = true },
      settings = { ["client-header-timeout"] = "300ms" } }):start()
    app = gateway:upstream("app")
  end)

  teardown(function()
    gateway:stop()
  end)

  before_each(function()
    app:answer(nil)
    app.requests = {}
    client = gateway:client()
  end)

  after_each(function()
    client:close()
  end)

  -- Every request of this spec has a path of its own, by which its log lines are found.
  local function path()
    number = number + 1
    return "/" .. number
  end

  local function logged(event, of)
    local found = {}
    for _, entry in ipairs(gateway:logs(event)) do
      if entry.path == of then
        found[#found + 1] = entry
      end
    end
    return found
  end

  -- A further request that is over shows that nothing more comes of the one before it.
  local function settle()
    local of = path()
    local other = gateway:client()
    other:get(of)
    other:close()
    t.wait_until(function()
      return #logged("ended", of) > 0
    end, "the log hook of another request")
  end

  local function ends_once(of)
    t.wait_until(function()
      return #logged("ended", of) > 0
    end, "the log hook of " .. of)
    settle()
    local found = logged("ended", of)
    assert.are.equal(1, #found)
    return found[1]
  end

  local function post(headers, of, body)
    return client:request({ method = "POST", path = of or path(), headers = headers,
      body = body or "body" })
  end

  for _, hook in ipairs(HOOKS) do
    it(("may wait in %s while others are served"):format(hook), function()
      local of = path()
      local response = post({ ["X-Sleep"] = hook }, of)
      assert.are.equal(200, response.status)
      assert.are.equal("body", response.body)
      ends_once(of)
      assert.are.equal("body", post(nil).body)
      assert.are.equal(1, client.connections)
    end)

    it(("that fails in %s harms that request alone"):format(hook), function()
      local failed = #gateway:logs("plugin_failed")
      local of = path()
      local response = post({ ["X-Fail"] = hook }, of)
      if hook == "request_body" or hook == "response_body" then
        assert.is_true(response == nil or response.error ~= nil) -- cut: never half a body
      else
        assert.are.equal(200, response.status) -- a plugin that protects nothing fails open
      end
      local entry = gateway:wait_log("plugin_failed", failed + 1)
      assert.are.equal("probe", entry.plugin)
      assert.are.equal(hook, entry.hook)
      assert.truthy(entry.error:find("asked to fail in " .. hook, 1, true))
      if hook ~= "log" then
        ends_once(of)
      end
      assert.are.equal(200, post(nil).status)
    end)
  end

  it("may wait in all of them", function()
    local of = path()
    local response = post({ ["X-Sleep"] = table.concat(HOOKS, " ") }, of)
    assert.are.equal("body", response.body)
    assert.are.equal("200", tostring(ends_once(of).status))
  end)

  for _, sleeps in ipairs({ "", "waits" }) do
    for i = 1, 5 do -- those before the head is out
      local hook = HOOKS[i]
      it(("answers itself from %s %s"):format(hook, sleeps), function()
        local of = path()
        local response =
          post({ ["X-Respond"] = hook, ["X-Sleep"] = sleeps ~= "" and hook or nil }, of)
        assert.are.equal(299, response.status)
        assert.are.equal("from " .. hook, response.body)
        assert.are.equal("plugin", ends_once(of).source)
        assert.are.equal("body", post(nil).body)
      end)
    end

    for i = 1, 6 do
      local hook = HOOKS[i]
      it(("cuts the connection from %s %s"):format(hook, sleeps), function()
        local of = path()
        local response =
          post({ ["X-Abort"] = hook, ["X-Sleep"] = sleeps ~= "" and hook or nil }, of)
        assert.is_true(response == nil or response.error ~= nil)
        ends_once(of)
        assert.are.equal("body", post(nil).body)
      end)
    end
  end

  for _, way in ipairs({ "gsub", "sort", "coroutine", "finalizer" }) do
    it(("may not wait within a %s, and waits well behind it"):format(way), function()
      local of = path()
      local response = post({ ["X-Odd"] = way }, of)
      assert.are.equal(200, response and response.status)
      local found = logged("oddly", of)
      assert.are.equal(1, #found)
      if way ~= "finalizer" then -- whose errors go nowhere
        assert.are.equal("false", found[1].ok)
        assert.truthy(found[1].error:find("nothing may wait or answer here", 1, true))
      end
      ends_once(of)
    end)
  end

  it("has answered where nothing could be left, too", function()
    local of = path()
    local response = post({ ["X-Respond-Oddly"] = "access" }, of)
    assert.are.equal(299, response.status)
    assert.are.equal("from access", response.body)
    ends_once(of)
  end)

  it("cannot answer from response_body, where the head is out", function()
    local failed = #gateway:logs("plugin_failed")
    local response = post({ ["X-Respond"] = "response_body" })
    assert.is_true(response == nil or response.error ~= nil)
    assert.truthy(gateway:wait_log("plugin_failed", failed + 1).error:find("on its way", 1, true))
  end)

  -- --- bodies ------------------------------------------------------------------

  it("replaces the chunks of a request", function()
    assert.are.equal("SOME BODY", post({ ["X-Upper"] = "request_body" }, nil, "some body").body)
    assert.are.equal("abab", post({ ["X-Double"] = "request_body" }, nil, "ab").body)
    assert.are.equal("[end]", post({ ["X-Swallow"] = "request_body" }, nil, "ab").body)
  end)

  it("replaces the chunks of a response, whatever length was announced", function()
    app:answer({ body = "some body" })
    assert.are.equal("SOME BODY", client:get(path(), { ["X-Upper"] = "response_body" }).body)
    local response = client:get(path(), { ["X-Double"] = "response_body" })
    assert.are.equal("some bodysome body", response.body)
    assert.is_nil(response:header("content-length"))
    assert.are.equal("[end]", client:get(path(), { ["X-Swallow"] = "response_body" }).body)
    assert.are.equal(1, client.connections)
  end)

  it("replaces the chunks of the gateway's and a plugin's own answers", function()
    local response = client:get(path(),
      { ["X-Respond"] = "access", ["X-Double"] = "response_body" })
    assert.are.equal("from accessfrom access", response.body)
    response = client:get(path(), { ["X-Set-Body"] = "new", ["X-Double"] = "response_body" })
    assert.are.equal("newnew", response.body)
    assert.are.equal("ok", client:get(path()).body)
    assert.are.equal(1, client.connections)
  end)

  it("that returns no text from a body hook cuts the body", function()
    local response = client:request({ path = path(), headers = { ["X-Number"] = "response_body" } })
    assert.is_true(response == nil or response.error ~= nil)
  end)

  -- All chunks come in one read, so that later ones arrive while the hook waits for the first.
  for _, case in ipairs({
    { what = "as they are", wanted = "onetwothree" },
    { what = "in upper case", headers = { ["X-Upper"] = "request_body" }, wanted = "ONETWOTHREE" },
    { what = "doubled", headers = { ["X-Double"] = "request_body" } },
  }) do
    it(("sees chunks that come while it waits, %s"):format(case.what), function()
      local headers = { ["X-Sleep"] = "request_body", ["X-Tell"] = "1", Host = "a" }
      for name, value in pairs(case.headers or {}) do
        headers[name] = value
      end
      local of = path()
      local head, pieces = t.http1.request({ method = "POST", path = of, headers = headers,
        chunks = { "one", "two", "three" } })
      local conn = client:raw()
      conn:write(head .. table.concat(pieces))
      local response = t.http1.read_response(conn)
      local seen = ""
      for _, entry in ipairs(logged("request_body", of)) do
        seen = seen .. entry.chunk
      end
      assert.are.equal("onetwothree", seen)
      if case.wanted then
        assert.are.equal(case.wanted, response.body)
      else
        assert.are.equal(#seen * 2, #response.body)
      end
    end)
  end

  it("sees every byte of a large body in order, in both directions, when it waits", function()
    local parts = {}
    for i = 1, 20000 do
      parts[i] = ("%09d\n"):format(i)
    end
    local text = table.concat(parts)
    app:answer(function(request)
      return { body = request.body }
    end)
    local response = post({ ["X-Sleep"] = "request_body response_body" }, nil, text)
    assert.is_true(response.body == text)
  end)

  it("keeps order when the response begins while request_body waits", function()
    local eager = gateway:upstream("app")
    eager.eager = true
    eager:answer({ chunks = { "early ", "answer" } })
    for _ = 1, 20 do
      local of = path()
      local response = client:request({ method = "POST", path = of, chunks = { "a", "b" },
        headers = { ["X-Sleep"] = "request_body response" } })
      assert.are.equal(200, response.status)
      assert.is_nil(response.error)
      assert.are.equal("early answer", response.body)
      ends_once(of)
    end
    eager.eager = false
  end)

  it("reads the whole body of a request, which goes on from memory", function()
    local response = post({ ["X-Body"] = "access" }, nil, ("x"):rep(900))
    assert.are.equal(900, #response.body)
    assert.are.equal("900 bytes", app:request(1):header("x-seen"))
    response = post({ ["X-Body"] = "access" }, nil, ("x"):rep(1001))
    assert.are.equal(1001, #response.body)
    assert.are.equal("body_too_large", app:request(2):header("x-seen"))
  end)

  it("reads a body itself: no task of its own may", function()
    local response = post({ ["X-Body-In-Task"] = "access" })
    assert.are.equal(200, response and response.status)
    assert.are.equal("a body is read in the hooks of its own request only",
      app:request(1):header("x-seen"))
  end)

  it("reads the whole body of a response, and may replace it", function()
    app:answer({ chunks = { "one ", "two" }, pause = "10ms" })
    local response = client:get(path(), { ["X-Body"] = "response" })
    assert.are.equal("one two", response.body)
    assert.are.equal("7 bytes", response:header("x-seen"))
    response = client:get(path(), { ["X-Body"] = "response", ["X-Set-Body"] = "new" })
    assert.are.equal("new", response.body)
    app:answer({ body = ("x"):rep(5000) })
    response = client:get(path(), { ["X-Body"] = "response" })
    assert.are.equal("body_too_large", response:header("x-seen"))
    assert.are.equal(5000, #response.body)
  end)

  it("replaces a body that is still coming", function()
    app:answer({ chunks = { "one ", "two ", "three" }, pause = "5ms" })
    local response = client:get(path(), { ["X-Set-Body"] = "new", ["X-Sleep"] = "after" })
    assert.are.equal("new", response.body)
    app:answer(nil)
    assert.are.equal("ok", client:get(path()).body)
  end)

  it("answers instead of a response that is still coming, to a request that is as well", function()
    app.eager = true
    app:answer({ chunks = { "one ", "two ", "three" }, pause = "5ms" })
    local head = t.http1.request({ method = "POST", path = path(),
      headers = { ["X-Respond"] = "response", ["Content-Length"] = 10, Host = "a" } })
    local conn = client:raw()
    conn:write(head .. "12345")
    mg.task.sleep("30ms")
    conn:write("67890")
    local response = t.http1.read_response(conn)
    app.eager = false
    assert.are.equal("from response", response.body)
  end)

  for _, status in ipairs({ "204", "304" }) do
    it(("sends no body with a status of %s that it has set"):format(status), function()
      local response = client:get(path(), { ["X-Set-Status"] = status })
      assert.are.equal(tonumber(status), response.status)
      assert.are.equal("ok", client:get(path()).body)
      assert.are.equal(1, client.connections)
      client:get(path(), { ["X-Set-Status"] = status, ["X-Set-Body"] = "text" })
      assert.are.equal("ok", client:get(path()).body)
    end)
  end

  -- --- the log hook --------------------------------------------------------------

  it("logs once: a request whose backend fails", function()
    local of = path()
    app:answer({ reset = true })
    assert.are.equal(502, post(nil, of).status)
    local entry = ends_once(of)
    assert.are.equal("gateway", entry.source)
    assert.are.equal("upstream_closed", entry.error)
  end)

  it("logs once: a backend that fails while the response hook waits", function()
    local of = path()
    app:answer({ raw = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", close = true })
    local response = post({ ["X-Sleep"] = "response" }, of)
    assert.are.equal(502, response.status)
    ends_once(of)
  end)

  it("logs once: a client that leaves while the backend is slow", function()
    local of = path()
    app:answer({ hold = true })
    local conn = client:raw()
    conn:write(("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(of))
    local request = app:request(1)
    app:answer(nil)
    conn:reset()
    assert.are.equal("499", tostring(ends_once(of).status))
    t.wait_until(function()
      return request.abandoned
    end, "the backend's connection to end")
  end)

  for _, hook in ipairs(HOOKS) do
    it(("logs once: a client that leaves while %s waits"):format(hook), function()
      local of = path()
      local conn = client:raw()
      conn:write(t.http1.request({ method = "POST", path = of, headers = { Host = "a",
        ["X-Sleep"] = hook, ["X-Sleep-For"] = "500ms", ["Content-Length"] = 4 } }) .. "body")
      t.wait_until(function()
        return #logged("waits", of) > 0
      end, hook .. " to wait")
      assert.are.equal(0, #logged("ended", of))
      conn:reset()
      ends_once(of)
      assert.are.equal(hook, logged("waits", of)[1].hook)
    end)
  end

  it("logs once: a request without a path through the gateway", function()
    local before = #gateway:logs("ended")
    local conn = client:raw()
    conn:write("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert.are.equal(400, t.http1.read_response(conn).status)
    local broken = gateway:client():raw()
    broken:write("SSH-2.0-OpenSSH\r\n\r\n")
    assert.are.equal(400, t.http1.read_response(broken).status)
    gateway:wait_log("ended", before + 2)
    settle()
    assert.are.equal(before + 3, #gateway:logs("ended"))
  end)

  it("logs once: a head that does not come to its end", function()
    local before = #gateway:logs("ended")
    local conn = client:raw()
    conn:write("GET / HTTP/1.1\r\nHost: a\r\n")
    assert.are.equal(408, t.http1.read_response(conn).status)
    assert.are.equal("408", tostring(gateway:wait_log("ended", before + 1).status))
  end)

  it("that keeps ctx gets an error for it later, and no other request's data", function()
    local of = path()
    client:get(path(), { ["X-Keep"] = "1" })
    client:get(of, { ["X-Use-Kept"] = "1" })
    local entry = gateway:wait_log("kept")
    assert.are.equal("false", entry.ok)
    assert.truthy(entry.error:find("this request is over", 1, true))
  end)
end)

describe("the hooks of a generation", function()
  it("begin with init and end with unload, on each reload and at the end", function()
    local gateway = t.gateway({ workers = 1, scripts = { ["probe.lua"] = PROBE },
      upstreams = { app = true } }):start()
    assert.are.equal(1, #gateway:logs("probe_began"))
    gateway:write({ ["probe.lua"] = PROBE .. "\n" })
    gateway:wait_log("probe_began", 2)
    gateway:wait_log("probe_ended", 1)
    gateway:stop()
    assert.are.equal(2, #gateway:logs("probe_ended"))
  end)
end)
