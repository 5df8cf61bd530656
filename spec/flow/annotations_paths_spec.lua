-- SPDX-License-Identifier: Apache-2.0
--
-- Annotations of paths, redirects, canaries and CORS, each with and without it.
local annotated = require("spec.support.annotated")

local function status(at)
  return at:get("/x").status
end

local function location(path)
  return function(at)
    return (at:get(path):header("location") or ""):gsub(at.host, "host")
  end
end

local FORCED = { ["force-ssl-redirect"] = "true" }

annotated.describe("annotations of paths", {
  { "rewrite-target", "/new", path = "/old", service = "one", gives = "/new", sees = function(at)
    at:get("/old")
    return at:last().path
  end },
  { "use-regex", "true", path = "/foo", gives = 200, sees = function(at)
    return at:get("/FOO").status
  end },
  { "x-forwarded-prefix", "/front", with = { ["rewrite-target"] = "/new" }, service = "one",
    gives = "/front", sees = function(at)
      at:get("/x")
      return at:last():header("x-forwarded-prefix")
    end },
  { "server-alias", "alias.{host}", gives = 200, sees = function(at)
    return at:get("/", { Host = "alias." .. at.host }).status
  end },
  { "app-root", "/app", gives = "http://host/app", sees = location("/") },
})

annotated.describe("annotations of redirects", {
  { "ssl-redirect", "false", secret = "none", gives = 200, sees = status },
  { "force-ssl-redirect", "true", gives = 308, sees = status },
  { "preserve-trailing-slash", "true", with = FORCED, gives = "https://host/x/",
    sees = location("/x/") },
  { "use-port-in-redirects", "true", with = FORCED, gives = "https://host:443/x",
    sees = location("/x") },
  { "relative-redirects", "true", path = "/dir/", gives = "/dir/", sees = location("/dir") },
  { "permanent-redirect", "https://to.test/", gives = 301, sees = status },
  { "permanent-redirect-code", "308", with = { ["permanent-redirect"] = "https://to.test/" },
    gives = 308, sees = status },
  { "temporal-redirect", "https://to.test/", gives = 302, sees = status },
  { "temporal-redirect-code", "307", with = { ["temporal-redirect"] = "https://to.test/" },
    gives = 307, sees = status },
  { "from-to-www-redirect", "true", gives = 308, sees = function(at)
    return at:get("/", { Host = "www." .. at.host }).status
  end },
}, { ["public-https-port"] = "443" })

local function all_of_next(at)
  local _, counts = at:spread(10, "/")
  return counts.next or 0
end

local function canary(headers)
  return function(at)
    return at:get("/", headers).body
  end
end

local BY_HEADER = { canary = "true", ["canary-by-header"] = "X-C" }

annotated.describe("annotations of canaries", {
  { "canary", "true", main = {}, with = { ["canary-weight"] = "100" }, gives = 10,
    sees = all_of_next },
  { "canary-weight", "100", main = {}, with = { canary = "true" }, gives = 10,
    sees = all_of_next },
  { "canary-weight-total", "1000000000", main = {},
    with = { canary = "true", ["canary-weight"] = "100" }, gives = 0, sees = all_of_next },
  { "canary-by-header", "X-C", main = {}, with = { canary = "true" }, gives = "next",
    sees = canary({ ["X-C"] = "always" }) },
  { "canary-by-header-value", "yes", main = {}, with = BY_HEADER, gives = "next",
    sees = canary({ ["X-C"] = "yes" }) },
  { "canary-by-header-pattern", "^y", main = {}, with = BY_HEADER, gives = "next",
    sees = canary({ ["X-C"] = "yes" }) },
  { "canary-by-cookie", "c", main = {}, with = { canary = "true" }, gives = "next",
    sees = canary({ Cookie = "c=always" }) },
  { "affinity-canary-behavior", "legacy", main = { affinity = "cookie" }, with = BY_HEADER,
    gives = "next", sees = function(at)
      local cookie = at:get("/"):header("set-cookie"):match("^[^;]+")
      return at:get("/", { Cookie = cookie, ["X-C"] = "always" }).body
    end },
})

local CORS = { ["enable-cors"] = "true" }

-- A header of the answer to a request, or to a preflight, of https://a.test.
local function cors(name, method)
  return function(at)
    local response = at:send({ method = method, headers = { Origin = "https://a.test",
      ["Access-Control-Request-Method"] = method and "PUT" } })
    return response:header("access-control-" .. name) or "none"
  end
end

annotated.describe("annotations of CORS", {
  { "enable-cors", "true", gives = "*", sees = cors("allow-origin") },
  { "cors-allow-origin", "https://a.test", with = CORS, gives = "https://a.test",
    sees = cors("allow-origin") },
  { "cors-allow-methods", "PUT", with = CORS, gives = "PUT",
    sees = cors("allow-methods", "OPTIONS") },
  { "cors-allow-headers", "X-One", with = CORS, gives = "X-One",
    sees = cors("allow-headers", "OPTIONS") },
  { "cors-allow-credentials", "false", with = CORS, gives = "none",
    sees = cors("allow-credentials") },
  { "cors-expose-headers", "X-Two", with = CORS, gives = "X-Two", sees = cors("expose-headers") },
  { "cors-max-age", "7", with = CORS, gives = "7", sees = cors("max-age", "OPTIONS") },
})
