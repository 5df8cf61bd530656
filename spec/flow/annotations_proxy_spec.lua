-- SPDX-License-Identifier: Apache-2.0
--
-- Annotations of proxying, each with and without it.
local annotated = require("spec.support.annotated")
local t = require("moongate.test")

local function status(headers)
  return function(at)
    return at:get("/x", headers).status
  end
end

local function answers(name, headers)
  return function(at)
    return at:get("/x", headers):header(name)
  end
end

-- What the backend is told.
local function told(name)
  return function(at)
    at:get("/x")
    return at:last():header(name) or "none"
  end
end

annotated.describe("annotations of what backends are told", {
  { "upstream-vhost", "inner.test", service = "one", gives = "inner.test", sees = told("host") },
  { "connection-proxy-header", "close", service = "one", gives = "close",
    sees = told("connection") },
  { "proxy-http-version", "1.0", service = "one", gives = "1.0", sees = function(at)
    at:get("/x")
    return at:last().line:match("HTTP/(.*)$")
  end },
  { "service-upstream", "true", service = "virtual", port = "${vip.port}", gives = "vip",
    sees = function(at)
      return at:get("/x").body
    end },
  { "proxy-request-buffering", "off", service = "one", gives = true, sees = function(at)
    local conn, upstream = at.gateway:client():raw(), at.gateway:upstream("a")
    conn:write(("POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n\r\nhalf")
      :format(at.host, at.host))
    local soon = at:soon(function()
      local last = upstream.requests[#upstream.requests]
      return last ~= nil and last.path == "/" .. at.host
    end)
    conn:write("halves")
    assert(t.http1.read_response(conn))
    return soon
  end },
})

annotated.describe("annotations of what clients get", {
  { "custom-headers", "extra", gives = "from-the-map", sees = answers("x-extra") },
  { "proxy-body-size", "1k", gives = 413, sees = function(at)
    return at:send({ method = "POST", body = ("x"):rep(2000) }).status
  end },
  { "proxy-buffer-size", "1k", gives = 502,
    sees = status({ ["X-Answer-X-Pad"] = ("x"):rep(2000) }) },
  { "proxy-cookie-domain", "a.test b.test", gives = "k=v; Domain=b.test",
    sees = answers("set-cookie", { ["X-Answer-Set-Cookie"] = "k=v; Domain=a.test" }) },
  { "proxy-cookie-path", "/a /b", gives = "k=v; Path=/b",
    sees = answers("set-cookie", { ["X-Answer-Set-Cookie"] = "k=v; Path=/a" }) },
  { "proxy-redirect-from", "http://in.test/", with = { ["proxy-redirect-to"] = "http://out.test/" },
    gives = "http://out.test/x",
    sees = answers("location", { ["X-Answer-Location"] = "http://in.test/x" }) },
  { "proxy-redirect-to", "http://out.test/", with = { ["proxy-redirect-from"] = "http://in.test/" },
    gives = "http://out.test/x",
    sees = answers("location", { ["X-Answer-Location"] = "http://in.test/x" }) },
}, { ["global-allowed-response-headers"] = "X-Extra" })

local function body(headers)
  return function(at)
    return at:get("/x", headers).body
  end
end

local MISSING = { ["X-Answer-Status"] = "404" }

annotated.describe("annotations of failures", {
  { "proxy-read-timeout", "1", service = "one", gives = 504,
    sees = status({ ["X-Answer-Delay"] = "1.3" }) },
  { "proxy-next-upstream", "http_503", service = "half", gives = 6, sees = function(at)
    return at:statuses(6, 200)
  end },
  { "proxy-next-upstream-tries", "1", service = "dead", gives = true, sees = function(at)
    return at:statuses(6, 200) < 6
  end },
  { "proxy-next-upstream-timeout", "1", service = "failing", gives = 1,
    with = { ["proxy-next-upstream"] = "http_503" }, sees = function(at)
      local second
      local first = at:count("late1", function()
        second = at:count("late2", function()
          at:get("/x")
        end)
      end)
      return first + second
    end },
  { "default-backend", "errors", service = "empty", gives = "error page", sees = body() },
  { "custom-http-errors", "404", with = { ["default-backend"] = "errors" }, gives = "error page",
    sees = body(MISSING) },
  { "disable-proxy-intercept-errors", "true", service = "one", gives = "a", sees = body(MISSING),
    with = { ["default-backend"] = "errors", ["custom-http-errors"] = "404" } },
})

-- What the mirror got of a request, if it got it.
local function copied(see)
  return function(at)
    at:send({ method = "POST", path = "/" .. at.host, body = "of the client" })
    local found
    at:soon(function()
      for _, request in ipairs(at.gateway:upstream("mirror").requests) do
        found = request.complete and request.path:find(at.host, 1, true) and request or found
      end
      return found
    end)
    return found and see(found)
  end
end

local MIRRORED = { ["mirror-target"] = "${mirror}$request_uri" }

annotated.describe("annotations of mirrors", {
  { "mirror-target", "${mirror}$request_uri", gives = "of the client",
    sees = copied(function(request)
      return request.body
    end) },
  { "mirror-request-body", "off", with = MIRRORED, gives = "", sees = copied(function(request)
    return request.body
  end) },
  { "mirror-host", "copy.test", with = MIRRORED, gives = "copy.test",
    sees = copied(function(request)
      return request:header("host")
    end) },
})

annotated.describe("annotations of logs", {
  { "enable-access-log", "false", gives = false, sees = function(at)
    at:get("/log-" .. at.host)
    at:get("/after-" .. at.host, { Host = (at.host:gsub("^with", "plain")) })
    local function is_written(path)
      return table.concat(at.gateway.output, "\n"):find(path .. at.host, 1, true) ~= nil
    end
    t.wait_until(function()
      return is_written("/after-")
    end, "the line of the request after it")
    return is_written("/log-")
  end },
})
