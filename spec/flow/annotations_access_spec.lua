-- SPDX-License-Identifier: Apache-2.0
--
-- Annotations of authentication, of address lists and of limits, each with and without it.
local annotated = require("spec.support.annotated")
local mg = require("moongate")
local nobody = require("spec.support.nobody")

local RIGHT = { Authorization = "Basic " .. mg.base64.encode("alice:password") }

local function status(headers)
  return function(at)
    return at:get("/x", headers).status
  end
end

annotated.describe("annotations of basic authentication", {
  { "auth-type", "basic", with = { ["auth-secret"] = "users" }, gives = 401, sees = status() },
  { "auth-secret", "users", with = { ["auth-type"] = "basic" }, gives = 200,
    sees = status(RIGHT) },
  { "auth-secret-type", "auth-map", with = { ["auth-type"] = "basic", ["auth-secret"] = "map" },
    gives = 200, sees = status(RIGHT) },
  { "auth-realm", "staff", with = { ["auth-type"] = "basic", ["auth-secret"] = "users" },
    gives = "staff", sees = function(at)
      return at:get("/"):header("www-authenticate"):match('realm="(.-)"')
    end },
  { "satisfy", "any", with = { ["auth-type"] = "basic", ["auth-secret"] = "users",
    ["allowlist-source-range"] = "127.0.0.0/8" }, gives = 200, sees = status() },
})

local YES = { ["auth-url"] = "${auth}/yes" }
local NO = { ["auth-url"] = "${auth}/401" }

-- What the service that judges is told.
local function asked(name)
  return function(at)
    at:get("/x")
    local request = at:last("auth")
    return name == "method" and request.method or request:header(name)
  end
end

-- How often it is asked for two equal requests.
local function times(at)
  return at:count("auth", function()
    at:get("/x")
    at:get("/x")
  end)
end

annotated.describe("annotations of external authentication", {
  { "auth-url", "${auth}/401", gives = 401, sees = status() },
  { "auth-signin", "https://in.test/", with = NO, gives = 302, sees = status() },
  { "auth-signin-redirect-param", "back", with = { ["auth-url"] = "${auth}/401",
    ["auth-signin"] = "https://in.test/" }, gives = "back", sees = function(at)
      return at:get("/x"):header("location"):match("%?(%w+)=")
    end },
  { "auth-method", "POST", with = YES, gives = "POST", sees = asked("method") },
  { "auth-request-redirect", "https://r.test/", with = YES, gives = "https://r.test/",
    sees = asked("x-auth-request-redirect") },
  { "auth-proxy-set-headers", "extra", with = YES, gives = "from-the-map",
    sees = asked("x-extra") },
  { "auth-response-headers", "X-Auth-User", with = YES, service = "one", gives = "alice",
    sees = function(at)
      at:get("/x")
      return at:last():header("x-auth-user")
    end },
  { "auth-always-set-cookie", "true", with = YES, gives = "authsess=1", sees = function(at)
    return at:get("/x", { ["X-Answer-Status"] = "500" }):header("set-cookie")
  end },
  { "auth-cache-key", "key", with = { ["auth-url"] = "${auth}/nocookie" }, gives = 1,
    sees = times },
  { "auth-cache-duration", "401 1m", gives = 2, sees = times,
    with = { ["auth-url"] = "${auth}/nocookie", ["auth-cache-key"] = "other" } },
})

annotated.describe("annotations beside global authentication", {
  { "enable-global-auth", "false", gives = 200, sees = status() },
}, { ["global-auth-url"] = ("http://127.0.0.1:%d/"):format(nobody.port()) })

local function passed(at)
  return at:statuses(12, 200)
end

-- Whether an answer of 6000 bytes takes its time.
local function is_slow(at)
  local began = mg.time.monotonic()
  at:get("/", { ["X-Answer-Body"] = ("x"):rep(6000) })
  return mg.time.monotonic() - began > 0.5
end

local BUFFERED = { ["proxy-buffering"] = "on" }

annotated.describe("annotations of address lists and limits", {
  { "allowlist-source-range", "10.0.0.0/8", gives = 403, sees = status() },
  { "whitelist-source-range", "10.0.0.0/8", gives = 403, sees = status() },
  { "denylist-source-range", "127.0.0.0/8", gives = 403, sees = status() },
  { "limit-rps", "1", gives = true, sees = function(at)
    return passed(at) < 12
  end },
  { "limit-rpm", "1", gives = 6, sees = passed },
  { "limit-burst-multiplier", "1", with = { ["limit-rpm"] = "1" }, gives = 2, sees = passed },
  { "limit-allowlist", "127.0.0.0/8", with = { ["limit-rpm"] = "1" }, gives = 12, sees = passed },
  { "limit-whitelist", "127.0.0.0/8", with = { ["limit-rpm"] = "1" }, gives = 12, sees = passed },
  { "limit-connections", "1", service = "one", gives = 503, sees = function(at)
    local client = at.gateway:client()
    local before = #at.gateway:upstream("a").requests
    client:raw():write(("GET /held HTTP/1.1\r\nHost: %s\r\nX-Answer-Delay: 0.3\r\n\r\n")
      :format(at.host))
    at.gateway:upstream("a"):request(before + 1)
    return at:get("/").status
  end },
  { "limit-rate", "4", with = BUFFERED, gives = true, sees = is_slow },
  { "limit-rate-after", "100", with = { ["limit-rate"] = "4", ["proxy-buffering"] = "on" },
    gives = false, sees = is_slow },
  { "proxy-buffering", "on", with = { ["limit-rate"] = "4" }, gives = true, sees = is_slow },
})

-- How many of 12 requests with a key, with another one and with none pass.
local function passed_by_key(at)
  local counts = {}
  for i, key in ipairs({ "a", "b", false }) do
    counts[i] = 0
    for _ = 1, 12 do
      local response = at:get("/", { ["X-Key"] = key or nil })
      counts[i] = counts[i] + (response.status == 200 and 1 or 0)
    end
  end
  return table.concat(counts, " ")
end

annotated.describe("annotations of limits that count by a header", {
  { "limit-rpm", "1", gives = "6 6 12", sees = passed_by_key },
}, { ["limit-conn-zone-variable"] = "$http_x_key" })

annotated.describe("annotations of limits that count by the address and a header", {
  { "limit-rpm", "1", gives = "6 6 6", sees = passed_by_key },
}, { ["limit-conn-zone-variable"] = "$binary_remote_addr $http_x_key" })
